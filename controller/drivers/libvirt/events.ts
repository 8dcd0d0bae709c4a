import { AgentLifecycleState, type Connection, DomainEventType, type Subscription } from 'node-libvirt'
import type { HypervisorEvent } from '../../hypervisor/port.ts'
import { mapError } from './errors.ts'

/** Events that wait for a slow reader; beyond it they are dropped, and a Gap stands for them. */
const longestQueue = 10_000

const lifecycle: ReadonlyMap<number, string> = new Map(
  Object.entries(DomainEventType).map(([name, number]) => [number, name]),
)

/**
 * Lifecycle, reboot and agent events of all domains, ours or not: an event does not carry the tag. The first is a Gap,
 * as whatever happened before the registration is not told.
 */
export async function* libvirtEvents(connection: Connection, signal: AbortSignal): AsyncGenerator<HypervisorEvent> {
  const queue = new EventQueue(longestQueue)
  const add = (uuid: string, detail: string) =>
    // The UUID is the instance id of what is ours.
    queue.add({ type: 'Machine', id: uuid, instanceID: uuid, detail })
  const end = () => queue.end()
  const subscriptions: Subscription[] = []
  signal.addEventListener('abort', end, { once: true })
  void connection.closed.then((reason) => queue.end(reason))
  try {
    if (signal.aborted) return
    subscriptions.push(
      await connection.subscribe('domainLifecycle', ({ domain, event }) =>
        add(domain.uuid, `Lifecycle ${lifecycle.get(event) ?? event}`),
      ),
      await connection.subscribe('domainReboot', ({ domain }) => add(domain.uuid, 'Reboot')),
      await connection.subscribe('domainAgentLifecycle', ({ domain, state }) =>
        add(domain.uuid, state === AgentLifecycleState.CONNECTED ? 'Agent connected' : 'Agent disconnected'),
      ),
    )
    yield { type: 'Gap', reason: 'events are told from here on' }
    yield* queue
  } catch (error) {
    throw mapError(error, 'Read')
  } finally {
    signal.removeEventListener('abort', end)
    // The server forgets them with the connection at the latest.
    await Promise.allSettled(subscriptions.map((subscription) => subscription.close()))
  }
}

/** Events on their way from callbacks to one reader, in order. */
export class EventQueue implements AsyncIterable<HypervisorEvent> {
  readonly #limit: number
  #events: HypervisorEvent[] = []
  #ended: { readonly reason: Error | undefined } | undefined
  #wake: () => void = () => undefined

  constructor(limit: number) {
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
