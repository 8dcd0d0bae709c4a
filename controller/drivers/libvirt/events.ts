import { AgentLifecycleState, type Connection, DomainEventType, type Subscription } from 'node-libvirt'
import type { HypervisorEvent } from '../../hypervisor/port.ts'
import { EventQueue } from '../shared/event-queue.ts'
import { mapError } from './errors.ts'

const lifecycle: ReadonlyMap<number, string> = new Map(
  Object.entries(DomainEventType).map(([name, number]) => [number, name]),
)

/**
 * Lifecycle, reboot, agent and device events of all domains, ours or not: an event does not carry the tag. The first is a Gap,
 * as whatever happened before the registration is not told.
 */
export async function* libvirtEvents(connection: Connection, signal: AbortSignal): AsyncGenerator<HypervisorEvent> {
  const queue = new EventQueue()
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
      await connection.subscribe('domainDeviceAdded', ({ domain }) => add(domain.uuid, 'Device added')),
      await connection.subscribe('domainDeviceRemoved', ({ domain }) => add(domain.uuid, 'Device removed')),
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
