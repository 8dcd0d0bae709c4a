/** The composition root: the only file that may import everything. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { createImageService, lazyImageService } from '@berth/images'
import * as api from './api/index.ts'
import { type Config, ConfigError, HelpRequested, loadConfig } from './config/index.ts'
import { libvirtDriver } from './drivers/libvirt/index.ts'
import { BerthError, isBerthError } from './errors/index.ts'
import { HypervisorMetrics } from './hypervisor/metrics.ts'
import { type Guard, guarded, limited, observed } from './hypervisor/wrap.ts'
import * as kube from './kube/index.ts'
import type { Connect } from './reconcilers/hypervisor/connections.ts'
import { createReconcilers, type ReconcilerName } from './reconcilers/index.ts'
import type { Informers } from './reconcilers/informers.ts'
import { slotIndices, storagePoolIndices, virtualMachineIndices } from './reconcilers/shared/caches.ts'
import * as runtime from './runtime/index.ts'

/** Exit codes (docs): 0 ended as told, 1 failed, 2 wrong settings. */
async function main(): Promise<number> {
  let config: Config
  try {
    config = loadConfig({ argv: process.argv.slice(2), env: process.env })
  } catch (error) {
    if (error instanceof HelpRequested) {
      process.stdout.write(error.message)
      return 0
    }
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`berth-controller: ${error.message}\n`)
    return 2
  }
  const log = runtime.createLogger(config.logLevel)
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())
  try {
    await run(config, log, stop.signal)
    log.info('stopped')
    return 0
  } catch (error) {
    log.fatal({ err: error }, 'ended')
    return 1
  }
}

async function run(config: Config, log: ReturnType<typeof runtime.createLogger>, signal: AbortSignal): Promise<void> {
  const clock = runtime.systemClock
  const metrics = new runtime.Metrics()
  metrics.collectProcess()
  const term = new runtime.LeaderTerm(clock)
  const identity = `${hostname()}_${randomBytes(4).toString('hex')}`
  const credentials = await kube.loadCredentials({
    clock,
    ...(config.kubeconfig === undefined ? {} : { kubeconfig: config.kubeconfig }),
    ...(config.context === undefined ? {} : { context: config.context }),
  })
  const transport = new kube.Transport({ credentials, clock })
  const elector = config.leaderElect ? electorOf(config, credentials, identity, log) : undefined
  const guard: Guard = elector?.guard ?? kube.unguarded
  const client = new kube.APIClient(transport, guard)
  const informers = informersOf(transport, log)
  const recorder = new kube.APIEventRecorder({
    client,
    clock,
    log,
    instance: identity,
    onDrop: (reason) => metrics.droppedEvents.inc({ reason }),
  })
  const tasks = new runtime.TaskRunner(clock, log)
  const service = lazyImageService(() =>
    createImageService({ directory: config.imageStore ?? resolve('berth-images'), log }),
  )
  const reconcilers = createReconcilers({
    client,
    informers,
    connect: connectWith(guard, new HypervisorMetrics(metrics.registry)),
    service,
    tasks,
    settling: new runtime.Settling(clock, term),
    recorder,
    clock,
    log,
    namespace: config.namespace,
    hostJobWait: config.hostJobWait,
    cluster: await clusterID(client, signal),
  })
  const controllers = controllersOf(reconcilers.reconcilers, config, { clock, log, metrics })
  reconcilers.wire(enqueuersOf(controllers))
  const manager = new runtime.Manager({
    clock,
    log,
    metrics,
    informers: Object.values(informers),
    controllers: Object.values(controllers),
    term,
    inheritedUIDs: (aborted) => inheritedUIDs(client, aborted),
    flush: async () => {
      await tasks.stop()
      await recorder.flush(5_000)
    },
    ...(elector === undefined ? {} : { elector }),
  })
  const health = new runtime.HealthServer({
    ...config.healthAddress,
    registry: metrics.registry,
    ready: () => manager.notReady(),
  })
  const close = async () => {
    await Promise.allSettled([reconcilers.close(), service.close(), health.stop()])
    await transport.close()
  }
  log.info({ port: await health.start(), identity }, 'health, readiness and metrics are served')
  try {
    await manager.run(signal)
  } catch (error) {
    // Another may lead by now: nothing is tidied up, the process ends at once.
    if (!isBerthError(error, 'NotLeader')) await close()
    throw error
  }
  await close()
}

