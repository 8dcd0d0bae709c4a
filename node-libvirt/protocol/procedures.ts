import {
  dhcpLease,
  domain,
  domainInterface,
  limits,
  network,
  nonnullString,
  nullableString,
  storagePool,
  storageVolume,
  uuid,
} from './types.ts'
import {
  array,
  type Codec,
  counter,
  type Decoded,
  int,
  nothing,
  optional,
  struct,
  uhyper,
  uint,
  vector,
} from './xdr.ts'

/**
 * The procedures that we call and the events that we take, under the names and with the numbers and fields that
 * libvirt's remote_protocol.x gives them (REMOTE_PROC_ and the remote_…_args, _ret and _msg structures). Numbers are
 * only ever added there, so one table serves every version since 1.2.8 (2014); a server that lacks one answers NO_SUPPORT.
 * test/integration/libvirt/protocol.test.ts compares this file with the original.
 */
export interface Procedure<A, R> {
  readonly number: number
  readonly args: Codec<A>
  readonly ret: Codec<R>
}

const procedure = <A, R>(number: number, args: Codec<A>, ret: Codec<R>): Procedure<A, R> => ({ number, args, ret })

const flags = uint
const xml = nonnullString
const domArgs = struct({ dom: domain })
const domFlagsArgs = struct({ dom: domain, flags })
const domRet = struct({ dom: domain })
const poolArgs = struct({ pool: storagePool })
const poolFlagsArgs = struct({ pool: storagePool, flags })
const poolRet = struct({ pool: storagePool })
const volFlagsArgs = struct({ vol: storageVolume, flags })
const volRet = struct({ vol: storageVolume })
const netArgs = struct({ net: network })
const netRet = struct({ net: network })
const listArgs = struct({ need_results: int, flags })
const xmlRet = struct({ xml })
const nameArgs = struct({ name: nonnullString })
const uuidArgs = struct({ uuid })
const transferArgs = struct({ vol: storageVolume, offset: uhyper, length: uhyper, flags })
const callbackArgs = struct({ callbackID: int })
const callbackRet = struct({ callbackID: int })
const autostartRet = struct({ autostart: int })

