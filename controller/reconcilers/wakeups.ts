/** What wakes whom: each change of an object or a host is a hint to look at others again. Hints may come twice, or for nothing. */
import { isDeepStrictEqual } from 'node:util'
import type { ImageService } from '@berth/images'
import { annotations, type Image, type Network, type Slot, type VirtualMachine } from '../api/index.ts'
import type { HostRegistry } from '../hypervisor/hosts.ts'
import type { HypervisorEvent, InventoryEntry } from '../hypervisor/port.ts'
import { type CacheChange, type KubeObject, keyOf, type ObjectMeta, type ReadObject } from '../kube/port.ts'
import type { Enqueue, Priority } from '../runtime/port.ts'
import type { ConnectionListener } from './hypervisor/connections.ts'
import type { Informers } from './informers.ts'
import type { Caches } from './shared/caches.ts'

export interface Queues {
  readonly virtualMachine: Enqueue
  readonly slot: Enqueue
  readonly hypervisor: Enqueue
  readonly storagePool: Enqueue
  readonly network: Enqueue
  readonly addressLease: Enqueue
  readonly image: Enqueue
  readonly clusterImage: Enqueue
}

type Placed = ReadObject<Pick<Image, 'metadata' | 'status'> & KubeObject>

export class Wakeups implements ConnectionListener {
  readonly #informers: Informers
  readonly #caches: Caches
  readonly #registry: HostRegistry
  readonly #service: ImageService
  #queues: Queues | undefined

  constructor(informers: Informers, caches: Caches, registry: HostRegistry, service: ImageService) {
    this.#informers = informers
    this.#caches = caches
    this.#registry = registry
    this.#service = service
  }

  get queues(): Queues {
    if (!this.#queues) throw new Error('wire() comes first')
    return this.#queues
  }

  wire(queues: Queues): void {
    this.#queues = queues
    const { virtualMachines, slots, hypervisors, storagePools, networks, addressLeases, sizes, images, clusterImages } =
      this.#informers
    virtualMachines.onChange((change) => {
      const { type, object, previous } = change
      const priority = effectOf(change)
      queues.virtualMachine(keyOf(object), urgencyOf(change))
      if (type === 'Deleted') {
        this.#holdersOf(object)
        this.#leasesOf(object.metadata.uid)
      }
      // One that waited in front no longer does.
      const gaveUp = type === 'Deleted' || (previous && waits(previous) && !waits(object))
      if (gaveUp && object.status?.slot === undefined) this.#waiting(priority)
      if (previous && object.status?.slot !== undefined && this.#keepsOthersAway(previous, object))
        this.#waiting(priority)
      this.#slotsOf(object, priority)
      this.#imageOf(object, previous, priority)
    })
    slots.onChange((change) => {
      const { object, previous } = change
      const priority = effectOf(change)
      queues.slot(keyOf(object), urgencyOf(change))
      queues.hypervisor(object.spec.hypervisor, priority)
      this.#consumerOf(object, priority)
      if (previous) this.#consumerOf(previous, priority)
      const { consumerRef } = previous?.status ?? {}
      if (consumerRef && object.status?.consumerRef?.uid !== consumerRef.uid) this.#leasesOf(consumerRef.uid)
      if (object.status?.phase === 'Free' && previous?.status?.phase !== 'Free') this.#waiting(priority)
    })
    hypervisors.onChange((change) => {
      const { object, previous } = change
      queues.hypervisor(keyOf(object), urgencyOf(change))
      if (!sameFacts(object, previous)) this.#onHypervisor(object.metadata.name, effectOf(change))
      else if (object.status?.unmanaged?.memory !== previous?.status?.unmanaged?.memory) this.#waiting(effectOf(change))
    })
    storagePools.onChange((change) => {
      const { object } = change
      const priority = effectOf(change)
      queues.storagePool(keyOf(object), urgencyOf(change))
      queues.hypervisor(object.spec.hypervisor, priority)
      if (object.metadata.deletionTimestamp !== undefined) this.#imagesIn(object.metadata.name, priority)
      this.#waiting(priority)
    })
    networks.onChange((change) => {
      const { object, previous } = change
      queues.network(keyOf(object), urgencyOf(change))
      if (!isSameNetwork(change)) this.#machinesOn(object.metadata.name, effectOf(change))
      this.#waiting(effectOf(change))
      if (previous?.metadata.generation !== object.metadata.generation || change.type === 'Deleted')
        this.#onRanges(object.metadata.name, effectOf(change))
    })
    addressLeases.onChange((change) => {
      const { type, object } = change
      const { network, consumerRef } = object.spec
      queues.addressLease(keyOf(object), effectOf(change))
      if (object.spec.address !== undefined) queues.network(network, effectOf(change))
      if (type !== 'Deleted') return
      queues.virtualMachine(`${consumerRef.namespace}/${consumerRef.name}`)
      this.#lackingAddresses()
    })
    sizes.onChange((change) => {
      const priority = effectOf(change)
      for (const hypervisor of this.#caches.hypervisors.list()) queues.hypervisor(keyOf(hypervisor), priority)
      this.#waiting(priority)
    })
    images.onChange((change) => {
      const { object, previous } = change
      queues.image(keyOf(object), urgencyOf(change))
      this.#poolsOf(object, previous)
      this.#machinesOf(object, keyOf(object), effectOf(change))
    })
    clusterImages.onChange((change) => {
      const { object, previous } = change
      queues.clusterImage(keyOf(object), urgencyOf(change))
      this.#poolsOf(object, previous)
      this.#machinesOf(object, object.metadata.name, effectOf(change))
    })
    this.#registry.onChange((name) => {
      queues.hypervisor(name)
      this.#onHypervisor(name)
    })
    this.#service.onChange((id) => this.#imageByUID(id))
  }

  machine(hypervisor: string, { id, instanceID }: Extract<HypervisorEvent, { type: 'Machine' }>): void {
    const machines = this.#caches.virtualMachines.byIndex('instanceID', instanceID ?? id)
    for (const vm of machines) this.queues.virtualMachine(keyOf(vm))
    // Not one of ours: it may still take what a slot counts on.
    if (machines.length > 0) return
    this.#slotsOn(hypervisor)
    this.queues.hypervisor(hypervisor, 'Event')
  }

  /** What a listing shows otherwise than the machines' statuses: an event was lost, or its answer is old. */
  inventory(hypervisor: string, entries: readonly InventoryEntry[]): void {
    const seen = new Map(entries.map(({ tag, power }) => [tag?.instanceID, power]))
    for (const vm of this.#caches.virtualMachines.byIndex('hypervisor', hypervisor)) {
      const power = seen.get(vm.status?.instanceID ?? vm.metadata.uid) ?? 'Stopped'
      if (vm.status?.powerState !== power) this.queues.virtualMachine(keyOf(vm))
    }
  }

  gap(hypervisor: string): void {
    this.queues.hypervisor(hypervisor)
    this.#onHypervisor(hypervisor)
  }

  #machinesOn(network: string, priority: Priority): void {
    for (const vm of this.#caches.virtualMachines.list()) {
      const named = [...(vm.spec.networkInterfaces ?? []), ...(vm.status?.networkInterfaces ?? [])]
      if (named.some((one) => one.network === network)) this.queues.virtualMachine(keyOf(vm), priority)
    }
  }

