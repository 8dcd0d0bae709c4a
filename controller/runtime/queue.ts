import { Backoff } from './backoff.ts'
import { type Head, Lane } from './lane.ts'
import { type Clock, type Priority, priorities } from './port.ts'

/** What a queue tells about itself; seconds. */
export interface QueueMetrics {
  added(): void
  depth(priority: Priority, length: number): void
  waited(seconds: number): void
  worked(seconds: number): void
  retried(): void
  /** Told once: how to ask for how long each key that a worker has now has been worked on. */
  working(seconds: () => readonly number[]): void
}

export interface QueueOptions {
  readonly clock: Clock
  /** After failures, in ms. Default 1 s … 60 s. */
  readonly backoff?: { readonly base: number; readonly max: number }
  readonly random?: () => number
  readonly metrics?: QueueMetrics
  /** What a key's work can be held up by (its host); asked when it is added, and again when it is handed out. */
  readonly groupOf?: (key: string) => string | undefined
  /** Keys of one group that are worked on at once. Default: no limit. */
  readonly groupLimit?: number
}

interface Waiting {
  readonly since: number
  rank: number
  group: string | undefined
}

/** One handing-out in so many is for who has waited longest, whatever its priority. */
const agedTurn = 4

/**
 * Keys to work on, the most urgent first, and of one priority in order of arrival.
 *
 * Guarantees: a key is in the queue once, however often it is added, and at the highest priority that it was added
 * with; it is handed to one worker at a time; one that is added while it is being worked on is handed out again
 * afterwards; of several delays the earliest wins, and a key that is queued anyway needs none.
 *
 * Groups: no more keys of a group than its limit are with workers. The others wait without being in anyone's way.
 *
 * Ageing: each fourth key that is handed out is the one that has waited longest. So a key before which n others wait
 * when it is added comes within 4·(n+1), however many that are more urgent arrive later, as long as its group has
 * room; and a flood of keys without urgency takes a fourth of the workers at most while something urgent waits.
 */
export class Queue {
  readonly #options: QueueOptions
  readonly #clock: Clock
  readonly #backoff: Backoff
  readonly #metrics: QueueMetrics | undefined
  readonly #waiting = new Map<string, Waiting>()
  /** By group, as long as something waits or is worked on there. */
  readonly #lanes = new Map<string | undefined, Lane>()
  /** Is being worked on → since when, and counted for which group. */
  readonly #processing = new Map<string, { readonly since: number; readonly group: string | undefined }>()
  /** Was added while it was being worked on → how urgently. */
  readonly #again = new Map<string, number>()
  readonly #delayed = new Map<string, { readonly due: number; readonly cancel: () => void }>()
  readonly #depths = priorities.map(() => 0)
  #takers: ((key: string | undefined) => void)[] = []
  #arrivals = 0
  #handed = 0
  #shutDown = false

