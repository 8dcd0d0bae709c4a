/** Numbers for values: each distinct value gets one, so that states are short, and compared exactly. */
export class Parts {
  readonly #numbers = new Map<string, number>()
  readonly #values: unknown[] = []
  /** Values that were read here are not written again to be told apart. */
  readonly #own = new WeakMap<object, number>()

  numberOf(value: unknown): number {
    const own = typeof value === 'object' && value !== null ? this.#own.get(value) : undefined
    if (own !== undefined) return own
    const text = JSON.stringify(value)
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    // What was written is read back: two values that are written alike are alike, whatever they were made from.
    const canonical: unknown = JSON.parse(text)
    const number = this.#values.push(canonical) - 1
    this.#numbers.set(text, number)
    if (typeof canonical === 'object' && canonical !== null) this.#own.set(canonical, number)
    return number
  }

  valueOf(number: number): unknown {
    return this.#values[number]
  }
}
