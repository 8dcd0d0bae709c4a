import type { Domain } from './domain.ts'
import type { Network } from './network.ts'
import type { NodeDevice } from './node-device.ts'
import type { EventMessageName } from './protocol/event-messages.ts'
import type { ProcedureName } from './protocol/procedures.ts'
import type { TypedParameters } from './protocol/typed-parameters.ts'
import type { Secret } from './secret.ts'
import type { StoragePool } from './storage.ts'

/** Events by kind, with what a listener gets. */
export interface EventMap {
  /** `event` is a `DomainEventType`, `detail` goes with it (`DomainEventStoppedDetail`, …). */
  domainLifecycle: { readonly domain: Domain; readonly event: number; readonly detail: number }
  domainReboot: { readonly domain: Domain }
  /** The guest has set its clock. `offset`: seconds from UTC. */
  domainRTCChange: { readonly domain: Domain; readonly offset: number }
  /** `action` is a `WatchdogAction`. */
  domainWatchdog: { readonly domain: Domain; readonly action: number }
  /** A disk failed. `action` is an `IOErrorAction`; `reason` is empty or a word: `enospc`. */
  domainIOError: {
    readonly domain: Domain
    readonly path: string
    readonly alias: string
    readonly action: number
    readonly reason: string
  }
  /** `actual`: KiB that the guest has now. */
  domainBalloonChange: { readonly domain: Domain; readonly actual: number }
  /** `disk` is a target (`vda`); `type` a `BlockJobType`, `status` a `BlockJobStatus`. */
  domainBlockJob: { readonly domain: Domain; readonly disk: string; readonly type: number; readonly status: number }
  domainDeviceAdded: { readonly domain: Domain; readonly alias: string }
  domainDeviceRemoved: { readonly domain: Domain; readonly alias: string }
  domainDeviceRemovalFailed: { readonly domain: Domain; readonly alias: string }
  domainJobCompleted: { readonly domain: Domain; readonly parameters: TypedParameters }
  /** `type` is a `DomainMetadataType`; `uri` is the namespace of an element. */
  domainMetadataChange: { readonly domain: Domain; readonly type: number; readonly uri: string | undefined }
  /** `state` is an `AgentLifecycleState`. */
  domainAgentLifecycle: { readonly domain: Domain; readonly state: number; readonly reason: number }
  /** `event` is a `NetworkEventType`. */
  networkLifecycle: { readonly network: Network; readonly event: number; readonly detail: number }
  /** `event` is a `StoragePoolEventType`. */
  storagePoolLifecycle: { readonly pool: StoragePool; readonly event: number; readonly detail: number }
  storagePoolRefresh: { readonly pool: StoragePool }
  /** `event` is a `NodeDeviceEventType`. */
  nodeDeviceLifecycle: { readonly device: NodeDevice; readonly event: number; readonly detail: number }
  nodeDeviceUpdate: { readonly device: NodeDevice }
  /** `event` is a `SecretEventType`. */
  secretLifecycle: { readonly secret: Secret; readonly event: number; readonly detail: number }
  secretValueChanged: { readonly secret: Secret }
}

export type EventKind = keyof EventMap
export type EventListener<K extends EventKind> = (event: EventMap[K]) => void

export interface Subscription {
  /** No event reaches the listener after this is called; settles when the server knows. Idempotent. */
  close(): Promise<void>
}

type Registration = 'domain' | 'network' | 'storage_pool' | 'node_device' | 'secret'

/** How each kind is registered for, and the message that carries it. */
export const eventKinds = {
  domainLifecycle: { object: 'domain', id: 0, message: 'domain_event_callback_lifecycle' },
  domainReboot: { object: 'domain', id: 1, message: 'domain_event_callback_reboot' },
  domainRTCChange: { object: 'domain', id: 2, message: 'domain_event_callback_rtc_change' },
  domainWatchdog: { object: 'domain', id: 3, message: 'domain_event_callback_watchdog' },
  domainIOError: { object: 'domain', id: 6, message: 'domain_event_callback_io_error_reason' },
  domainBalloonChange: { object: 'domain', id: 13, message: 'domain_event_callback_balloon_change' },
  domainDeviceRemoved: { object: 'domain', id: 15, message: 'domain_event_callback_device_removed' },
  domainBlockJob: { object: 'domain', id: 16, message: 'domain_event_block_job_2' },
  domainAgentLifecycle: { object: 'domain', id: 18, message: 'domain_event_callback_agent_lifecycle' },
  domainDeviceAdded: { object: 'domain', id: 19, message: 'domain_event_callback_device_added' },
  domainJobCompleted: { object: 'domain', id: 21, message: 'domain_event_callback_job_completed' },
  domainDeviceRemovalFailed: { object: 'domain', id: 22, message: 'domain_event_callback_device_removal_failed' },
  domainMetadataChange: { object: 'domain', id: 23, message: 'domain_event_callback_metadata_change' },
  networkLifecycle: { object: 'network', id: 0, message: 'network_event_lifecycle' },
  storagePoolLifecycle: { object: 'storage_pool', id: 0, message: 'storage_pool_event_lifecycle' },
  storagePoolRefresh: { object: 'storage_pool', id: 1, message: 'storage_pool_event_refresh' },
  nodeDeviceLifecycle: { object: 'node_device', id: 0, message: 'node_device_event_lifecycle' },
  nodeDeviceUpdate: { object: 'node_device', id: 1, message: 'node_device_event_update' },
  secretLifecycle: { object: 'secret', id: 0, message: 'secret_event_lifecycle' },
  secretValueChanged: { object: 'secret', id: 1, message: 'secret_event_value_changed' },
} as const satisfies Record<EventKind, { object: Registration; id: number; message: EventMessageName }>

export const deregistrations = {
  domain: 'connect_domain_event_callback_deregister_any',
  network: 'connect_network_event_deregister_any',
  storage_pool: 'connect_storage_pool_event_deregister_any',
  node_device: 'connect_node_device_event_deregister_any',
  secret: 'connect_secret_event_deregister_any',
} as const satisfies Record<Registration, ProcedureName>
