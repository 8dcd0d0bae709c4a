import { Backoff } from './backoff.ts'
import type { Clock } from './port.ts'

/** What a queue tells about itself; seconds. */
export interface QueueMetrics {
  added(): void
  depth(length: number): void
  waited(seconds: number): void
  worked(seconds: number): void
  retried(): void
}

export interface QueueOptions {
  readonly clock: Clock
  /** After failures, in ms. Default 1 s … 60 s. */
  readonly backoff?: { readonly base: number; readonly max: number }
  readonly random?: () => number
  readonly metrics?: QueueMetrics
}

/**
 * Keys to work on, in order of arrival.
 *
 * Guarantees: a key is in the queue once, however often it is added; it is handed to one worker at a time; one that is
 * added while it is being worked on is handed out again afterwards; of several delays the earliest wins, and a key that
 * is queued anyway needs none.
 */
export class Queue {
  readonly #clock: Clock
  readonly #backoff: Backoff
  readonly #metrics: QueueMetrics | undefined
  /** Waits for a worker → since when. */
  readonly #ready = new Map<string, number>()
  /** Is being worked on → since when. */
  readonly #processing = new Map<string, number>()
  /** Was added while it was being worked on. */
  readonly #again = new Set<string>()
  readonly #delayed = new Map<string, { readonly due: number; readonly cancel: () => void }>()
  #takers: ((key: string | undefined) => void)[] = []
  #shutDown = false

  constructor({ clock, backoff = { base: 1_000, max: 60_000 }, random, metrics }: QueueOptions) {
    this.#clock = clock
    this.#backoff = new Backoff(backoff, random)
    this.#metrics = metrics
  }

  /** Keys that wait for a worker now. */
  get length(): number {
    return this.#ready.size
  }

  add(key: string): void {
    if (this.#shutDown) return
    this.#delayed.get(key)?.cancel()
    this.#delayed.delete(key)
    if (this.#ready.has(key) || this.#again.has(key)) return
    this.#metrics?.added()
    if (this.#processing.has(key)) this.#again.add(key)
    else this.#push(key)
  }

  /** After `delay` ms, unless it is to be worked on sooner anyway. */
  addAfter(key: string, delay: number): void {
    if (this.#shutDown) return
    if (delay <= 0) {
      this.add(key)
      return
    }
    if (this.#ready.has(key) || this.#again.has(key)) return
    const due = this.#clock.monotonic() + delay
    const waiting = this.#delayed.get(key)
    if (waiting !== undefined && waiting.due <= due) return
    waiting?.cancel()
    this.#delayed.set(key, { due, cancel: this.#clock.after(delay, () => this.add(key)) })
  }

  /** After a failure: with back-off, and `atLeast` ms later. */
  retry(key: string, atLeast = 0): void {
    this.#metrics?.retried()
    this.addAfter(key, Math.max(atLeast, this.#backoff.next(key)))
  }

  /** The next failure is the first. */
  forget(key: string): void {
    this.#backoff.forget(key)
  }

  failures(key: string): number {
    return this.#backoff.failures(key)
  }

  /** Waits for a key; undefined when the queue is shut down. Whoever took a key says `done`. */
  take(): Promise<string | undefined> {
    if (this.#shutDown) return Promise.resolve(undefined)
    const [key] = this.#ready.keys()
    if (key !== undefined) return Promise.resolve(this.#hand(key))
    return new Promise((resolve) => this.#takers.push(resolve))
  }

  done(key: string): void {
    const since = this.#processing.get(key)
    if (since === undefined) return
    this.#processing.delete(key)
    this.#metrics?.worked((this.#clock.monotonic() - since) / 1000)
    if (this.#again.delete(key) && !this.#shutDown) this.#push(key)
  }

  /** Hands out nothing more. What waits is dropped: the next process lists everything anew. */
  shutDown(): void {
    this.#shutDown = true
    for (const { cancel } of this.#delayed.values()) cancel()
    this.#delayed.clear()
    this.#ready.clear()
    this.#again.clear()
    this.#metrics?.depth(0)
    const takers = this.#takers
    this.#takers = []
    for (const taker of takers) taker(undefined)
  }

  #push(key: string): void {
    this.#ready.set(key, this.#clock.monotonic())
    this.#metrics?.depth(this.#ready.size)
    const taker = this.#takers.shift()
    if (taker !== undefined) taker(this.#hand(key))
  }

  #hand(key: string): string {
    const now = this.#clock.monotonic()
    this.#metrics?.waited((now - (this.#ready.get(key) ?? now)) / 1000)
    this.#ready.delete(key)
    this.#metrics?.depth(this.#ready.size)
    this.#processing.set(key, now)
    return key
  }
}
