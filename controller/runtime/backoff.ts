import { type BackoffOptions, backoffDelay } from '../kube/backoff.ts'

/** Exponential back-off per key. */
export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: () => number
  readonly #failures = new Map<string, number>()

  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options
    this.#random = random
  }

  /** Counts a failure; how long to wait, in ms. */
  next(key: string): number {
    const failures = this.failures(key) + 1
    this.#failures.set(key, failures)
    return backoffDelay(failures, this.#options, this.#random)
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }
}
