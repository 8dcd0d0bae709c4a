import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { HealthServer } from './health.ts'
import { Metrics } from './metrics.ts'

let problem: string | undefined
let server: HealthServer
let origin: string
let metrics: Metrics
beforeEach(async () => {
  problem = undefined
  metrics = new Metrics()
  server = new HealthServer({ host: '127.0.0.1', port: 0, registry: metrics.registry, ready: () => problem })
  origin = `http://127.0.0.1:${await server.start()}`
})
afterEach(() => server.stop())

test.each([
  ['/healthz', 200],
  ['/readyz', 200],
  ['/readyz?verbose', 200],
  ['/metrics', 200],
  ['/', 404],
])('%s', async (path, status) => {
  expect((await fetch(origin + path)).status).toBe(status)
})

test('not ready: 503, and why', async () => {
  problem = 'caches are not filled yet'
  const answer = await fetch(`${origin}/readyz`)
  expect([answer.status, await answer.text()]).toEqual([503, 'caches are not filled yet\n'])
  expect((await fetch(`${origin}/healthz`)).status).toBe(200)
})

test('it answers questions only', async () => {
  expect((await fetch(`${origin}/healthz`, { method: 'POST' })).status).toBe(405)
})

test('metrics have the names that dashboards for controller-runtime know', async () => {
  metrics.passes.inc({ controller: 'thing', result: 'success' })
  metrics.forQueue('thing').added()
  metrics.leader.set({ name: 'berth' }, 1)
  const text = await (await fetch(`${origin}/metrics`)).text()
  expect(text).toContain('controller_runtime_reconcile_total{controller="thing",result="success"} 1')
  expect(text).toContain('workqueue_adds_total{name="thing"} 1')
  expect(text).toContain('leader_election_master_status{name="berth"} 1')
  for (const name of [
    'workqueue_depth',
    'workqueue_queue_duration_seconds',
    'workqueue_work_duration_seconds',
    'workqueue_retries_total',
    'controller_runtime_reconcile_time_seconds',
    'controller_runtime_active_workers',
  ]) {
    expect(text).toContain(`# TYPE ${name} `)
  }
})

test('a port that is taken is an error', async () => {
  const { port } = new URL(origin)
  const second = new HealthServer({
    host: '127.0.0.1',
    port: Number(port),
    registry: metrics.registry,
    ready: () => undefined,
  })
  await expect(second.start()).rejects.toThrow(/EADDRINUSE/)
})
