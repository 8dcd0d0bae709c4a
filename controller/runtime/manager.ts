/** The life of the process: watch, be elected, work, stop. */
import type { Logger } from 'pino'
import { BerthError } from '../errors/index.ts'
import { backoffDelay } from '../kube/backoff.ts'
import { sleep } from '../kube/clock.ts'
import type { Controller } from './controller.ts'
import type { Metrics } from './metrics.ts'
import type { Clock } from './port.ts'
import type { LeaderTerm } from './term.ts'

/** What the manager needs of an informer. */
export interface Startable {
  readonly ready: Promise<void>
  readonly synced: boolean
  run(signal: AbortSignal): Promise<void>
}

/** What the manager needs of leader election; absent where there is only one process. */
export interface Elector {
  /** Aborted when the lease is lost. */
  readonly lost: AbortSignal
  acquire(signal: AbortSignal): Promise<boolean>
  release(): Promise<void>
}

export interface ManagerOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly informers: readonly Startable[]
  readonly controllers: readonly Controller[]
  readonly term: LeaderTerm
  /** Live, not from a cache: the uids of all objects that an earlier leader may have calls on their way for. */
  readonly inheritedUIDs: (signal: AbortSignal) => Promise<Iterable<string>>
  readonly elector?: Elector
  /** Run from the beginning of the term until its signal is aborted (sessions with hosts, sweeps). */
  readonly whileLeading?: readonly ((signal: AbortSignal) => Promise<void>)[]
  /** Once passes have ended: what must be ended and written before the lease is given up. */
  readonly flush?: () => Promise<void>
  /** For the first listings, ms. Default 2 min. */
  readonly syncTimeout?: number
  /** For passes that run when we are told to stop, ms. Default 20 s. */
  readonly stopTimeout?: number
  /** For `flush`, ms. Default 8 s. */
  readonly flushTimeout?: number
  readonly random?: () => number
}

export class Manager {
  readonly #options: ManagerOptions
  #leading = false

  constructor(options: ManagerOptions) {
    this.#options = options
  }

  /** Undefined once every cache has been filled; standbys are ready too. */
  notReady(): string | undefined {
    return this.#options.informers.every((informer) => informer.synced) ? undefined : 'caches are not filled yet'
  }

  get leading(): boolean {
    return this.#leading
  }

  /**
   * Runs until `signal` is aborted, then stops gracefully. Rejects when the caches can't be filled in time, when the
   * lease is lost, or when what runs while leading fails: the process must then end.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { informers, elector, controllers, log, metrics } = this.#options
    const watching = new AbortController()
    const leading = new AbortController()
    const failed = Promise.withResolvers<never>()
    failed.promise.catch(() => {})
    elector?.lost.addEventListener('abort', () => failed.reject(elector.lost.reason), { once: true })
    const running: Promise<unknown>[] = informers.map((informer) => informer.run(watching.signal))
    try {
      metrics.leader.set({ name: 'berth' }, 0)
      if (!(await Promise.race([this.#synced(signal), failed.promise]))) return
      log.info('caches are filled')
      if (elector !== undefined && !(await Promise.race([elector.acquire(signal), failed.promise]))) return
      if (!(await Promise.race([this.#beginTerm(signal), failed.promise]))) {
        await elector?.release()
        return
      }
      this.#leading = true
      metrics.leader.set({ name: 'berth' }, 1)
      for (const work of this.#options.whileLeading ?? []) {
        running.push(work(leading.signal).catch((error: unknown) => failed.reject(error)))
      }
      for (const controller of controllers) controller.start()
      await Promise.race([aborted(signal), failed.promise])
      await Promise.race([this.#stop(leading), failed.promise])
    } finally {
      this.#leading = false
      metrics.leader.set({ name: 'berth' }, 0)
      leading.abort()
      watching.abort()
      for (const controller of controllers) controller.abort()
    }
    await Promise.all(running)
  }

  /** False: told to stop before. */
  async #synced(signal: AbortSignal): Promise<boolean> {
    const { informers, clock, syncTimeout = 120_000 } = this.#options
    const timeout = new AbortController()
    const stop = () => timeout.abort()
    signal.addEventListener('abort', stop, { once: true })
    const late = sleep(clock, syncTimeout, timeout.signal).then(() => false)
    const all = Promise.all(informers.map((informer) => informer.ready)).then(() => true)
    const ready = signal.aborted ? false : await Promise.race([all, late])
    timeout.abort()
    signal.removeEventListener('abort', stop)
    if (ready || signal.aborted) return ready && !signal.aborted
    throw new BerthError('APIUnavailable', `The caches were not filled within ${syncTimeout / 1000} s.`)
  }

  /** The listing is made after the lease was won, so that nothing an earlier leader could know is missing. */
  async #beginTerm(signal: AbortSignal): Promise<boolean> {
    const { clock, elector, log, term, inheritedUIDs, random = Math.random } = this.#options
    for (let failures = 1; !signal.aborted && !elector?.lost.aborted; failures++) {
      try {
        term.begin(await inheritedUIDs(signal))
        return !signal.aborted
      } catch (error) {
        if (signal.aborted) return false
        log.warn({ err: error }, 'listing at the beginning of the term failed')
        await sleep(clock, backoffDelay(failures, { base: 500, max: 5_000 }, random), signal)
      }
    }
    return false
  }

  async #stop(leading: AbortController): Promise<void> {
    const { controllers, elector, log, stopTimeout = 20_000 } = this.#options
    log.info('stopping')
    const ended = await Promise.all(controllers.map((controller) => controller.stop(stopTimeout)))
    leading.abort()
    if ((await this.#flushed()) && ended.every(Boolean)) await elector?.release()
    // What still runs may have a call on its way: the lease is left to expire.
    else log.warn('passes or tasks did not end in time; the lease is not released')
  }

  /** False: it did not end in time. */
  async #flushed(): Promise<boolean> {
    const { clock, flush, flushTimeout = 8_000 } = this.#options
    const done = new AbortController()
    const late = sleep(clock, flushTimeout, done.signal).then(() => false)
    try {
      return await Promise.race([flush?.().then(() => true) ?? true, late])
    } finally {
      done.abort()
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
