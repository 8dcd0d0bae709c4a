/** A cluster in memory with one hypervisor that is ready: what the tests of reconcilers start from. */
import { pino } from 'pino'
import {
  addressLeases,
  type ClusterImage,
  clusterImages,
  type Hypervisor,
  hypervisors,
  images,
  type Network,
  networks,
  type Slot,
  type StoragePool,
  slots,
  storagePools,
  type VirtualMachine,
  type VirtualMachineSize,
  virtualMachineSizes,
  virtualMachines,
} from '../../api/index.ts'
import { HostRegistry } from '../../hypervisor/hosts.ts'
import { FakeHost } from '../../hypervisor/testing/fake-session.ts'
import type { EventRecord, ReadObject } from '../../kube/index.ts'
import { FakeKubeClient } from '../../kube/testing/fake-client.ts'
import { VirtualClock } from '../../runtime/clock.ts'
import type { Reconciler, Result } from '../../runtime/port.ts'
import { Settling } from '../../runtime/settling.ts'
import {
  addressLeaseIndices,
  type Caches,
  slotIndices,
  storagePoolIndices,
  virtualMachineIndices,
} from '../shared/caches.ts'
import { isTrue } from '../shared/conditions.ts'
import { consistent } from '../shared/consistent.ts'

export const digest = 'a'.repeat(64)
const api = { apiVersion: 'berth.dev/v1alpha1' } as const
const GiB = 2 ** 30

export const condition = (type: string, status: 'True' | 'False' | 'Unknown' = 'True', reason = 'Test') => ({
  ...isTrue(type, reason, ''),
  status,
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
})

/** Part of an object; the rest has no part in the test. */
type Part<T> = { readonly [K in keyof T]?: unknown }
const made = <T>(object: Part<T>): T => object as T

export const aHypervisor = (name = 'kvm1', spec: object = {}) =>
  made<Hypervisor>({
    ...api,
    kind: 'Hypervisor',
    metadata: { name, finalizers: ['berth.dev/in-use'] },
    spec: { libvirt: { uri: 'qemu+tcp://kvm1/system' }, ...spec },
    status: { capabilities: { architectures: ['x86_64'] }, conditions: [condition('Reachable'), condition('Ready')] },
  })

export const aSlot = (name: string, spec: object = {}, status: object = { phase: 'Free' }) =>
  made<Slot>({
    ...api,
    kind: 'Slot',
    metadata: { name, finalizers: ['berth.dev/in-use'] },
    spec: { hypervisor: 'kvm1', cpus: 2, memory: '2Gi', scheduling: 'Open', ...spec },
    status,
  })

export const aPool = (name = 'default', spec: object = {}, status: object = {}) =>
  made<StoragePool>({
    ...api,
    kind: 'StoragePool',
    metadata: { name, finalizers: ['berth.dev/in-use'] },
    spec: { hypervisor: 'kvm1', type: 'Directory', ...spec },
    status: { free: '100Gi', conditions: [condition('Ready')], ...status },
  })

export const aNetwork = (
  name = 'lan',
  spec: object = { attachments: [{ hypervisor: '*', libvirtNetwork: 'default' }] },
) =>
  made<Network>({
    ...api,
    kind: 'Network',
    metadata: { name },
    spec,
    status: { attachments: [{ hypervisor: 'kvm1', state: 'Available' }] },
  })

export const aSize = (name = 'small', spec: object = { cpus: 1, memory: '1Gi' }) =>
  made<VirtualMachineSize>({ ...api, kind: 'VirtualMachineSize', metadata: { name }, spec })

export const anImage = (name = 'debian', { spec = {}, status = {}, metadata = {} } = {}) =>
  made<ClusterImage>({
    ...api,
    kind: 'ClusterImage',
    metadata: { name, finalizers: ['berth.dev/cleanup'], ...metadata },
    spec: { source: { http: { url: 'https://images.example/debian.qcow2' } }, architecture: 'x86_64', ...spec },
    status: {
      state: 'Ready',
      digest,
      format: 'QCOW2',
      virtualSize: '2Gi',
      storedSize: '300Mi',
      placements: [{ storagePool: 'default', digest, state: 'Ready' }],
      ...status,
    },
  })

export const aMachine = (name = 'web', spec: object = {}, metadata: object = {}) =>
  made<VirtualMachine>({
    ...api,
    kind: 'VirtualMachine',
    metadata: { name, namespace: 'team', ...metadata },
    spec: { size: 'small', image: { name: 'debian' }, shutdownMode: 'TrySoft', shutdownTimeout: '5m', ...spec },
  })

