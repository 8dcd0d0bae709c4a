import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { QueueMetrics } from './queue.ts'

const seconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

/** The engine's metrics, by controller-runtime's names, so that dashboards made for it fit. */
export class Metrics {
  readonly registry: Registry
  /** result: success, requeue_after, requeue (conflict), error. */
  readonly passes: Counter<'controller' | 'result'>
  /** By code of the error table. */
  readonly passErrors: Counter<'controller' | 'reason'>
  readonly passSeconds: Histogram<'controller'>
  readonly activeWorkers: Gauge<'controller'>
  readonly leader: Gauge<'name'>
  readonly droppedEvents: Counter<'reason'>
  readonly #depth: Gauge<'name'>
  readonly #adds: Counter<'name'>
  readonly #waited: Histogram<'name'>
  readonly #worked: Histogram<'name'>
  readonly #retries: Counter<'name'>

  constructor(registry: Registry = new Registry()) {
    this.registry = registry
    this.passes = this.counter('controller_runtime_reconcile_total', 'Passes by result.', ['controller', 'result'])
    this.passErrors = this.counter('berth_reconcile_errors_total', 'Passes that ended with an error, by its code.', [
      'controller',
      'reason',
    ])
    this.passSeconds = this.histogram('controller_runtime_reconcile_time_seconds', 'Length of passes.', ['controller'])
    this.activeWorkers = this.gauge('controller_runtime_active_workers', 'Passes that run now.', ['controller'])
    this.leader = this.gauge('leader_election_master_status', '1 while this process holds the lease.', ['name'])
    this.droppedEvents = this.counter('berth_events_dropped_total', 'Events that were not written.', ['reason'])
    this.#depth = this.gauge('workqueue_depth', 'Keys that wait for a worker.', ['name'])
    this.#adds = this.counter('workqueue_adds_total', 'Keys that were added.', ['name'])
    this.#waited = this.histogram('workqueue_queue_duration_seconds', 'How long keys waited for a worker.', ['name'])
    this.#worked = this.histogram('workqueue_work_duration_seconds', 'How long keys were worked on.', ['name'])
    this.#retries = this.counter('workqueue_retries_total', 'Keys that were added again after a failure.', ['name'])
  }

  /** Node's own: memory, event loop lag, garbage collection. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry })
  }

  forQueue(name: string): QueueMetrics {
    const labels = { name }
    return {
      added: () => this.#adds.inc(labels),
      depth: (length) => this.#depth.set(labels, length),
      waited: (time) => this.#waited.observe(labels, time),
      worked: (time) => this.#worked.observe(labels, time),
      retried: () => this.#retries.inc(labels),
    }
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }

  gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }

  histogram<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[] = seconds,
  ): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers: [this.registry],
    })
  }
}