  #onHypervisor(name: string, priority?: Priority): void {
    const { virtualMachines, storagePools, networks } = this.#caches
    this.#slotsOn(name, priority)
    for (const vm of virtualMachines.byIndex('hypervisor', name)) this.queues.virtualMachine(keyOf(vm), priority)
    for (const pool of storagePools.byIndex('hypervisor', name)) this.queues.storagePool(keyOf(pool), priority)
    for (const network of networks.list()) this.queues.network(keyOf(network), priority)
    this.#waiting(priority)
  }

  #slotsOn(hypervisor: string, priority?: Priority): void {
    for (const slot of this.#caches.slots.byIndex('hypervisor', hypervisor)) this.queues.slot(keyOf(slot), priority)
  }

  #slotsOf({ metadata }: ReadObject<VirtualMachine>, priority: Priority): void {
    for (const slot of this.#caches.slots.byIndex('consumer', metadata.uid)) this.queues.slot(keyOf(slot), priority)
  }

  #consumerOf({ status }: ReadObject<Slot>, priority: Priority): void {
    const { consumerRef } = status ?? {}
    if (consumerRef) this.queues.virtualMachine(`${consumerRef.namespace}/${consumerRef.name}`, priority)
  }

  /** Machines without a slot: one of them may have one now. */
  #waiting(priority?: Priority): void {
    for (const vm of this.#caches.virtualMachines.byIndex('slotless', 'true')) {
      if (waits(vm)) this.queues.virtualMachine(keyOf(vm), priority)
    }
  }

  /** Ranges of two Networks may be in each other's way. */
  #onRanges(changed: string, priority: Priority): void {
    for (const { metadata } of this.#caches.networks.list())
      if (metadata.name !== changed) this.queues.network(metadata.name, priority)
    this.#lackingAddresses(priority)
  }

  #lackingAddresses(priority?: Priority): void {
    for (const vm of this.#caches.virtualMachines.byIndex('lacksAddress', 'true'))
      this.queues.virtualMachine(keyOf(vm), priority)
  }

  /** Nobody else takes them away, once the machine is gone and its slot given back. */
  #leasesOf(uid: string): void {
    for (const lease of this.#caches.addressLeases.byIndex('consumer', uid)) this.queues.addressLease(keyOf(lease))
  }

  /** Whether it may keep others away from where it is than it did before. */
  #keepsOthersAway(before: VirtualMachine, now: VirtualMachine): boolean {
    const heeded = this.#caches.virtualMachines.byIndex('antiAffinity', now.metadata.namespace ?? '').length > 0
    const counts = ({ metadata, spec }: VirtualMachine) =>
      JSON.stringify([metadata.labels, spec.placement?.antiAffinity])
    return (heeded || before.spec.placement?.antiAffinity !== undefined) && counts(before) !== counts(now)
  }

  /** What a machine that is gone kept from being deleted. */
  #holdersOf({ status }: ReadObject<VirtualMachine>): void {
    if (status?.hypervisor !== undefined) this.queues.hypervisor(status.hypervisor)
    for (const { storagePool } of status?.disks ?? [])
      if (storagePool !== undefined) this.queues.storagePool(storagePool)
  }

  #imageOf(vm: ReadObject<VirtualMachine>, previous: ReadObject<VirtualMachine> | undefined, priority: Priority): void {
    const named = [vm, previous].flatMap((one) => [
      one?.status?.image,
      ...(one?.status?.disks ?? []).map(({ image }) => image),
    ])
    for (const image of named) {
      if (image?.kind === 'Image') this.queues.image(`${vm.metadata.namespace}/${image.name}`, priority)
      else if (image) this.queues.clusterImage(image.name, priority)
    }
  }

  #machinesOf({ metadata }: ReadObject<KubeObject>, name: string, priority: Priority): void {
    const { virtualMachines } = this.#caches
    for (const vm of [
      ...virtualMachines.byIndex('imageName', name),
      ...virtualMachines.byIndex('imageUID', metadata.uid),
    ]) {
      // Progress of a placing is nothing to a machine that has its disks.
      if (awaitsDisks(vm)) this.queues.virtualMachine(keyOf(vm), priority)
    }
  }

  /** Pools that an image has left: they may be waiting for it. */
  #poolsOf(object: Placed, previous: Placed | undefined): void {
    const gone = object.metadata.deletionTimestamp !== undefined
    const stays = new Set(gone ? [] : object.status?.placements?.map(({ storagePool }) => storagePool))
    for (const { storagePool } of previous?.status?.placements ?? []) {
      if (!stays.has(storagePool)) this.queues.storagePool(storagePool)
    }
  }

  #imagesIn(storagePool: string, priority: Priority): void {
    const { images, clusterImages } = this.#caches
    const isPlaced = ({ status }: Placed) =>
      status?.placements?.some((placement) => placement.storagePool === storagePool)
    for (const image of images.list()) if (isPlaced(image)) this.queues.image(keyOf(image), priority)
    for (const image of clusterImages.list()) if (isPlaced(image)) this.queues.clusterImage(keyOf(image), priority)
  }

  #imageByUID(uid: string): void {
    const find = (objects: readonly ReadObject<Pick<Image, 'metadata'> & KubeObject>[]) =>
      objects.find(({ metadata }) => metadata.uid === uid)
    const image = find(this.#caches.images.list())
    if (image) this.queues.image(keyOf(image))
    const clusterImage = find(this.#caches.clusterImages.list())
    if (clusterImage) this.queues.clusterImage(keyOf(clusterImage))
  }
}