/** The rules that the CRD of Slot has, so that no test passes what the API server would refuse. */
function admitSlot(object: { kind: string; status?: unknown }, before: { status?: unknown } | undefined): void {
  if (object.kind !== 'Slot') return
  type Status = { phase?: string; consumerRef?: { uid: string } } | undefined
  const [now, then] = [object.status as Status, before?.status as Status]
  const held = now?.consumerRef !== undefined
  const refuse = (rule: string) => {
    throw new Error(`the Slot's rules: ${rule}: ${JSON.stringify(then)} → ${JSON.stringify(now)}`)
  }
  if (then?.consumerRef && now?.consumerRef && then.consumerRef.uid !== now.consumerRef.uid) refuse('another consumer')
  if (then?.consumerRef && !held && then.phase !== 'Releasing') refuse('released only from Releasing')
  if (then?.phase === 'Releasing' && now?.phase === 'Bound') refuse('no way back')
  if (held !== (now?.phase === 'Bound' || now?.phase === 'Releasing')) refuse('consumerRef belongs to Bound, Releasing')
}

export class Lab {
  readonly kube = new FakeKubeClient()
  readonly clock = new VirtualClock()
  readonly registry = new HostRegistry()
  readonly host = new FakeHost()
  readonly events: EventRecord[] = []
  readonly settling: Settling
  readonly informers
  readonly caches: Caches
  readonly dependencies
  /** Age of the leader's term, ms; and uids that were there when it began. */
  termAge = 3_600_000
  readonly inherited = new Set<string>()

  constructor() {
    const { kube, clock, registry } = this
    kube.admit = admitSlot
    this.settling = new Settling(clock, { age: () => this.termAge, inherited: (uid) => this.inherited.has(uid) })
    this.informers = {
      virtualMachines: kube.informer(virtualMachines, virtualMachineIndices),
      slots: kube.informer(slots, slotIndices),
      hypervisors: kube.informer(hypervisors),
      storagePools: kube.informer(storagePools, storagePoolIndices),
      networks: kube.informer(networks),
      addressLeases: kube.informer(addressLeases, addressLeaseIndices),
      sizes: kube.informer(virtualMachineSizes),
      images: kube.informer(images),
      clusterImages: kube.informer(clusterImages),
    }
    const { caches, client } = consistent(this.informers, kube)
    this.caches = caches
    this.dependencies = {
      client,
      caches,
      hosts: registry,
      registry,
      settling: this.settling,
      recorder: { record: (event: EventRecord) => void this.events.push(event) },
      clock,
      cluster: 'cluster-uid',
      namespace: 'berth-system',
      hostJobWait: 30_000,
    }
  }

  /** A hypervisor with a pool, a network, a size, an image that is placed, and slots of these names. */
  furnish(...slotNames: string[]): this {
    this.host.addPool('default').images.set(digest, 300 * 2 ** 20)
    this.host.networks.add('default')
    this.connect()
    this.kube.put(aHypervisor())
    for (const name of slotNames) this.kube.put(aSlot(name))
    this.kube.put(aPool())
    this.kube.put(aNetwork())
    this.kube.put(aSize())
    this.kube.put(anImage())
    return this
  }

  connect(name = 'kvm1') {
    const session = this.host.connect()
    this.registry.set(name, { connected: true, session, callTimeout: 30_000 })
    return session
  }

  disconnect(name = 'kvm1'): void {
    const message = `hypervisor ${name} does not answer`
    this.registry.set(name, { connected: false, code: 'HypervisorUnreachable', message })
  }

  machine(name = 'web'): ReadObject<VirtualMachine> {
    const vm = this.kube.peek(virtualMachines, { namespace: 'team', name })
    if (!vm) throw new Error(`no machine ${name}`)
    return vm
  }

  slot(name: string): ReadObject<Slot> {
    const slot = this.kube.peek(slots, { name })
    if (!slot) throw new Error(`no slot ${name}`)
    return slot
  }

  /** One pass. */
  pass(reconciler: Reconciler, key: string, signal = new AbortController().signal): Promise<Result> {
    return reconciler.reconcile(key, { signal, log: pino({ level: 'silent' }) })
  }

  /** Passes until one asks for no other at once, or `met`. Rejects with what a pass rejects with. */
  async settle(reconciler: Reconciler, key: string, met: () => boolean = () => false): Promise<Result> {
    for (let passes = 0; passes < 60; passes++) {
      const result = await this.pass(reconciler, key)
      if (met() || (result.requeueAfter ?? Number.POSITIVE_INFINITY) >= 500) return result
      await this.clock.advance(result.requeueAfter ?? 0)
    }
    throw new Error(`${key} does not come to rest: ${JSON.stringify(this.kube.writes.slice(-5))}`)
  }

  /** A guest that was asked to shut down is looked at again a second later: that settles too. */
  async settleTwice(reconciler: Reconciler, key: string): Promise<Result> {
    await this.settle(reconciler, key)
    return this.settle(reconciler, key)
  }
}

export const readyOf = (object: {
  status?: { conditions?: readonly { type: string; status: string; reason: string }[] }
}) => {
  const ready = object.status?.conditions?.find(({ type }) => type === 'Ready')
  return ready && `${ready.status} ${ready.reason}`
}
export const conditionTypes = (object: { status?: { conditions?: readonly { type: string }[] } }): string[] =>
  (object.status?.conditions ?? []).map(({ type }) => type).toSorted()
export { GiB }