/** Machines that are there, and machines that slots still name, though their objects may be gone. */
async function inheritedUIDs(client: kube.KubeClient, signal: AbortSignal): Promise<string[]> {
  const machines = await client.list(api.virtualMachines, { signal })
  const slots = await client.list(api.slots, { signal })
  const consumers = slots.items.flatMap(({ status }) => (status?.consumerRef ? [status.consumerRef.uid] : []))
  return [...machines.items.map(({ metadata }) => metadata.uid), ...consumers]
}

/** Election has connections of its own, so that a busy process still renews. */
function electorOf(
  config: Config,
  credentials: kube.Credentials,
  identity: string,
  log: ReturnType<typeof runtime.createLogger>,
): kube.LeaderElector {
  const clock = runtime.systemClock
  const transport = new kube.Transport({ credentials, clock, connections: 1 })
  const { namespace, leaseDuration, renewDeadline, retryPeriod } = config
  return new kube.LeaderElector({
    client: new kube.APIClient(transport, kube.unguarded),
    clock,
    log,
    namespace,
    name: 'berth-controller',
    identity,
    leaseDuration,
    renewDeadline,
    retryPeriod,
  })
}

function informersOf(transport: kube.Transport, log: ReturnType<typeof runtime.createLogger>): Informers {
  const watch = <T extends kube.KubeObject>(resource: kube.Resource<T>, indices: kube.IndexFunctions<T> = {}) =>
    new kube.ListWatchInformer({ transport, resource, clock: runtime.systemClock, log, indices })
  return {
    virtualMachines: watch(api.virtualMachines, virtualMachineIndices),
    slots: watch(api.slots, slotIndices),
    hypervisors: watch(api.hypervisors),
    storagePools: watch(api.storagePools, storagePoolIndices),
    networks: watch(api.networks),
    sizes: watch(api.virtualMachineSizes),
    images: watch(api.images),
    clusterImages: watch(api.clusterImages),
  }
}

/** Around every session, from the outside in: what is measured, how much at a time, and whether we still lead. */
function connectWith(guard: Guard, metrics: HypervisorMetrics): Connect {
  return async (hypervisor, target, limit, signal) => {
    const session = await libvirtDriver.connect(target, { signal })
    return observed(limited(guarded(session, guard), limit), (call) => metrics.record(hypervisor, call))
  }
}

type Controllers = Readonly<Record<ReconcilerName, runtime.Controller>>

function controllersOf(
  reconcilers: Readonly<Record<ReconcilerName, runtime.Reconciler>>,
  { workers }: Config,
  engine: Pick<runtime.ControllerOptions, 'clock' | 'log' | 'metrics'>,
): Controllers {
  const entries = Object.entries(reconcilers).map(([name, reconciler]) => [
    name,
    new runtime.Controller({ ...engine, reconciler, workers }),
  ])
  return Object.fromEntries(entries) as Controllers
}

const enqueuersOf = (controllers: Controllers) =>
  Object.fromEntries(Object.entries(controllers).map(([name, { enqueue }]) => [name, enqueue])) as Record<
    ReconcilerName,
    runtime.Enqueue
  >

/** Tells this cluster's machines on a host from another's. */
async function clusterID(client: kube.KubeClient, signal: AbortSignal): Promise<string> {
  const namespace = await client.get(kube.namespaces, { name: 'kube-system' }, { signal })
  if (!namespace)
    throw new BerthError('APIRefused', 'the namespace kube-system is not there: is this a Kubernetes cluster?')
  return namespace.metadata.uid
}

process.exitCode = await main()
// A lost lease, or a call that hangs, must not keep the process: what is under way is for the next leader to see.
process.exit()
