/** Time as the simulator sees it. All times are milliseconds. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls back once after a delay; the answer calls it off. */
  after(delay: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delay, callback) {
    const timer = setTimeout(callback, delay)
    return () => clearTimeout(timer)
  },
}

/** A clock that stands still until it is told to go on. */
export class ManualClock implements Clock {
  #now: number
  #timers: { readonly due: number; readonly callback: () => void }[] = []

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  after(delay: number, callback: () => void): () => void {
    const timer = { due: this.#now + delay, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Lets time pass, and what is due meanwhile happen in its order, with what follows from it at once. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      await settle()
      const next = this.#timers.filter(({ due }) => due <= end).toSorted((a, b) => a.due - b.due)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#now = Math.max(this.#now, next.due)
      next.callback()
    }
    this.#now = end
  }
}

/** Lets promises that are settled already be carried on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A time as XAPI writes it. */
export function dateTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/[-]|\.\d+/g, '')
}
