import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { priorities } from './port.ts'
import type { QueueMetrics } from './queue.ts'

/** An attempt at a request to the API server. */
export interface RequestFacts {
  readonly method: string
  /** HTTP status, or `<error>` where no answer came. */
  readonly code: string
  /** The API server's host and port. */
  readonly host: string
  readonly seconds: number
}

const seconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

/** The results that a pass can have, by controller-runtime's names: `requeue` is a conflict. */
const results = ['success', 'requeue_after', 'requeue', 'error'] as const

/** The engine's metrics, by the names of controller-runtime and client-go, so that dashboards made for these fit. */
export class Metrics {
  readonly registry: Registry
  readonly passes: Counter<'controller' | 'result'>
  readonly passErrors: Counter<'controller'>
  readonly terminalErrors: Counter<'controller'>
  /** Passes that threw what is no BerthError. */
  readonly panics: Counter<'controller'>
  readonly passTimeouts: Counter<'controller'>
  readonly passSeconds: Histogram<'controller'>
  readonly activeWorkers: Gauge<'controller'>
  readonly leader: Gauge<'name'>
  /** By code of the error table. */
  readonly errorCodes: Counter<'controller' | 'reason'>
  readonly abandonedPasses: Gauge<'controller'>
  readonly droppedEvents: Counter<'reason'>
  readonly #maxConcurrent: Gauge<'controller'>
  readonly #depth: Gauge<'name' | 'priority'>
  readonly #adds: Counter<'name'>
  readonly #waited: Histogram<'name'>
  readonly #worked: Histogram<'name'>
  readonly #retries: Counter<'name'>
  readonly #working = new Map<string, () => readonly number[]>()
  readonly #requests: Counter<'code' | 'method' | 'host'>
  readonly #requestSeconds: Histogram<'verb' | 'host'>

  constructor(registry: Registry = new Registry()) {
    this.registry = registry
    const labels = ['controller'] as const
    this.passes = this.counter('controller_runtime_reconcile_total', 'Passes by result.', ['controller', 'result'])
    this.passErrors = this.counter('controller_runtime_reconcile_errors_total', 'Passes that failed.', labels)
    this.terminalErrors = this.counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Passes after which a person must act.',
      labels,
    )
    this.panics = this.counter(
      'controller_runtime_reconcile_panics_total',
      'Passes that threw what nobody foresaw.',
      labels,
    )
    this.passTimeouts = this.counter(
      'controller_runtime_reconcile_timeouts_total',
      'Passes that were aborted at their deadline.',
      labels,
    )
    this.passSeconds = this.histogram('controller_runtime_reconcile_time_seconds', 'Length of passes.', labels)
    this.#maxConcurrent = this.gauge('controller_runtime_max_concurrent_reconciles', 'Passes at once, at most.', labels)
    this.activeWorkers = this.gauge('controller_runtime_active_workers', 'Passes that run now.', labels)
    this.leader = this.gauge('leader_election_master_status', '1 while this process holds the lease.', ['name'])
    this.errorCodes = this.counter('berth_reconcile_errors_total', 'Passes that ended with an error, by its code.', [
      'controller',
      'reason',
    ])
    this.abandonedPasses = this.gauge(
      'berth_abandoned_passes',
      'Passes that go on now though they were aborted, and whose workers were replaced.',
      labels,
    )
    this.droppedEvents = this.counter('berth_events_dropped_total', 'Events that were not written.', ['reason'])
    this.#depth = this.gauge('workqueue_depth', 'Keys that wait for a worker.', ['name', 'priority'])
    this.#adds = this.counter('workqueue_adds_total', 'Keys that were added.', ['name'])
    this.#waited = this.histogram('workqueue_queue_duration_seconds', 'How long keys waited for a worker.', ['name'])
    this.#worked = this.histogram('workqueue_work_duration_seconds', 'How long keys were worked on.', ['name'])
    this.#retries = this.counter('workqueue_retries_total', 'Keys that were added again after a failure.', ['name'])
    this.#workGauge('workqueue_unfinished_work_seconds', 'How long all keys of now have been worked on.', sum)
    this.#workGauge('workqueue_longest_running_processor_seconds', 'How long the oldest of them has.', longest)
    this.#requests = this.counter('rest_client_requests_total', 'Requests to the API server.', [
      'code',
      'method',
      'host',
    ])
    this.#requestSeconds = this.histogram(
      'rest_client_request_duration_seconds',
      'How long the API server took to answer; watches: to begin.',
      ['verb', 'host'],
    )
  }

  /** The counters of a controller are there from the beginning, so that their first rise shows as one. */
  startController(controller: string, workers: number): void {
    const labels = { controller }
    for (const result of results) this.passes.inc({ controller, result }, 0)
    for (const counter of [this.passErrors, this.terminalErrors, this.panics, this.passTimeouts]) counter.inc(labels, 0)
    for (const gauge of [this.activeWorkers, this.abandonedPasses]) gauge.inc(labels, 0)
    this.#maxConcurrent.set(labels, workers)
  }

  /** An attempt at a request has ended. */
  request({ method, code, host, seconds }: RequestFacts): void {
    this.#requests.inc({ code, method, host })
    this.#requestSeconds.observe({ verb: method, host }, seconds)
  }

  /** Node's own: memory, event loop lag, garbage collection. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry })
  }

  forQueue(name: string): QueueMetrics {
    const labels = { name }
    for (const priority of priorities) this.#depth.set({ name, priority }, 0)
    return {
      added: () => this.#adds.inc(labels),
      depth: (priority, length) => this.#depth.set({ name, priority }, length),
      waited: (time) => this.#waited.observe(labels, time),
      worked: (time) => this.#worked.observe(labels, time),
      retried: () => this.#retries.inc(labels),
      working: (times) => void this.#working.set(name, times),
    }
  }

  /** Is computed when it is asked for. */
  #workGauge(name: string, help: string, of: (times: readonly number[]) => number): void {
    const working = this.#working
    new Gauge({
      name,
      help,
      labelNames: ['name'],
      registers: [this.registry],
      collect() {
        for (const [queue, times] of working) this.set({ name: queue }, of(times()))
      },
    })
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

const sum = (times: readonly number[]): number => times.reduce((total, time) => total + time, 0)
const longest = (times: readonly number[]): number => Math.max(0, ...times)
