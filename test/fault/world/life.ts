/** One run of the controller's process, as the world sees it: killed or stopped at any moment, from outside. */
import type { Clock } from '../../../controller/runtime/index.ts'

export class Life {
  readonly clock: Clock
  readonly #timers = new Set<() => void>()
  readonly #ended: (() => void)[] = []
  #mute = false
  #state: 'Runs' | 'Stopped' | 'Dead' = 'Runs'
  /** What would have happened to it while it was stopped. */
  #late: (() => void)[] = []

  constructor(clock: Clock) {
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delay, callback) => {
        const cancel = clock.after(delay, () => {
          this.#timers.delete(cancel)
          this.deliver(callback)
        })
        this.#timers.add(cancel)
        return () => {
          this.#timers.delete(cancel)
          cancel()
        }
      },
    }
  }

  get dead(): boolean {
    return this.#state === 'Dead'
  }

  /** Whether calls of it still leave the process. */
  get sends(): boolean {
    return !this.dead && !this.#mute
  }

  /** It is about to be killed: it runs on, but nothing that it sends leaves it. */
  mute(): void {
    this.#mute = true
  }

  /** SIGKILL: none of its timers, promises and streams ever goes on. What it has sent may still arrive. */
  kill(): void {
    if (this.dead) return
    this.#state = 'Dead'
    this.#late = []
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    for (const tell of this.#ended) tell()
  }

  /** SIGSTOP: time passes, and it sees nothing of it. */
  stop(): void {
    if (this.#state === 'Runs') this.#state = 'Stopped'
  }

  /**
   * SIGCONT: what came meanwhile comes now, in its order. What the first of it wakes goes on as far as it can before the
   * rest is seen: as a process that waited for its sockets reads them before it looks at its timers.
   */
  continue(): void {
    if (this.#state !== 'Stopped') return
    this.#state = 'Runs'
    const [first, ...rest] = this.#late
    this.#late = []
    if (first) this.deliver(first)
    setImmediate(() => {
      for (const happen of rest) this.deliver(happen)
    })
  }

  onEnd(listener: () => void): void {
    this.#ended.push(listener)
  }

  /** Something happens to the process. */
  deliver(happen: () => void): void {
    if (this.#state === 'Stopped') this.#late.push(happen)
    else if (this.#state === 'Runs') happen()
  }

  /** The answer to a call as the process sees it. */
  answered<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => this.deliver(() => resolve(value)),
        (error: unknown) => this.deliver(() => reject(error)),
      )
    })
  }
}

/** What a process waits for that is dead, or will be. */
export const never = (): Promise<never> => new Promise(() => {})
