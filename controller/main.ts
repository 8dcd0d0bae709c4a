/** The process around the controller: settings, connections to the API server, signals. With composition.ts, all that may import everything. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname, uptime } from 'node:os'
import { resolve } from 'node:path'
import { createImageService, lazyImageService } from '@berth/images'
import { composeController, informersOf, type Watch } from './composition.ts'
import { type Config, ConfigError, HelpRequested, loadConfig } from './config/index.ts'
import { libvirtDriver } from './drivers/libvirt/index.ts'
import { xapiDriver } from './drivers/xapi/index.ts'
import { BerthError, isBerthError } from './errors/index.ts'
import type { Driver } from './hypervisor/port.ts'
import * as kube from './kube/index.ts'
import { type Observability, startObservability } from './observability/index.ts'
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
  let observability: Observability | undefined
  try {
    observability = await startObservability({
      sentryDSN: config.sentryDsn ?? (config.sentryDsnFile && readFileSync(config.sentryDsnFile, 'utf8').trim()),
      otlpEndpoint: config.otlpEndpoint,
      clock: runtime.systemClock,
      log,
    })
    await run(config, log, observability, stop.signal)
    await observability.close()
    log.info('stopped')
    return 0
  } catch (error) {
    log.fatal({ err: error }, 'ended')
    // Another may lead by now: this process ends at once.
    if (!isBerthError(error, 'NotLeader')) {
      observability?.report(error, 'process', 'fatal')
      await observability?.close()
    }
    return 1
  }
}

async function run(
  config: Config,
  log: ReturnType<typeof runtime.createLogger>,
  { tracing, report }: Observability,
  signal: AbortSignal,
): Promise<void> {
  const clock = runtime.systemClock
  const metrics = new runtime.Metrics()
  metrics.collectProcess()
  const identity = `${hostname()}_${randomBytes(4).toString('hex')}`
  const credentials = await kube.loadCredentials({
    clock,
    ...(config.kubeconfig === undefined ? {} : { kubeconfig: config.kubeconfig }),
    ...(config.context === undefined ? {} : { context: config.context }),
  })
  const onRequest = (request: kube.SentRequest) => {
    const { method, resource, code, seconds } = request
    metrics.request(request)
    tracing.call({
      system: 'kubernetes',
      method: `${method} ${resource}`,
      seconds,
      outcome: code,
      failed: !/^[23]/.test(code),
    })
  }
  const transport = new kube.Transport({ credentials, clock, onRequest })
  const elector = config.leaderElect ? electorOf(config, credentials, identity, log, onRequest) : undefined
  const guard = elector?.guard ?? kube.unguarded
  const client = new kube.APIClient(transport, guard)
  const recorder = new kube.APIEventRecorder({
    client,
    clock,
    log,
    instance: identity,
    onDrop: (reason) => metrics.droppedEvents.inc({ reason }),
  })
  const service = lazyImageService(() =>
    createImageService({ directory: config.imageStore ?? resolve('berth-images'), log }),
  )
  const controller = composeController({
    client,
    informers: informersOf(watchWith(transport, log)),
    driver,
    service,
    recorder,
    guard,
    clock,
    log,
    metrics,
    tracing,
    onDefect: (error, controller) => report(error, controller, 'error'),
    settings: {
      namespace: config.namespace,
      cluster: await clusterID(client, signal),
      hostJobWait: config.hostJobWait,
      workers: config.workers,
    },
    flush: () => recorder.flush(5_000),
    ...(elector === undefined ? {} : { elector }),
  })
  const health = new runtime.HealthServer({
    ...config.healthAddress,
    registry: metrics.registry,
    ready: () => controller.manager.notReady(),
  })
  const close = async () => {
    await Promise.allSettled([controller.close(), service.close(), health.stop()])
    await transport.close()
  }
  log.info({ port: await health.start(), identity }, 'health, readiness and metrics are served')
  try {
    await controller.manager.run(signal)
  } catch (error) {
    // Another may lead by now: nothing is tidied up, the process ends at once.
    if (!isBerthError(error, 'NotLeader')) await close()
    throw error
  }
  await close()
}

/** Election has connections of its own, so that a busy process still renews. */
function electorOf(
  config: Config,
  credentials: kube.Credentials,
  identity: string,
  log: ReturnType<typeof runtime.createLogger>,
  onRequest: (request: kube.SentRequest) => void,
): kube.LeaderElector {
  const clock = runtime.systemClock
  const transport = new kube.Transport({ credentials, clock, connections: 1, onRequest })
  const { namespace, leaseDuration, renewDeadline, retryPeriod } = config
  return new kube.LeaderElector({
    client: new kube.APIClient(transport, kube.unguarded),
    clock,
    sinceBoot: () => uptime() * 1000,
    log,
    namespace,
    name: 'berth-controller',
    identity,
    leaseDuration,
    renewDeadline,
    retryPeriod,
  })
}

const watchWith =
  (transport: kube.Transport, log: ReturnType<typeof runtime.createLogger>): Watch =>
  (resource, indices = {}) =>
    new kube.ListWatchInformer({ transport, resource, clock: runtime.systemClock, log, indices })

const driver: Pick<Driver, 'connect'> = {
  connect: (target, options) =>
    'uri' in target ? libvirtDriver.connect(target, options) : xapiDriver.connect(target, options),
}

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
