import type { HypervisorEvent } from '../../hypervisor/port.ts'

/** Events that wait for a slow reader; beyond it they are dropped, and a Gap stands for them. */
const longestQueue = 10_000

/** Events on their way from callbacks to one reader, in order. */
export class EventQueue implements AsyncIterable<HypervisorEvent> {
  readonly #limit: number
  #events: HypervisorEvent[] = []
  #ended: { readonly reason: Error | undefined } | undefined
  #wake: () => void = () => undefined

  constructor(limit = longestQueue) {
    this.#limit = limit
  }

  add(event: HypervisorEvent): void {
    if (this.#ended !== undefined) return
    if (this.#events.length >= this.#limit) {
      this.#events = [{ type: 'Gap', reason: `more than ${this.#limit} events were waiting` }]
    }
    this.#events.push(event)
    this.#wake()
  }

  /** What waits is still given; then the reader ends, with the reason if there is one. The first call decides. */
  end(reason?: Error): void {
    this.#ended ??= { reason }
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<HypervisorEvent> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) yield event
      else if (this.#ended?.reason !== undefined) throw this.#ended.reason
      else if (this.#ended !== undefined) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}
