import { expect, test } from '@jest/globals'
import { pino } from 'pino'
import { VirtualClock } from './clock.ts'
import { Controller } from './controller.ts'
import { Metrics } from './metrics.ts'

/** Of controller-runtime and client-go: what dashboards and alerts made for these ask for. */
const known = [
  'controller_runtime_reconcile_total{controller="thing",result="success"} 0',
  'controller_runtime_reconcile_total{controller="thing",result="requeue_after"} 0',
  'controller_runtime_reconcile_total{controller="thing",result="requeue"} 0',
  'controller_runtime_reconcile_total{controller="thing",result="error"} 0',
  'controller_runtime_reconcile_errors_total{controller="thing"} 0',
  'controller_runtime_terminal_reconcile_errors_total{controller="thing"} 0',
  'controller_runtime_reconcile_panics_total{controller="thing"} 0',
  'controller_runtime_reconcile_timeouts_total{controller="thing"} 0',
  'controller_runtime_max_concurrent_reconciles{controller="thing"} 2',
  'controller_runtime_active_workers{controller="thing"} 1',
  'workqueue_depth{name="thing",priority="Change"} 1',
  'workqueue_depth{name="thing",priority="Resync"} 0',
  'workqueue_adds_total{name="thing"} 2',
  'workqueue_queue_duration_seconds_count{name="thing"} 1',
  'workqueue_unfinished_work_seconds{name="thing"} 3',
  'workqueue_longest_running_processor_seconds{name="thing"} 3',
  'rest_client_requests_total{code="200",method="GET",host="api:6443"} 1',
  'rest_client_request_duration_seconds_sum{verb="GET",host="api:6443"} 0.5',
  'leader_election_master_status{name="berth"} 1',
]
const named = [
  'controller_runtime_reconcile_time_seconds',
  'workqueue_work_duration_seconds',
  'workqueue_retries_total',
  'berth_reconcile_errors_total',
  'berth_abandoned_passes',
  'berth_events_dropped_total',
]

test('every metric has the name and the labels that others’ dashboards ask for, from the start', async () => {
  const metrics = new Metrics()
  const clock = new VirtualClock()
  const controller = new Controller({
    reconciler: { name: 'thing', reconcile: () => new Promise(() => {}) },
    clock,
    log: pino({ level: 'silent' }),
    metrics,
    workers: 2,
    groupOf: () => 'host',
    groupLimit: 1,
  })
  controller.start()
  controller.enqueue('a', 'Change')
  controller.enqueue('b', 'Change')
  metrics.request({ method: 'GET', code: '200', host: 'api:6443', seconds: 0.5 })
  metrics.leader.set({ name: 'berth' }, 1)
  await clock.advance(3_000)
  const lines = (await metrics.registry.metrics()).split('\n')
  expect(lines).toEqual(expect.arrayContaining(known))
  expect(lines.map((line) => line.split(' ')[2])).toEqual(expect.arrayContaining(named))
})
