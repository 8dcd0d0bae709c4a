/** A duration in milliseconds, or a range from which each is drawn. */
export type Duration = number | readonly [least: number, most: number]

/** Numbers that look random and are the same for the same seed (mulberry32), so that a run can be repeated. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** At least 0, less than 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** True so often. Draws nothing where it is never or always, so that unused knobs do not change a run. */
  chance(probability: number): boolean {
    if (probability <= 0) return false
    return probability >= 1 || this.next() < probability
  }

  duration(duration: Duration): number {
    if (typeof duration === 'number') return duration
    const [least, most] = duration
    return least === most ? least : least + this.next() * (most - least)
  }
}