type WithGeneration = KubeObject & { readonly status?: { readonly observedGeneration?: number } }

/** How soon the object itself is looked at. */
function urgencyOf({ object, previous, initial }: CacheChange<WithGeneration>): Priority {
  const { metadata, status } = object
  // Asked for while nobody looked.
  if (initial) return status?.observedGeneration === metadata.generation ? 'Resync' : 'Change'
  if (metadata.deletionTimestamp !== undefined && previous?.metadata.deletionTimestamp === undefined) return 'Deletion'
  const before = previous?.metadata
  const asked = metadata.generation !== before?.generation || paused(metadata) !== paused(before)
  return asked ? 'Change' : 'Event'
}

/** How soon others are looked at that it may matter to. */
const effectOf = ({ initial }: { readonly initial?: boolean }): Priority => (initial ? 'Resync' : 'Event')

/** Its status says nothing to machines. */
const isSameNetwork = ({ type, object, previous }: CacheChange<Network>): boolean =>
  type !== 'Deleted' && previous !== undefined && isDeepStrictEqual(object.spec, previous.spec)

const paused = (metadata: ObjectMeta | undefined): string | undefined => metadata?.annotations?.[annotations.paused]

function awaitsDisks({ spec, status }: VirtualMachine): boolean {
  const recorded = status?.disks ?? []
  const isRecorded = (name: string) => recorded.some((disk) => disk.name === name)
  return (
    recorded.length === 0 ||
    recorded.some(({ state }) => state === 'Creating') ||
    (spec.disks ?? []).some(({ name }) => !isRecorded(name))
  )
}

const waits = ({ spec, status }: VirtualMachine): boolean => status?.slot === undefined && spec.powerState !== 'Stopped'

/** Whether a change of a Hypervisor can matter to what is on it: not when only its counts of slots moved. */
function sameFacts(
  object: ReadObject<KubeObject & { spec?: unknown; status?: unknown }>,
  previous: typeof object | undefined,
): boolean {
  if (!previous || object.metadata.deletionTimestamp !== previous.metadata.deletionTimestamp) return false
  const facts = ({ metadata, status }: typeof object) => {
    const { conditions, capabilities } = (status ?? {}) as {
      conditions?: readonly { type: string; status: string }[]
      capabilities?: unknown
    }
    return JSON.stringify([
      metadata.generation,
      capabilities,
      conditions?.map(({ type, status: value }) => [type, value]),
    ])
  }
  return facts(object) === facts(previous)
}
