import type { Domain } from './domain.ts'
import type { Network } from './network.ts'
import type { EventMessageName, ProcedureName } from './protocol/procedures.ts'
import type { StoragePool } from './storage.ts'

/** Events by kind, with what a listener gets. */
export interface EventMap {
  /** `event` is a `DomainEventType`, `detail` goes with it (`DomainEventStoppedDetail`, …). */
  domainLifecycle: { readonly domain: Domain; readonly event: number; readonly detail: number }
  domainReboot: { readonly domain: Domain }
  /** `state` is an `AgentLifecycleState`. */
  domainAgentLifecycle: { readonly domain: Domain; readonly state: number; readonly reason: number }
  /** `event` is a `NetworkEventType`. */
  networkLifecycle: { readonly network: Network; readonly event: number; readonly detail: number }
  /** `event` is a `StoragePoolEventType`. */
  storagePoolLifecycle: { readonly pool: StoragePool; readonly event: number; readonly detail: number }
  storagePoolRefresh: { readonly pool: StoragePool }
}

export type EventKind = keyof EventMap
export type EventListener<K extends EventKind> = (event: EventMap[K]) => void

export interface Subscription {
  /** No event reaches the listener after this is called; settles when the server knows. Idempotent. */
  close(): Promise<void>
}

type Registration = 'domain' | 'network' | 'storage_pool'

/** How each kind is registered for, and the message that carries it. */
export const eventKinds = {
  domainLifecycle: { object: 'domain', id: 0, message: 'domain_event_callback_lifecycle' },
  domainReboot: { object: 'domain', id: 1, message: 'domain_event_callback_reboot' },
  domainAgentLifecycle: { object: 'domain', id: 18, message: 'domain_event_callback_agent_lifecycle' },
  networkLifecycle: { object: 'network', id: 0, message: 'network_event_lifecycle' },
  storagePoolLifecycle: { object: 'storage_pool', id: 0, message: 'storage_pool_event_lifecycle' },
  storagePoolRefresh: { object: 'storage_pool', id: 1, message: 'storage_pool_event_refresh' },
} as const satisfies Record<EventKind, { object: Registration; id: number; message: EventMessageName }>

export const deregistrations = {
  domain: 'connect_domain_event_callback_deregister_any',
  network: 'connect_network_event_deregister_any',
  storage_pool: 'connect_storage_pool_event_deregister_any',
} as const satisfies Record<Registration, ProcedureName>
