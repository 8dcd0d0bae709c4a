import type { Logger } from 'pino'
import { BerthError, toBerthError } from '../errors/index.ts'
import { Backoff } from './backoff.ts'
import type { Metrics } from './metrics.ts'
import type { Clock, Enqueue, Reconciler, Result } from './port.ts'
import { Queue } from './queue.ts'

export interface ControllerOptions {
  readonly reconciler: Reconciler
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Keys that are worked on at once. Default 1. */
  readonly workers?: number
  /** A pass that takes longer is aborted, ms. Default 2 min. */
  readonly passDeadline?: number
  /** How soon a Waiting object without its own time is looked at, though nothing woke it; ms. Default 5 min. */
  readonly waitingRetry?: number
  /** After failures, ms. Default 1 s … 60 s. */
  readonly backoff?: { readonly base: number; readonly max: number }
  readonly random?: () => number
}

/** What became of a pass. */
type Outcome =
  | { readonly result: Result; readonly error?: never }
  | { readonly result?: never; readonly error: BerthError }

/** Someone else writes faster than our cache follows: after the first, soon rather than at once. ms */
const conflictBackoff = { base: 20, max: 1_000 }

/**
 * Takes keys from its queue and has each reconciled: one pass per key at a time, `workers` keys at once. The only place
 * that decides about retries.
 */
export class Controller {
  readonly name: string
  readonly queue: Queue
  readonly enqueue: Enqueue
  readonly #options: ControllerOptions
  readonly #conflicts: Backoff
  readonly #abort = new AbortController()
  #workers: Promise<void>[] = []

  constructor(options: ControllerOptions) {
    const { reconciler, clock, metrics, random, backoff } = options
    this.#options = options
    this.name = reconciler.name
    this.queue = new Queue({
      clock,
      metrics: metrics.forQueue(this.name),
      ...(backoff === undefined ? {} : { backoff }),
      ...(random === undefined ? {} : { random }),
    })
    this.#conflicts = new Backoff(conflictBackoff, random)
    this.enqueue = (key) => this.queue.add(key)
  }

  start(): void {
    const { workers = 1, log } = this.#options
    log.info({ controller: this.name, workers }, 'starting workers')
    this.#workers = Array.from({ length: workers }, () => this.#work())
  }

  /** Takes no more keys, and waits for passes that run, at most `limit` ms; then aborts them. False: some still run. */
  async stop(limit: number): Promise<boolean> {
    this.queue.shutDown()
    const ended = Promise.all(this.#workers).then(() => true)
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
    const { metrics } = this.#options
    for (let key = await this.queue.take(); key !== undefined; key = await this.queue.take()) {
      metrics.activeWorkers.inc({ controller: this.name })
      try {
        this.#decide(key, await this.#pass(key))
      } finally {
        this.queue.done(key)
        metrics.activeWorkers.dec({ controller: this.name })
      }
    }
  }

  /** Never rejects. */
  async #pass(key: string): Promise<Outcome> {
    const { reconciler, clock, log, metrics, passDeadline = 120_000 } = this.#options
    const abort = new AbortController()
    const stop = () => abort.abort(this.#abort.signal.reason)
    this.#abort.signal.addEventListener('abort', stop, { once: true })
    const cancel = clock.after(passDeadline, () => {
      const error = new BerthError('InternalError', `A pass took longer than ${passDeadline / 1000} s.`)
      log.error({ controller: this.name, key, err: error }, 'aborting a pass')
      abort.abort(error)
    })
    const started = clock.monotonic()
    try {
      const context = { signal: abort.signal, log: log.child({ controller: this.name, key }) }
      return { result: await reconciler.reconcile(key, context) }
    } catch (error) {
      return { error: toBerthError(error) }
    } finally {
      cancel()
      this.#abort.signal.removeEventListener('abort', stop)
      metrics.passSeconds.observe({ controller: this.name }, (clock.monotonic() - started) / 1000)
    }
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
    if (error.class !== 'Conflict') metrics.passErrors.inc({ controller: this.name, reason: error.code })
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