export const procedures = {
  // Connection
  auth_list: procedure(66, nothing, struct({ types: array(int, limits.AUTH_TYPE_LIST) })),
  connect_open: procedure(1, struct({ name: nullableString, flags }), nothing),
  connect_close: procedure(2, nothing, nothing),
  connect_supports_feature: procedure(60, struct({ feature: int }), struct({ supported: int })),
  connect_get_type: procedure(3, nothing, struct({ type: nonnullString })),
  connect_get_version: procedure(4, nothing, struct({ hv_ver: uhyper })),
  connect_get_lib_version: procedure(157, nothing, struct({ lib_ver: uhyper })),
  connect_get_hostname: procedure(59, nothing, struct({ hostname: nonnullString })),
  connect_get_capabilities: procedure(7, nothing, struct({ capabilities: nonnullString })),
  connect_get_domain_capabilities: procedure(
    342,
    struct({
      emulatorbin: nullableString,
      arch: nullableString,
      machine: nullableString,
      virttype: nullableString,
      flags,
    }),
    struct({ capabilities: nonnullString }),
  ),
  node_get_info: procedure(
    6,
    nothing,
    struct({
      model: vector(int, 32),
      memory: uhyper,
      cpus: int,
      mhz: int,
      nodes: int,
      sockets: int,
      cores: int,
      threads: int,
    }),
  ),
  node_get_free_memory: procedure(102, nothing, struct({ freeMem: uhyper })),

  // Domains
  connect_list_all_domains: procedure(273, listArgs, struct({ domains: array(domain, limits.DOMAIN_LIST), ret: uint })),
  domain_lookup_by_uuid: procedure(24, uuidArgs, domRet),
  domain_lookup_by_name: procedure(23, nameArgs, domRet),
  domain_define_xml_flags: procedure(350, struct({ xml, flags }), domRet),
  domain_undefine_flags: procedure(231, domFlagsArgs, nothing),
  domain_get_xml_desc: procedure(14, domFlagsArgs, xmlRet),
  domain_get_state: procedure(212, domFlagsArgs, struct({ state: int, reason: int })),
  domain_get_info: procedure(
    16,
    domArgs,
    struct({ state: uint, maxMem: uhyper, memory: uhyper, nrVirtCpu: uint, cpuTime: counter }),
  ),
  domain_create_with_flags: procedure(196, domFlagsArgs, domRet),
  domain_shutdown_flags: procedure(258, domFlagsArgs, nothing),
  domain_destroy_flags: procedure(234, domFlagsArgs, nothing),
  domain_reboot: procedure(27, domFlagsArgs, nothing),
  domain_suspend: procedure(34, domArgs, nothing),
  domain_resume: procedure(28, domArgs, nothing),
  domain_managed_save: procedure(182, domFlagsArgs, nothing),
  domain_has_managed_save_image: procedure(183, domFlagsArgs, struct({ result: int })),
  domain_managed_save_remove: procedure(184, domFlagsArgs, nothing),
  domain_get_metadata: procedure(
    265,
    struct({ dom: domain, type: int, uri: nullableString, flags }),
    struct({ metadata: nonnullString }),
  ),
  domain_set_metadata: procedure(
    264,
    struct({ dom: domain, type: int, metadata: nullableString, key: nullableString, uri: nullableString, flags }),
    nothing,
  ),
  domain_interface_addresses: procedure(
    353,
    struct({ dom: domain, source: uint, flags }),
    struct({ ifaces: array(domainInterface, limits.DOMAIN_INTERFACE) }),
  ),
  domain_set_autostart: procedure(29, struct({ dom: domain, autostart: int }), nothing),
  domain_get_autostart: procedure(15, domArgs, autostartRet),
  domain_is_active: procedure(150, domArgs, struct({ active: int })),
  domain_is_persistent: procedure(151, domArgs, struct({ persistent: int })),

  // Storage pools
  connect_list_all_storage_pools: procedure(
    281,
    listArgs,
    struct({ pools: array(storagePool, limits.STORAGE_POOL_LIST), ret: uint }),
  ),
  storage_pool_lookup_by_name: procedure(84, nameArgs, poolRet),
  storage_pool_lookup_by_uuid: procedure(85, uuidArgs, poolRet),
  storage_pool_define_xml: procedure(77, struct({ xml, flags }), poolRet),
  storage_pool_undefine: procedure(82, poolArgs, nothing),
  storage_pool_get_xml_desc: procedure(88, poolFlagsArgs, xmlRet),
  storage_pool_get_info: procedure(
    87,
    poolArgs,
    struct({ state: uint, capacity: uhyper, allocation: uhyper, available: uhyper }),
  ),
  storage_pool_is_active: procedure(154, poolArgs, struct({ active: int })),
  storage_pool_create: procedure(78, poolFlagsArgs, nothing),
  storage_pool_build: procedure(79, poolFlagsArgs, nothing),
  storage_pool_refresh: procedure(83, poolFlagsArgs, nothing),
  storage_pool_destroy: procedure(80, poolArgs, nothing),
  storage_pool_set_autostart: procedure(90, struct({ pool: storagePool, autostart: int }), nothing),
  storage_pool_get_autostart: procedure(89, poolArgs, autostartRet),
  storage_pool_list_all_volumes: procedure(
    282,
    struct({ pool: storagePool, need_results: int, flags }),
    struct({ vols: array(storageVolume, limits.STORAGE_VOL_LIST), ret: uint }),
  ),

  // Storage volumes
  storage_vol_lookup_by_name: procedure(95, struct({ pool: storagePool, name: nonnullString }), volRet),
  storage_vol_lookup_by_path: procedure(97, struct({ path: nonnullString }), volRet),
  storage_vol_create_xml: procedure(93, struct({ pool: storagePool, xml, flags }), volRet),
  storage_vol_get_info: procedure(
    98,
    struct({ vol: storageVolume }),
    struct({ type: int, capacity: uhyper, allocation: uhyper }),
  ),
  storage_vol_get_path: procedure(100, struct({ vol: storageVolume }), struct({ name: nonnullString })),
  storage_vol_get_xml_desc: procedure(99, volFlagsArgs, xmlRet),
  storage_vol_delete: procedure(94, volFlagsArgs, nothing),
  storage_vol_resize: procedure(260, struct({ vol: storageVolume, capacity: uhyper, flags }), nothing),
  storage_vol_upload: procedure(208, transferArgs, nothing),
  storage_vol_download: procedure(209, transferArgs, nothing),

  // Networks
  connect_list_all_networks: procedure(283, listArgs, struct({ nets: array(network, limits.NETWORK_LIST), ret: uint })),
  network_lookup_by_name: procedure(46, nameArgs, netRet),
  network_lookup_by_uuid: procedure(47, uuidArgs, netRet),
  network_define_xml: procedure(41, struct({ xml }), netRet),
  network_create_xml: procedure(40, struct({ xml }), netRet),
  network_undefine: procedure(49, netArgs, nothing),
  network_get_xml_desc: procedure(43, struct({ net: network, flags }), xmlRet),
  network_is_active: procedure(152, netArgs, struct({ active: int })),
  network_create: procedure(39, netArgs, nothing),
  network_destroy: procedure(42, netArgs, nothing),
  network_set_autostart: procedure(48, struct({ net: network, autostart: int }), nothing),
  network_get_autostart: procedure(44, netArgs, autostartRet),
  network_get_bridge_name: procedure(45, netArgs, struct({ name: nonnullString })),
  network_get_dhcp_leases: procedure(
    341,
    struct({ net: network, mac: nullableString, need_results: int, flags }),
    struct({ leases: array(dhcpLease, limits.NETWORK_DHCP_LEASES), ret: uint }),
  ),

  // Registration for events
  connect_domain_event_callback_register_any: procedure(
    316,
    struct({ eventID: int, dom: optional(domain) }),
    callbackRet,
  ),
  connect_domain_event_callback_deregister_any: procedure(317, callbackArgs, nothing),
  connect_network_event_register_any: procedure(313, struct({ eventID: int, net: optional(network) }), callbackRet),
  connect_network_event_deregister_any: procedure(314, callbackArgs, nothing),
  connect_storage_pool_event_register_any: procedure(
    368,
    struct({ eventID: int, pool: optional(storagePool) }),
    callbackRet,
  ),
  connect_storage_pool_event_deregister_any: procedure(369, callbackArgs, nothing),
} as const

