/** All reconcilers, made from the ports. */
import type { ImageService } from '@berth/images'
import type { Logger } from 'pino'
import { HostRegistry } from '../hypervisor/hosts.ts'
import type { EventRecorder, KubeClient } from '../kube/index.ts'
import type { Clock, Enqueue, Reconciler, Tasks } from '../runtime/port.ts'
import type { Settling } from '../runtime/settling.ts'
import { AddressLeaseReconciler } from './address-lease/reconciler.ts'
import { hypervisorOf } from './groups.ts'
import { type Connect, Connections } from './hypervisor/connections.ts'
import { HypervisorReconciler } from './hypervisor/reconciler.ts'
import { imageKinds } from './image/kinds.ts'
import { ImageReconciler } from './image/reconciler.ts'
import type { Informers } from './informers.ts'
import { NetworkReconciler } from './network/reconciler.ts'
import { consistent } from './shared/consistent.ts'
import { Inventories } from './shared/inventories.ts'
import { SlotReconciler } from './slot/reconciler.ts'
import { StoragePoolReconciler } from './storage-pool/reconciler.ts'
import { VirtualMachineReconciler } from './virtual-machine/reconciler.ts'
import { type Queues, Wakeups } from './wakeups.ts'

export interface ReconcilerDependencies {
  readonly client: KubeClient
  readonly informers: Informers
  readonly connect: Connect
  readonly service: ImageService
  readonly tasks: Tasks
  readonly settling: Settling
  readonly recorder: EventRecorder
  readonly clock: Clock
  /** The longest that a host itself waits for a job, ms. */
  readonly hostJobWait: number
  readonly log: Logger
  /** Berth's own namespace. */
  readonly namespace: string
  /** Uid of the kube-system namespace: tells this cluster's machines on a host from another's. */
  readonly cluster: string
}

export type ReconcilerName = keyof Queues

export interface Reconcilers {
  readonly reconcilers: Readonly<Record<ReconcilerName, Reconciler>>
  /** Which hypervisor a key's pass talks to. */
  readonly groups: ReturnType<typeof hypervisorOf>
  /** Connects watches and hosts to the queues; call once, before the watches run. */
  readonly wire: (queues: Queues) => void
  /** Ends all sessions with hosts. */
  readonly close: () => Promise<void>
}

export function createReconcilers(dependencies: ReconcilerDependencies): Reconcilers {
  const { informers, log, clock, service } = dependencies
  const { caches, client } = consistent(informers, dependencies.client)
  const registry = new HostRegistry()
  const wakeups = new Wakeups(informers, caches, registry, service)
  const connections = new Connections(dependencies.connect, registry, wakeups, log)
  const shared = {
    ...dependencies,
    client,
    caches,
    hosts: registry,
    connections,
    inventories: new Inventories(registry, clock),
  }
  const image = (kind: (typeof imageKinds)[keyof typeof imageKinds], enqueue: Enqueue) =>
    new ImageReconciler(kind, { ...shared, enqueue })
  return {
    reconcilers: {
      virtualMachine: new VirtualMachineReconciler(shared),
      slot: new SlotReconciler(shared),
      hypervisor: new HypervisorReconciler(shared),
      storagePool: new StoragePoolReconciler(shared),
      network: new NetworkReconciler(shared),
      addressLease: new AddressLeaseReconciler(shared),
      image: image(imageKinds.image, (key) => wakeups.queues.image(key)),
      clusterImage: image(imageKinds.clusterImage, (key) => wakeups.queues.clusterImage(key)),
    },
    groups: hypervisorOf(caches),
    wire: (queues) => wakeups.wire(queues),
    close: () => connections.closeAll(),
  }
}
