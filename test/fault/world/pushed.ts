/** A stream whose parts are pushed into it by someone else. */
export class Pushed<T> implements AsyncIterable<T> {
  readonly #parts: T[] = []
  #closed = false
  #wake: () => void = () => {}

  push(part: T): void {
    if (this.#closed) return
    this.#parts.push(part)
    this.#wake()
  }

  /** What was pushed before is still given. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const [part] = this.#parts.splice(0, 1)
      if (part !== undefined) yield part
      else if (this.#closed) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}
