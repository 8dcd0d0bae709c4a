/**
 * One reading for all who ask before it begins: each gets an answer that is newer than its question, and however many
 * ask, at most one reading is under way and one waits.
 */
export class SharedRead<T> {
  readonly #read: () => Promise<T>
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<T> | undefined

  constructor(read: () => Promise<T>) {
    this.#read = read
  }

  get(): Promise<T> {
    this.#next ??= this.#begin()
    return this.#next
  }

  async #begin(): Promise<T> {
    await this.#running.catch(() => undefined)
    this.#next = undefined
    const reading = this.#read()
    this.#running = reading
    return reading
  }
}
