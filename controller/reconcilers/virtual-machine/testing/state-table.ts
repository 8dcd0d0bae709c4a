/** Every state that was met, compared exactly, each with a number in the order of meeting. */
export class StateTable {
  readonly #width: number
  #rows: Int32Array
  #slots: Int32Array
  #count = 0

  constructor(width: number) {
    this.#width = width
    this.#rows = new Int32Array(width << 12)
    this.#slots = new Int32Array(1 << 14).fill(-1)
  }

  get size(): number {
    return this.#count
  }

  /** Number of the state, and whether it is a new one. */
  add(state: Int32Array): { readonly index: number; readonly isNew: boolean } {
    if (this.#count * 2 >= this.#slots.length) this.#rehash()
    const slot = this.#find(state)
    const known = this.#slots[slot] ?? -1
    if (known >= 0) return { index: known, isNew: false }
    const index = this.#count++
    if (this.#count * this.#width > this.#rows.length) {
      const rows = new Int32Array(this.#rows.length * 2)
      rows.set(this.#rows)
      this.#rows = rows
    }
    this.#rows.set(state, index * this.#width)
    this.#slots[slot] = index
    return { index, isNew: true }
  }

  at(index: number): Int32Array {
    return this.#rows.slice(index * this.#width, (index + 1) * this.#width)
  }

  #find(state: Int32Array): number {
    const mask = this.#slots.length - 1
    for (let slot = this.#hash(state, 0) & mask; ; slot = (slot + 1) & mask) {
      const index = this.#slots[slot] ?? -1
      if (index < 0 || this.#equals(index, state)) return slot
    }
  }

  #equals(index: number, state: Int32Array): boolean {
    const offset = index * this.#width
    for (let part = 0; part < this.#width; part++) if (this.#rows[offset + part] !== state[part]) return false
    return true
  }

  #hash(values: Int32Array, offset: number): number {
    let hash = 0x811c9dc5
    for (let part = 0; part < this.#width; part++) {
      hash = Math.imul(hash ^ (values[offset + part] ?? 0), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    return hash >>> 0
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1)
    const mask = slots.length - 1
    for (let index = 0; index < this.#count; index++) {
      let slot = this.#hash(this.#rows, index * this.#width) & mask
      while ((slots[slot] ?? -1) >= 0) slot = (slot + 1) & mask
      slots[slot] = index
    }
    this.#slots = slots
  }
}
