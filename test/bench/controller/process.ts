/**
 * The controller as a process of its own: the real composition, client and informers, with the settings that it has by
 * default. Hosts are reached through the process that started it, which ends it. Argument: the API server's URL.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { slots, virtualMachines } from '../../../controller/api/index.ts'
import { composeController, informersOf } from '../../../controller/composition.ts'
import { settings } from '../../../controller/config/settings.ts'
import * as kube from '../../../controller/kube/index.ts'
import type { ReconcilerName } from '../../../controller/reconcilers/index.ts'
import { Controller, Metrics, systemClock } from '../../../controller/runtime/index.ts'
import { FarHosts } from './far-driver.ts'
import { imageService } from './images.ts'
import type { Command, FromController, Memory, Settled, ToController, Took } from './messages.ts'

const [server = ''] = process.argv.slice(2)
const log = pino({ level: process.env['BENCH_LOG'] ?? 'silent' })
const clock = systemClock
const workers = settings.workers.parse(settings.workers.default)
const metrics = new Metrics()
const credentials: kube.Credentials = {
  server: new URL(server),
  current: async () => ({ tls: {}, headers: {} }),
  invalidate() {},
}
const transport = new kube.Transport({ credentials, clock, onRequest: (request) => metrics.request(request) })
const client = new kube.APIClient(transport, kube.unguarded)
/** Who started this process may have ended, which ends this one as well. */
const send = (message: FromController) => void process.send?.(message, () => {})
const hosts = new FarHosts(send)
const informers = informersOf(
  (resource, indices = {}) => new kube.ListWatchInformer({ transport, resource, clock, log, indices }),
)
const { manager, controllers } = composeController({
  client,
  informers,
  driver: hosts.driver,
  service: imageService,
  recorder: new kube.APIEventRecorder({ client, clock, log, instance: 'bench' }),
  guard: kube.unguarded,
  clock,
  log,
  metrics,
  settings: { namespace: 'berth-system', cluster: 'cluster-uid', hostJobWait: 30_000, workers },
})

/** How often it is looked whether all is done, ms: how exact `settle` is. */
const look = 5

async function run(command: Command): Promise<unknown> {
  switch (command.name) {
    case 'settle':
      return settle(command.quiet)
    case 'resync':
      return resync()
    case 'bareQueue':
      return took(() => bareQueue(command.keys))
    case 'bareWrites':
      return took(() => bareWrites(command.count))
    case 'bareList':
      return took(() => Promise.all([client.list(virtualMachines), client.list(slots)]))
  }
}

/** Until the last pass has ended. */
async function resync(): Promise<Took> {
  const begun = { at: performance.now(), cpu: cpu() }
  for (const { metadata } of informers.virtualMachines.list()) {
    controllers.virtualMachine.enqueue(`${metadata.namespace}/${metadata.name}`, 'Resync')
  }
  const settled = await settle(100)
  return { took: settled.since - begun.at, cpu: settled.cpu - begun.cpu }
}

async function took(work: () => Promise<unknown>): Promise<Took> {
  const begun = { at: performance.now(), cpu: cpu() }
  await work()
  return { took: performance.now() - begun.at, cpu: cpu() - begun.cpu }
}

/** ms */
function cpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

async function settle(quiet: number): Promise<Settled> {
  let last = { since: performance.now(), cpu: cpu() }
  while (performance.now() - last.since < quiet) {
    if (await busy()) last = { since: performance.now(), cpu: cpu() }
    await sleep(look)
  }
  return { ...last, passes: await passes(), memory: memory() }
}

async function busy(): Promise<boolean> {
  if (!manager.leading || Object.values(controllers).some(({ queue }) => queue.length > 0)) return true
  const { values } = await metrics.activeWorkers.get()
  return values.some(({ value }) => value > 0)
}

async function passes(): Promise<Settled['passes']> {
  const counted: Partial<Record<ReconcilerName, number>> = {}
  for (const { labels, value } of (await metrics.passes.get()).values) {
    const name = Object.keys(controllers).find((key) => controllers[key as ReconcilerName].name === labels.controller)
    if (name !== undefined) counted[name as ReconcilerName] = (counted[name as ReconcilerName] ?? 0) + value
  }
  return counted
}

function memory(): Memory {
  const status = readFileSync('/proc/self/status', 'utf8')
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
  return { resident: bytes('VmRSS'), highest: bytes('VmHWM'), heap: process.memoryUsage().heapUsed }
}

function bareQueue(keys: number): Promise<void> {
  let left = keys
  return new Promise((resolve) => {
    const reconcile = async () => {
      if (--left === 0) resolve()
      return {}
    }
    const bare = new Controller({
      reconciler: { name: 'bare', reconcile },
      ...{ clock, log, workers },
      metrics: new Metrics(),
    })
    for (let key = 0; key < keys; key++) bare.enqueue(`bench/${key}`, 'Resync')
    bare.start()
  })
}

const bareEvent: kube.Event = {
  apiVersion: kube.events.apiVersion,
  kind: kube.events.kind,
  metadata: { name: '' },
  eventTime: '2026-01-01T00:00:00.000000Z',
  reportingController: 'bench',
  reportingInstance: 'bench',
  action: 'Bench',
  reason: 'Bench',
  regarding: {},
  note: 'x'.repeat(1_000),
  type: 'Normal',
}

/** Of objects that nobody watches, by as many loops as there are workers. */
async function bareWrites(count: number): Promise<void> {
  let next = 0
  const loop = async () => {
    while (next < count) {
      await client.create(kube.events, { ...bareEvent, metadata: { namespace: 'bare', name: `bare-${next++}` } })
    }
  }
  await Promise.all(Array.from({ length: workers }, loop))
}

process.on('message', async (message: ToController) => {
  hosts.receive(message)
  if (message.type !== 'command') return
  const value = await run(message.command)
  send({ type: 'done', id: message.id, answer: { value } })
})
process.once('disconnect', () => process.exit())
await manager.run(new AbortController().signal)
