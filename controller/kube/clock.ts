/** Time as this folder needs it: structurally the runtime's Clock, since imports point one way. */
export interface Clock {
  /** Milliseconds since the epoch: for timestamps only. */
  now(): number
  /** Milliseconds that only grow: for every duration and deadline. */
  monotonic(): number
  /** Calls back after `delay` ms; returns what cancels it. */
  after(delay: number, callback: () => void): () => void
}

/** Resolves after `delay` ms, or at once when `signal` is aborted. Never rejects. */
export function sleep(clock: Clock, delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const wake = () => {
      cancel()
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(delay, wake)
    signal?.addEventListener('abort', wake, { once: true })
  })
}

/** A timestamp of the precision that leases and events have (metav1.MicroTime). */
export const microTime = (milliseconds: number): string => new Date(milliseconds).toISOString().replace('Z', '000Z')
