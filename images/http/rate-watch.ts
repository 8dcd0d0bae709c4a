import type { Clock } from '../clock.ts'

/** Sees to it that a server neither hangs nor drips: too few bytes within a window, and `tooSlow` is called once. */
export class RateWatch {
  readonly #clock: Clock
  readonly #window: number
  readonly #least: number
  readonly #tooSlow: () => void
  #seen = 0
  /** Our own disk kept the server waiting within this window, so that its rate says nothing. */
  #excused = false
  #busy = false
  #cancel: () => void

  constructor(clock: Clock, window: number, rate: number, tooSlow: () => void) {
    this.#clock = clock
    this.#window = window
    this.#least = Math.max(1, (rate * window) / 1000)
    this.#tooSlow = tooSlow
    this.#cancel = clock.after(window, () => this.#judge())
  }

  received(bytes: number): void {
    this.#seen += bytes
  }

  /** Runs work of ours that the server waits for. */
  async excuse<T>(work: Promise<T>): Promise<T> {
    this.#busy = true
    const start = this.#clock.monotonic()
    try {
      return await work
    } finally {
      this.#busy = false
      if (this.#clock.monotonic() - start > this.#window / 4) this.#excused = true
    }
  }

  stop(): void {
    this.#cancel()
  }

  #judge(): void {
    if (this.#busy) this.#excused = true
    if (this.#seen < this.#least && !this.#excused) {
      this.#tooSlow()
      return
    }
    this.#seen = 0
    this.#excused = this.#busy
    this.#cancel = this.#clock.after(this.#window, () => this.#judge())
  }
}
