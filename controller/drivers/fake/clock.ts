/** The time that a fake host lives in, virtual or real; the runtime's clocks are of this shape. Milliseconds. */
export interface Clock {
  /** Since some beginning; only grows. */
  monotonic(): number
  /** Calls back after `delay`; returns what cancels it. */
  after(delay: number, callback: () => void): () => void
}

/** Resolves after so long; at once, without a timer, where there is nothing to wait for. */
export async function pause(clock: Clock, delay: number): Promise<void> {
  if (delay <= 0) return
  await new Promise<void>((resolve) => {
    clock.after(delay, resolve)
  })
}
