/** What wakes whom: each change of an object or a host is a hint to look at others again. Hints may come twice, or for nothing. */
import type { ImageService } from '@berth/images'
import type { Image, Slot, VirtualMachine } from '../api/index.ts'
import type { HostRegistry } from '../hypervisor/hosts.ts'
import type { HypervisorEvent, InventoryEntry } from '../hypervisor/port.ts'
import { type KubeObject, keyOf, type ReadObject } from '../kube/port.ts'
import type { Enqueue } from '../runtime/port.ts'
import type { ConnectionListener } from './hypervisor/connections.ts'
import type { Informers } from './informers.ts'
import type { Caches } from './shared/caches.ts'

export interface Queues {
  readonly virtualMachine: Enqueue
  readonly slot: Enqueue
  readonly hypervisor: Enqueue
  readonly storagePool: Enqueue
  readonly network: Enqueue
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
    const { virtualMachines, slots, hypervisors, storagePools, networks, sizes, images, clusterImages } =
      this.#informers
    virtualMachines.onChange(({ type, object, previous }) => {
      queues.virtualMachine(keyOf(object))
      if (type === 'Deleted') this.#holdersOf(object)
      // One that waited in front no longer does.
      const gaveUp = type === 'Deleted' || (previous && waits(previous) && !waits(object))
      if (gaveUp && object.status?.slot === undefined) this.#waiting()
      this.#slotsOf(object)
      this.#imageOf(object, previous)
    })
    slots.onChange(({ object, previous }) => {
      queues.slot(keyOf(object))
      queues.hypervisor(object.spec.hypervisor)
      this.#consumerOf(object)
      if (previous) this.#consumerOf(previous)
      if (object.status?.phase === 'Free' && previous?.status?.phase !== 'Free') this.#waiting()
    })
    hypervisors.onChange(({ object, previous }) => {
      queues.hypervisor(keyOf(object))
      if (!sameFacts(object, previous)) this.#onHypervisor(object.metadata.name)
    })
    storagePools.onChange(({ object }) => {
      queues.storagePool(keyOf(object))
      queues.hypervisor(object.spec.hypervisor)
      if (object.metadata.deletionTimestamp !== undefined) this.#imagesIn(object.metadata.name)
      this.#waiting()
    })
    networks.onChange(({ object }) => {
      queues.network(keyOf(object))
      this.#waiting()
    })
    sizes.onChange(() => {
      for (const hypervisor of this.#caches.hypervisors.list()) queues.hypervisor(keyOf(hypervisor))
      this.#waiting()
    })
    images.onChange(({ object, previous }) => {
      queues.image(keyOf(object))
      this.#poolsOf(object, previous)
      this.#machinesOf(object, keyOf(object))
    })
    clusterImages.onChange(({ object, previous }) => {
      queues.clusterImage(keyOf(object))
      this.#poolsOf(object, previous)
      this.#machinesOf(object, object.metadata.name)
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
    if (machines.length === 0) this.#slotsOn(hypervisor)
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

  #onHypervisor(name: string): void {
    const { virtualMachines, storagePools, networks } = this.#caches
    this.#slotsOn(name)
    for (const vm of virtualMachines.byIndex('hypervisor', name)) this.queues.virtualMachine(keyOf(vm))
    for (const pool of storagePools.byIndex('hypervisor', name)) this.queues.storagePool(keyOf(pool))
    for (const network of networks.list()) this.queues.network(keyOf(network))
    this.#waiting()
  }

  #slotsOn(hypervisor: string): void {
    for (const slot of this.#caches.slots.byIndex('hypervisor', hypervisor)) this.queues.slot(keyOf(slot))
  }

  #slotsOf({ metadata }: ReadObject<VirtualMachine>): void {
    for (const slot of this.#caches.slots.byIndex('consumer', metadata.uid)) this.queues.slot(keyOf(slot))
  }

  #consumerOf({ status }: ReadObject<Slot>): void {
    const { consumerRef } = status ?? {}
    if (consumerRef) this.queues.virtualMachine(`${consumerRef.namespace}/${consumerRef.name}`)
  }

  /** Machines without a slot: one of them may have one now. */
  #waiting(): void {
    for (const vm of this.#caches.virtualMachines.list()) {
      if (waits(vm)) this.queues.virtualMachine(keyOf(vm))
    }
  }

  /** What a machine that is gone kept from being deleted. */
  #holdersOf({ status }: ReadObject<VirtualMachine>): void {
    if (status?.hypervisor !== undefined) this.queues.hypervisor(status.hypervisor)
    for (const { storagePool } of status?.disks ?? [])
      if (storagePool !== undefined) this.queues.storagePool(storagePool)
  }

  #imageOf(vm: ReadObject<VirtualMachine>, previous: ReadObject<VirtualMachine> | undefined): void {
    for (const image of [vm.status?.image, previous?.status?.image]) {
      if (image?.kind === 'Image') this.queues.image(`${vm.metadata.namespace}/${image.name}`)
      else if (image) this.queues.clusterImage(image.name)
    }
  }

  #machinesOf({ metadata }: ReadObject<KubeObject>, name: string): void {
    const { virtualMachines } = this.#caches
    for (const vm of [
      ...virtualMachines.byIndex('imageName', name),
      ...virtualMachines.byIndex('imageUID', metadata.uid),
    ]) {
      // Progress of a placing is nothing to a machine that has its disk.
      const made = vm.status?.disks?.some(({ state }) => state === 'Ready') ?? false
      if (!made) this.queues.virtualMachine(keyOf(vm))
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

  #imagesIn(storagePool: string): void {
    const isPlaced = ({ status }: Placed) =>
      status?.placements?.some((placement) => placement.storagePool === storagePool)
    for (const image of this.#caches.images.list()) if (isPlaced(image)) this.queues.image(keyOf(image))
    for (const image of this.#caches.clusterImages.list()) if (isPlaced(image)) this.queues.clusterImage(keyOf(image))
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
