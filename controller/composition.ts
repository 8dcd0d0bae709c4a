/**
 * The controller without its process: reconcilers, queues and manager, put together from ports. `main.ts` gives it the
 * real ones; tests of faults and benchmarks give it ports that crash, lie and count, and may run many in one process.
 */
import type { ImageService } from '@berth/images'
import type { Logger } from 'pino'
import * as api from './api/index.ts'
import { HypervisorMetrics } from './hypervisor/metrics.ts'
import type { Driver } from './hypervisor/port.ts'
import { type Guard, guarded, limited, observed } from './hypervisor/wrap.ts'
import type { EventRecorder, IndexFunctions, Informer, KubeClient, KubeObject, Resource } from './kube/index.ts'
import type { Connect } from './reconcilers/hypervisor/connections.ts'
import { createReconcilers, type ReconcilerName, type Reconcilers } from './reconcilers/index.ts'
import type { Informers } from './reconcilers/informers.ts'
import {
  addressLeaseIndices,
  slotIndices,
  storagePoolIndices,
  virtualMachineIndices,
} from './reconcilers/shared/caches.ts'
import * as runtime from './runtime/index.ts'

export interface ControllerParts {
  readonly client: KubeClient
  readonly informers: Informers
  readonly driver: Pick<Driver, 'connect'>
  readonly service: ImageService
  readonly recorder: EventRecorder
  /** Called on the way out of every mutation of a host; that of the API server's client is the client's own. */
  readonly guard: Guard
  readonly elector?: runtime.Elector
  readonly clock: runtime.Clock
  readonly log: Logger
  readonly metrics: runtime.Metrics
  readonly settings: ControllerSettings
  readonly tracing?: runtime.Tracing
  /** Told of what a pass threw that nobody foresaw. */
  readonly onDefect?: runtime.ControllerOptions['onDefect']
  /** What must be written before the lease is given up. */
  readonly flush?: () => Promise<void>
}

export interface ControllerSettings {
  /** Berth's own namespace. */
  readonly namespace: string
  /** Uid of the kube-system namespace: tells this cluster's machines on a host from another's. */
  readonly cluster: string
  /** The longest that a host itself waits for a job, ms. */
  readonly hostJobWait: number
  /** Passes at a time, for each kind; a quarter of them for any one hypervisor. */
  readonly workers: number
}

export interface ComposedController {
  readonly manager: runtime.Manager
  /** What benchmarks fill and watch. */
  readonly controllers: Controllers
  /** Ends the sessions with all hosts. */
  readonly close: () => Promise<void>
}

export function composeController(parts: ControllerParts): ComposedController {
  const { client, informers, clock, log, metrics, settings, elector } = parts
  const term = new runtime.LeaderTerm(clock)
  const tasks = new runtime.TaskRunner(clock, log)
  const reconcilers = createReconcilers({
    client,
    informers,
    connect: connectWith(parts),
    service: parts.service,
    tasks,
    settling: new runtime.Settling(clock, term),
    recorder: parts.recorder,
    clock,
    log,
    namespace: settings.namespace,
    hostJobWait: settings.hostJobWait,
    cluster: settings.cluster,
  })
  const controllers = controllersOf(reconcilers, settings.workers, parts)
  reconcilers.wire(enqueuersOf(controllers))
  const manager = new runtime.Manager({
    clock,
    log,
    metrics,
    informers: Object.values(informers),
    controllers: Object.values(controllers),
    term,
    inheritedUIDs: (signal) => inheritedUIDs(client, signal),
    flush: async () => {
      await tasks.stop()
      await parts.flush?.()
    },
    ...(elector === undefined ? {} : { elector }),
  })
  return { manager, controllers, close: reconcilers.close }
}

export type Watch = <T extends KubeObject>(resource: Resource<T>, indices?: IndexFunctions<T>) => Informer<T>

/** All that is watched, each by an informer that `watch` makes. */
export const informersOf = (watch: Watch): Informers => ({
  virtualMachines: watch(api.virtualMachines, virtualMachineIndices),
  slots: watch(api.slots, slotIndices),
  hypervisors: watch(api.hypervisors),
  storagePools: watch(api.storagePools, storagePoolIndices),
  networks: watch(api.networks),
  addressLeases: watch(api.addressLeases, addressLeaseIndices),
  sizes: watch(api.virtualMachineSizes),
  images: watch(api.images),
  clusterImages: watch(api.clusterImages),
})

/** Machines that are there, and machines that slots still name, though their objects may be gone. */
async function inheritedUIDs(client: KubeClient, signal: AbortSignal): Promise<string[]> {
  const machines = await client.list(api.virtualMachines, { signal })
  const slots = await client.list(api.slots, { signal })
  const consumers = slots.items.flatMap(({ status }) => (status?.consumerRef ? [status.consumerRef.uid] : []))
  return [...machines.items.map(({ metadata }) => metadata.uid), ...consumers]
}

/** Around every session, from the outside in: what is measured, how much at a time, and whether we still lead. */
function connectWith({ driver, guard, metrics, tracing = runtime.noTracing }: ControllerParts): Connect {
  const calls = new HypervisorMetrics(metrics.registry)
  return async (hypervisor, target, limit, signal) => {
    const session = await driver.connect(target, { signal })
    return observed(limited(guarded(session, guard), limit), (call) => {
      calls.record(hypervisor, call)
      tracing.call({ ...call, system: 'hypervisor', failed: call.outcome !== 'Success' })
    })
  }
}

export type Controllers = Readonly<Record<ReconcilerName, runtime.Controller>>

/** A hypervisor that hangs holds a quarter of the workers at most. */
const hypervisorShare = 1 / 4

function controllersOf(
  { reconcilers, groups }: Pick<Reconcilers, 'reconcilers' | 'groups'>,
  workers: number,
  { clock, log, metrics, tracing, onDefect }: ControllerParts,
): Controllers {
  const groupLimit = Math.ceil(workers * hypervisorShare)
  const entries = Object.entries(reconcilers).map(([name, reconciler]) => {
    const groupOf = groups[name as ReconcilerName]
    const options = {
      ...{ reconciler, clock, log, metrics, workers },
      ...(groupOf === undefined ? {} : { groupOf, groupLimit }),
      ...(tracing === undefined ? {} : { tracing }),
      ...(onDefect === undefined ? {} : { onDefect }),
    }
    return [name, new runtime.Controller(options)]
  })
  return Object.fromEntries(entries) as Controllers
}

const enqueuersOf = (controllers: Controllers) =>
  Object.fromEntries(Object.entries(controllers).map(([name, { enqueue }]) => [name, enqueue])) as Record<
    ReconcilerName,
    runtime.Enqueue
  >
