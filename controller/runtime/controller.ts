import type { Logger } from 'pino'
import { BerthError, isBerthError, toBerthError } from '../errors/index.ts'
import { Backoff } from './backoff.ts'
import type { Metrics } from './metrics.ts'
import { type Clock, type Enqueue, noTracing, type Reconciler, type Result, type Tracing } from './port.ts'
import { Queue } from './queue.ts'

export interface ControllerOptions {
  readonly reconciler: Reconciler
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Keys that are worked on at once. Default 1. */
  readonly workers?: number
  /** What a key's work can be held up by (its host): see Queue. */
  readonly groupOf?: (key: string) => string | undefined
  /** Keys of one group that are worked on at once. Default: no limit. */
  readonly groupLimit?: number
  /** A pass that takes longer is aborted, ms. Default 2 min. */
  readonly passDeadline?: number
  /** One that still goes on so long after that has its worker replaced, ms. Default 30 s. */
  readonly abandonAfter?: number
  /** How soon a Waiting object without its own time is looked at, though nothing woke it; ms. Default 5 min. */
  readonly waitingRetry?: number
  /** After failures, ms. Default 1 s … 60 s. */
  readonly backoff?: { readonly base: number; readonly max: number }
  readonly random?: () => number
  readonly tracing?: Tracing
  /** Told of what was thrown that nobody foresaw. */
  readonly onDefect?: (error: BerthError, controller: string) => void
}

/** What became of a pass. `outcome` is `Success` or the error's code. */
type Outcome = { readonly outcome: string } & (
  | { readonly result: Result; readonly error?: never }
  | { readonly result?: never; readonly error: BerthError }
)

/** Someone else writes faster than our cache follows: after the first, soon rather than at once. ms */
const conflictBackoff = { base: 20, max: 1_000 }

/**
 * Takes keys from its queue and has each reconciled: one pass per key at a time, `workers` keys at once. The only place
 * that decides about retries.
 *
 * A pass has two deadlines: at the first it is aborted, at the second its worker is replaced. A pass that does not end
 * even so keeps its key and its place in its group: nothing else is begun for that object, and what hangs on one host
 * stays bounded.
 */
export class Controller {
  readonly name: string
  readonly queue: Queue
  readonly enqueue: Enqueue
  readonly #options: ControllerOptions
  readonly #conflicts: Backoff
  readonly #abort = new AbortController()
  #workers: Promise<void>[] = []
  /** Also those whose worker was replaced. */
  readonly #passes = new Set<Promise<void>>()

  constructor(options: ControllerOptions) {
    const { reconciler, clock, metrics, random, backoff, groupOf, groupLimit } = options
    this.#options = options
    this.name = reconciler.name
    this.queue = new Queue({
      clock,
      metrics: metrics.forQueue(this.name),
      ...(backoff === undefined ? {} : { backoff }),
      ...(random === undefined ? {} : { random }),
      ...(groupOf === undefined ? {} : { groupOf }),
      ...(groupLimit === undefined ? {} : { groupLimit }),
    })
    this.#conflicts = new Backoff(conflictBackoff, random)
    this.enqueue = (key, priority) => this.queue.add(key, priority)
  }

  start(): void {
    const { workers = 1, log, metrics } = this.#options
    log.info({ controller: this.name, workers }, 'starting workers')
    metrics.startController(this.name, workers)
    this.#workers = Array.from({ length: workers }, () => this.#work())
  }

  /** Takes no more keys, and waits for passes that run, at most `limit` ms; then aborts them. False: some still run. */
  async stop(limit: number): Promise<boolean> {
    this.queue.shutDown()
    const ended = Promise.all([...this.#workers, ...this.#passes]).then(() => true)
    let late = () => {}
    const cancel = this.#options.clock.after(limit, () => late())
    const over = new Promise<boolean>((resolve) => {
      late = () => {
        this.abort()
        resolve(false)
      }
    })
    const clean = await Promise.race([ended, over])
    cancel()
    return clean
  }

  /** Takes no more keys, and aborts passes that run. */
  abort(): void {
    this.queue.shutDown()
    this.#abort.abort(new BerthError('NotLeader', 'This process is stopping.'))
  }

  async #work(): Promise<void> {
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) await this.#handle(key)
  }

