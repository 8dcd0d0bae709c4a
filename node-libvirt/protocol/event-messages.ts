import { typedParameters } from './typed-parameters.ts'
import { domain, limits, network, nodeDevice, nonnullString, nullableString, secret, storagePool } from './types.ts'
import { type Codec, type Decoded, type Fields, hyper, int, type Struct, struct, uhyper } from './xdr.ts'

/** Messages that the server sends unasked, by the numbering of procedures. */
export interface EventMessage<M> {
  readonly number: number
  readonly msg: Codec<M>
}

const event = <F extends Fields>(number: number, fields: F): EventMessage<Struct<{ callbackID: typeof int } & F>> => ({
  number,
  msg: struct({ callbackID: int, ...fields }),
})

/** Older ones wrap the message of before callback numbers. */
const wrapped = <F extends Fields>(number: number, fields: F) =>
  event(number, { msg: struct({ dom: domain, ...fields }) })

const device = { dom: domain, devAlias: nonnullString }

export const eventMessages = {
  domain_event_callback_lifecycle: wrapped(318, { event: int, detail: int }),
  domain_event_callback_reboot: wrapped(319, {}),
  domain_event_callback_rtc_change: wrapped(320, { offset: hyper }),
  domain_event_callback_watchdog: wrapped(321, { action: int }),
  domain_event_callback_io_error_reason: wrapped(324, {
    srcPath: nonnullString,
    devAlias: nonnullString,
    action: int,
    reason: nonnullString,
  }),
  domain_event_callback_balloon_change: wrapped(331, { actual: uhyper }),
  domain_event_callback_device_removed: wrapped(333, { devAlias: nonnullString }),
  domain_event_block_job_2: event(339, { dom: domain, dst: nonnullString, type: int, status: int }),
  domain_event_callback_agent_lifecycle: event(348, { dom: domain, state: int, reason: int }),
  domain_event_callback_device_added: event(354, device),
  domain_event_callback_job_completed: event(363, { dom: domain, params: typedParameters(limits.DOMAIN_JOB_STATS) }),
  domain_event_callback_device_removal_failed: event(367, device),
  domain_event_callback_metadata_change: event(379, { dom: domain, type: int, nsuri: nullableString }),
  network_event_lifecycle: event(315, { net: network, event: int, detail: int }),
  storage_pool_event_lifecycle: event(370, { pool: storagePool, event: int, detail: int }),
  storage_pool_event_refresh: event(373, { pool: storagePool }),
  node_device_event_lifecycle: event(376, { dev: nodeDevice, event: int, detail: int }),
  node_device_event_update: event(377, { dev: nodeDevice }),
  secret_event_lifecycle: event(382, { secret, event: int, detail: int }),
  secret_event_value_changed: event(383, { secret }),
} as const

export type EventMessageName = keyof typeof eventMessages
export type EventPayload<N extends EventMessageName> = Decoded<(typeof eventMessages)[N]['msg']>
