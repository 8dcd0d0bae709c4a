import { priorities } from './port.ts'

/** Whose turn it is in a lane. `rank` counts from the most urgent priority, `order` from the first arrival. */
export interface Head {
  readonly key: string
  readonly rank: number
  readonly order: number
}

/**
 * The keys of one group that wait for a worker: by priority, and of one priority in order of arrival. A key that became
 * more urgent has a place at each priority that it had, so that it never loses by being raised.
 */
export class Lane {
  /** Keys of this group that workers have. */
  working = 0
  /** By rank: key → order, first come first. */
  readonly #levels = priorities.map(() => new Map<string, number>())

  add(key: string, rank: number, order: number): void {
    this.#levels[rank]?.set(key, order)
  }

  delete(key: string): void {
    for (const level of this.#levels) level.delete(key)
  }

  get empty(): boolean {
    return this.#levels.every(({ size }) => size === 0)
  }

  /** The most urgent key, or the one that has waited longest. */
  head(byAge: boolean): Head | undefined {
    let best: Head | undefined
    for (const [rank, level] of this.#levels.entries()) {
      const [first] = level
      if (first === undefined) continue
      const [key, order] = first
      if (best === undefined || order < best.order) best = { key, rank, order }
      if (!byAge) break
    }
    return best
  }
}
