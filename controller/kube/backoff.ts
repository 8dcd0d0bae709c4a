export interface BackoffOptions {
  /** The first delay, in ms. */
  readonly base: number
  /** The longest delay, in ms. */
  readonly max: number
}

/**
 * Exponential: base, 2·base, 4·base … max, each shortened by up to a fifth, so that what failed together does not
 * come back together.
 */
export function backoffDelay(failures: number, { base, max }: BackoffOptions, random: () => number): number {
  const full = Math.min(max, base * 2 ** Math.max(0, failures - 1))
  return full * (1 - random() / 5)
}
