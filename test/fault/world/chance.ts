/** Makes Math.random the same in every run: jitter is the one thing in the controller that is left to chance. */
export function seedChance(seed: number): void {
  let state = seed
  // Mulberry32.
  Math.random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