  /** Resolves when the worker is free: the pass has ended, or does not end though it was told to. */
  #handle(key: string): Promise<void> {
    const { metrics } = this.#options
    const labels = { controller: this.name }
    return new Promise((resolve) => {
      metrics.activeWorkers.inc(labels)
      const free = () => {
        metrics.activeWorkers.dec(labels)
        resolve()
      }
      const overdue = this.#deadlines(key, free)
      const pass = this.#pass(key, overdue.signal)
        .then((outcome) => this.#decide(key, outcome))
        .finally(() => {
          this.queue.done(key)
          this.#passes.delete(pass)
          if (overdue.end()) metrics.abandonedPasses.dec(labels)
          else free()
        })
      this.#passes.add(pass)
    })
  }

  /** `end` stops the watching, and says whether the pass was abandoned before. */
  #deadlines(key: string, abandon: () => void): { readonly signal: AbortSignal; readonly end: () => boolean } {
    const { clock, log, metrics, passDeadline = 120_000, abandonAfter = 30_000 } = this.#options
    const labels = { controller: this.name }
    const abort = new AbortController()
    const stop = () => abort.abort(this.#abort.signal.reason)
    this.#abort.signal.addEventListener('abort', stop, { once: true })
    let abandoned = false
    let cancel = clock.after(passDeadline, () => {
      const error = new BerthError('InternalError', `A pass took longer than ${passDeadline / 1000} s.`)
      log.error({ ...labels, key, err: error }, 'aborting a pass')
      metrics.passTimeouts.inc(labels)
      cancel = clock.after(abandonAfter, () => {
        log.error({ ...labels, key }, 'an aborted pass goes on; its worker is replaced, its key is left alone')
        abandoned = true
        metrics.abandonedPasses.inc(labels)
        abandon()
      })
      abort.abort(error)
    })
    const end = () => {
      cancel()
      this.#abort.signal.removeEventListener('abort', stop)
      return abandoned
    }
    return { signal: abort.signal, end }
  }

  /** Never rejects. */
  #pass(key: string, signal: AbortSignal): Promise<Outcome> {
    const { reconciler, clock, log, metrics, tracing = noTracing, onDefect } = this.#options
    return tracing.pass(this.name, async (traceID): Promise<Outcome> => {
      const started = clock.monotonic()
      try {
        const fields = { controller: this.name, key, ...(traceID === undefined ? {} : { traceID }) }
        const result = await reconciler.reconcile(key, { signal, log: log.child(fields) })
        return { result, outcome: 'Success' }
      } catch (thrown) {
        if (!isBerthError(thrown)) metrics.panics.inc({ controller: this.name })
        const error = toBerthError(thrown)
        if (error.code === 'InternalError') onDefect?.(error, this.name)
        return { error, outcome: error.code }
      } finally {
        metrics.passSeconds.observe({ controller: this.name }, (clock.monotonic() - started) / 1000)
      }
    })
  }

  #decide(key: string, { result, error }: Outcome): void {
    const { log, metrics, waitingRetry = 300_000 } = this.#options
    const count = (label: string) => metrics.passes.inc({ controller: this.name, result: label })
    if (error?.class !== 'Conflict') this.#conflicts.forget(key)
    if (error === undefined) {
      this.queue.forget(key)
      count(result.requeueAfter === undefined ? 'success' : 'requeue_after')
      if (result.requeueAfter !== undefined) this.queue.addAfter(key, result.requeueAfter)
      return
    }
    if (error.class !== 'Conflict') metrics.errorCodes.inc({ controller: this.name, reason: error.code })
    if (error.class !== 'Conflict' && error.class !== 'Waiting') metrics.passErrors.inc({ controller: this.name })
    const fields = { controller: this.name, key, err: error, code: error.code }
    switch (error.class) {
      case 'Waiting':
        log.debug(fields, 'waiting')
        count('requeue_after')
        this.queue.forget(key)
        this.queue.addAfter(key, error.retryAfter ?? waitingRetry)
        break
      case 'Terminal':
        log.warn(fields, 'a person must act')
        count('error')
        metrics.terminalErrors.inc({ controller: this.name })
        this.queue.forget(key)
        // Only where nothing that we watch would tell that it was mended.
        if (error.retryAfter !== undefined) this.queue.addAfter(key, error.retryAfter)
        break
      case 'Conflict': {
        count('requeue')
        const first = this.#conflicts.failures(key) === 0
        const wait = this.#conflicts.next(key)
        this.queue.addAfter(key, first ? 0 : wait)
        break
      }
      case 'Transient':
      case 'Ambiguous':
        log[error.code === 'InternalError' ? 'error' : 'warn'](fields, 'a pass failed')
        count('error')
        this.queue.retry(key, error.retryAfter)
        break
    }
  }
}
