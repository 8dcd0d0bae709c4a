import type { Clock } from './port.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delay, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, delay), 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}

interface Timer {
  readonly due: number
  readonly order: number
  readonly callback: () => void
}

/**
 * A clock for tests: time passes when it is told to. `jump` moves the wall clock alone, as NTP or a person does;
 * `stall` lets time pass without running timers, as a stopped process sees it.
 */
export class VirtualClock implements Clock {
  #wall: number
  #monotonic = 0
  #timers: Timer[] = []
  #order = 0

  constructor(wall = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wall = wall
  }

  now(): number {
    return this.#wall
  }

  monotonic(): number {
    return this.#monotonic
  }

  after(delay: number, callback: () => void): () => void {
    const timer = { due: this.#monotonic + Math.max(0, delay), order: this.#order++, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.length
  }

  jump(by: number): void {
    this.#wall += by
  }

  stall(by: number): void {
    this.#wall += by
    this.#monotonic += by
  }

  /** Lets `by` ms pass, timers in order; after each, what it woke runs on until it waits again. */
  async advance(by: number): Promise<void> {
    const end = this.#monotonic + by
    await settle()
    for (;;) {
      const next = this.#next()
      if (next === undefined || next.due > end) break
      this.stall(Math.max(0, next.due - this.#monotonic))
      this.#timers = this.#timers.filter((timer) => timer !== next)
      next.callback()
      await settle()
    }
    this.stall(Math.max(0, end - this.#monotonic))
  }

  #next(): Timer | undefined {
    return this.#timers.toSorted((a, b) => a.due - b.due || a.order - b.order)[0]
  }
}

/** Promises that are resolved already run to their next wait. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
