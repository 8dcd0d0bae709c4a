/** The part of XAPI's records that the driver reads, as the data model names them. Numbers may come as strings. */

export type Ref = string
export const nullRef: Ref = 'OpaqueRef:NULL'

export type StringMap = Readonly<Record<string, string>>
/** XML-RPC carries integers as strings, JSON-RPC as numbers. */
export type Integer = number | string

export interface VMRecord {
  readonly uuid: string
  readonly name_label: string
  readonly power_state: 'Halted' | 'Paused' | 'Running' | 'Suspended'
  readonly is_a_template: boolean
  readonly is_a_snapshot: boolean
  readonly is_control_domain: boolean
  readonly current_operations: StringMap
  readonly blocked_operations: StringMap
  readonly other_config: StringMap
  readonly memory_static_max: Integer
  readonly VCPUs_max: Integer
  readonly VBDs: readonly Ref[]
  readonly VIFs: readonly Ref[]
  readonly guest_metrics: Ref
}

export interface VDIRecord {
  readonly uuid: string
  readonly name_label: string
  readonly SR: Ref
  readonly VBDs: readonly Ref[]
  readonly is_a_snapshot: boolean
  readonly managed: boolean
  readonly missing: boolean
  readonly virtual_size: Integer
  readonly physical_utilisation: Integer
  readonly current_operations: StringMap
  readonly allowed_operations: readonly string[]
  readonly other_config: StringMap
}

export interface SRRecord {
  readonly uuid: string
  readonly name_label: string
  readonly physical_size: Integer
  readonly physical_utilisation: Integer
  readonly VDIs: readonly Ref[]
  readonly PBDs: readonly Ref[]
}

export interface PBDRecord {
  readonly currently_attached: boolean
}

export interface VBDRecord {
  readonly VM: Ref
  readonly VDI: Ref
  readonly userdevice: string
  readonly empty: boolean
  readonly currently_attached: boolean
  readonly other_config: StringMap
}

export interface VIFRecord {
  readonly device: string
  readonly MAC: string
  readonly network: Ref
}

export interface NetworkRecord {
  readonly uuid: string
  readonly name_label: string
  readonly bridge: string
  readonly MTU: Integer
}

export interface GuestMetricsRecord {
  /** `0/ip`, `0/ipv4/0`, `0/ipv6/0` … → address. */
  readonly networks: StringMap
}

export interface HostRecord {
  readonly uuid: string
  readonly name_label: string
  readonly enabled: boolean
  readonly metrics: Ref
  readonly capabilities: readonly string[]
  readonly cpu_info: StringMap
  readonly host_CPUs: readonly Ref[]
  readonly software_version: StringMap
  readonly API_version_major: Integer
  readonly API_version_minor: Integer
}

export interface HostMetricsRecord {
  readonly memory_total: Integer
  readonly memory_free: Integer
  readonly live: boolean
}

export interface PoolRecord {
  readonly uuid: string
  readonly name_label: string
  readonly master: Ref
}

export interface TaskRecord {
  readonly status: 'pending' | 'success' | 'failure' | 'cancelling' | 'cancelled'
  readonly result: string
  readonly error_info: readonly string[]
}

export interface EventBatch {
  readonly token: string
  readonly events: readonly {
    readonly class: string
    readonly operation: 'add' | 'mod' | 'del'
    readonly ref: Ref
    readonly snapshot?: unknown
  }[]
}

export type Records<R> = Readonly<Record<Ref, R>>

/** An object and where it is. */
export type Found<R> = R & { readonly ref: Ref }

export const found = <R extends object>(records: Records<R>): readonly Found<R>[] =>
  Object.entries(records).map(([ref, record]) => ({ ...record, ref }))
