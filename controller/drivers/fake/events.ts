import type { HypervisorEvent } from '../../hypervisor/port.ts'
import { EventQueue } from '../shared/event-queue.ts'
import type { Clock } from './clock.ts'
import type { Duration, Random } from './random.ts'

/** How well events travel. Each has a delay of its own, so that a range also changes their order. */
export interface EventFaults {
  readonly delay?: Duration
  /** Share of the events that nobody gets, and that no Gap tells of. */
  readonly lost?: number
  /** Share of the events that come twice, each time with a delay of its own. */
  readonly doubled?: number
}

/** Spreads a host's events among the sessions that listen. */
export class EventBus {
  faults: EventFaults = {}
  readonly #clock: Clock
  readonly #random: Random
  readonly #listeners = new Set<EventQueue>()

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  /** Until `signal` is aborted, or `closed` settles: with an error if it settles with one. */
  async *listen(signal: AbortSignal, closed: Promise<Error | undefined>): AsyncGenerator<HypervisorEvent> {
    const queue = new EventQueue()
    const end = () => queue.end()
    signal.addEventListener('abort', end, { once: true })
    void closed.then((reason) => queue.end(reason))
    try {
      if (signal.aborted) return
      this.#listeners.add(queue)
      yield { type: 'Gap', reason: 'events are told from here on' }
      yield* queue
    } finally {
      this.#listeners.delete(queue)
      signal.removeEventListener('abort', end)
    }
  }

  /** By way of the faults. */
  publish(event: HypervisorEvent): void {
    const { delay = 0, lost = 0, doubled = 0 } = this.faults
    for (const listener of this.#listeners) {
      if (this.#random.chance(lost)) continue
      const copies = this.#random.chance(doubled) ? 2 : 1
      for (let copy = 0; copy < copies; copy++) this.#deliver(listener, event, this.#random.duration(delay))
    }
  }

  /** To all that listen, at once and surely. */
  tell(event: HypervisorEvent): void {
    for (const listener of this.#listeners) listener.add(event)
  }

  /** Nobody listens any more: what happens from now on is told to those who come after. */
  dropListeners(): void {
    this.#listeners.clear()
  }

  #deliver(listener: EventQueue, event: HypervisorEvent, delay: number): void {
    if (delay <= 0) listener.add(event)
    else this.#clock.after(delay, () => listener.add(event))
  }
}