export type ProcedureName = keyof typeof procedures
export type Arguments<N extends ProcedureName> = Decoded<(typeof procedures)[N]['args']>
export type Result<N extends ProcedureName> = Decoded<(typeof procedures)[N]['ret']>

/** Messages that the server sends unasked, by the same numbering. */
export interface EventMessage<M> {
  readonly number: number
  readonly msg: Codec<M>
}

const event = <M>(number: number, msg: Codec<M>): EventMessage<M> => ({ number, msg })

export const eventMessages = {
  domain_event_callback_lifecycle: event(
    318,
    struct({ callbackID: int, msg: struct({ dom: domain, event: int, detail: int }) }),
  ),
  domain_event_callback_reboot: event(319, struct({ callbackID: int, msg: struct({ dom: domain }) })),
  domain_event_callback_agent_lifecycle: event(348, struct({ callbackID: int, dom: domain, state: int, reason: int })),
  network_event_lifecycle: event(315, struct({ callbackID: int, net: network, event: int, detail: int })),
  storage_pool_event_lifecycle: event(370, struct({ callbackID: int, pool: storagePool, event: int, detail: int })),
  storage_pool_event_refresh: event(373, struct({ callbackID: int, pool: storagePool })),
} as const

export type EventMessageName = keyof typeof eventMessages
export type EventPayload<N extends EventMessageName> = Decoded<(typeof eventMessages)[N]['msg']>

/** `REMOTE_AUTH_…`: what the server demands before `connect_open`. */
export const AuthType = { NONE: 0, SASL: 1, POLKIT: 2 } as const

/** Features of the server (virDrvFeature) that `connect_supports_feature` is asked for. */
export const Feature = { PROGRAM_KEEPALIVE: 10, REMOTE_EVENT_CALLBACK: 14 } as const