  constructor(options: QueueOptions) {
    const { clock, backoff = { base: 1_000, max: 60_000 }, random, metrics } = options
    this.#options = options
    this.#clock = clock
    this.#backoff = new Backoff(backoff, random)
    this.#metrics = metrics
    metrics?.working(() => {
      const now = clock.monotonic()
      return [...this.#processing.values()].map(({ since }) => (now - since) / 1000)
    })
  }

  /** Keys that wait for a worker now, also those whose group has no room. */
  get length(): number {
    return this.#waiting.size
  }

  add(key: string, priority: Priority = 'Event'): void {
    if (this.#shutDown) return
    this.#delayed.get(key)?.cancel()
    this.#delayed.delete(key)
    const rank = priorities.indexOf(priority)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      this.#raise(key, waiting, rank)
    } else if (this.#processing.has(key)) {
      const before = this.#again.get(key)
      if (before === undefined) this.#metrics?.added()
      this.#again.set(key, Math.min(rank, before ?? rank))
    } else {
      this.#metrics?.added()
      this.#push(key, rank)
    }
    this.#dispatch()
  }

  /** After `delay` ms, unless it is to be worked on sooner anyway. */
  addAfter(key: string, delay: number, priority: Priority = 'Event'): void {
    if (this.#shutDown) return
    if (delay <= 0) {
      this.add(key, priority)
      return
    }
    if (this.#waiting.has(key) || this.#again.has(key)) return
    const due = this.#clock.monotonic() + delay
    const delayed = this.#delayed.get(key)
    if (delayed !== undefined && delayed.due <= due) return
    delayed?.cancel()
    this.#delayed.set(key, { due, cancel: this.#clock.after(delay, () => this.add(key, priority)) })
  }

  /** After a failure: with back-off, and `atLeast` ms later. */
  retry(key: string, atLeast = 0): void {
    this.#metrics?.retried()
    this.addAfter(key, Math.max(atLeast, this.#backoff.next(key)), 'Retry')
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
    return new Promise((resolve) => {
      this.#takers.push(resolve)
      this.#dispatch()
    })
  }

  done(key: string): void {
    const work = this.#processing.get(key)
    if (work === undefined) return
    this.#processing.delete(key)
    this.#metrics?.worked((this.#clock.monotonic() - work.since) / 1000)
    this.#laneOf(work.group).working--
    this.#dropEmpty(work.group)
    const rank = this.#again.get(key)
    this.#again.delete(key)
    if (rank !== undefined && !this.#shutDown) this.#push(key, rank)
    this.#dispatch()
  }

  /** Hands out nothing more. What waits is dropped: the next process lists everything anew. */
  shutDown(): void {
    this.#shutDown = true
    for (const { cancel } of this.#delayed.values()) cancel()
    this.#delayed.clear()
    for (const [key, waiting] of [...this.#waiting]) this.#remove(key, waiting)
    this.#again.clear()
    const takers = this.#takers
    this.#takers = []
    for (const taker of takers) taker(undefined)
  }

  #push(key: string, rank: number): void {
    const group = this.#options.groupOf?.(key)
    this.#waiting.set(key, { since: this.#clock.monotonic(), rank, group })
    this.#laneOf(group).add(key, rank, this.#arrivals++)
    this.#count(rank, 1)
  }

  /** A key that waits was added again: it may have become more urgent, or belong elsewhere. */
  #raise(key: string, waiting: Waiting, rank: number): void {
    this.#regroup(key, waiting)
    if (rank >= waiting.rank) return
    this.#laneOf(waiting.group).add(key, rank, this.#arrivals++)
    this.#count(waiting.rank, -1)
    this.#count(rank, 1)
    waiting.rank = rank
  }

  /** True: its group is another than when it was added; it is behind those that wait there. */
  #regroup(key: string, waiting: Waiting): boolean {
    const group = this.#options.groupOf?.(key)
    if (group === waiting.group) return false
    this.#laneOf(waiting.group).delete(key)
    this.#dropEmpty(waiting.group)
    waiting.group = group
    this.#laneOf(group).add(key, waiting.rank, this.#arrivals++)
    return true
  }

  #remove(key: string, { group, rank }: Waiting): void {
    this.#waiting.delete(key)
    this.#laneOf(group).delete(key)
    this.#dropEmpty(group)
    this.#count(rank, -1)
  }

  #dispatch(): void {
    while (this.#takers.length > 0) {
      const key = this.#next()
      if (key === undefined) return
      this.#takers.shift()?.(this.#hand(key))
    }
  }

  #next(): string | undefined {
    for (;;) {
      const head = this.#head(this.#handed % agedTurn === agedTurn - 1)
      const waiting = head && this.#waiting.get(head.key)
      if (head === undefined || waiting === undefined) return undefined
      if (!this.#regroup(head.key, waiting)) return head.key
    }
  }

  /** The first of all groups that have room. */
  #head(byAge: boolean): Head | undefined {
    const { groupLimit = Number.POSITIVE_INFINITY } = this.#options
    let best: Head | undefined
    for (const [group, lane] of this.#lanes) {
      if (group !== undefined && lane.working >= groupLimit) continue
      const head = lane.head(byAge)
      if (head !== undefined && (best === undefined || isBefore(head, best, byAge))) best = head
    }
    return best
  }

  #hand(key: string): string {
    const now = this.#clock.monotonic()
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      this.#laneOf(waiting.group).working++
      this.#processing.set(key, { since: now, group: waiting.group })
      this.#remove(key, waiting)
      this.#metrics?.waited((now - waiting.since) / 1000)
    }
    this.#handed++
    return key
  }

  #laneOf(group: string | undefined): Lane {
    let lane = this.#lanes.get(group)
    if (lane === undefined) {
      lane = new Lane()
      this.#lanes.set(group, lane)
    }
    return lane
  }

  #dropEmpty(group: string | undefined): void {
    const lane = this.#lanes.get(group)
    if (lane?.empty && lane.working === 0) this.#lanes.delete(group)
  }

  #count(rank: number, by: number): void {
    const depth = (this.#depths[rank] ?? 0) + by
    this.#depths[rank] = depth
    const priority = priorities[rank]
    if (priority !== undefined) this.#metrics?.depth(priority, depth)
  }
}

const isBefore = (a: Head, b: Head, byAge: boolean): boolean =>
  byAge || a.rank === b.rank ? a.order < b.order : a.rank < b.rank
