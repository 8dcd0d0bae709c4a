/** Time, so that tests can own it. The controller's clock fits. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds that only grow: for every duration. */
  monotonic(): number
  /** Calls back after `delay` ms; returns what cancels it. */
  after(delay: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delay, callback) {
    const timer = setTimeout(callback, delay)
    return () => clearTimeout(timer)
  },
}

/** Waits; rejects with the signal's reason once it is aborted. */
export function sleep(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(delay, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/**
 * Milliseconds before try number `attempt` (0 is the first repetition): doubling up to the maximum, of which a random
 * half is taken off so that many images do not come back to one server together.
 */
export function backoff(attempt: number, base: number, maximum: number, random: () => number = Math.random): number {
  return Math.min(maximum, base * 2 ** Math.min(attempt, 30)) * (0.5 + random() / 2)
}
