import {
  activeRet,
  autostartRet,
  domArgs,
  domFlagsArgs,
  domRet,
  flags,
  listArgs,
  nameArgs,
  persistentRet,
  procedure,
  uuidArgs,
  xml,
  xmlRet,
} from '../procedure.ts'
import { domain, limits, nonnullString, nullableString } from '../types.ts'
import { array, bytes, counter, int, nothing, struct, uhyper, uint } from '../xdr.ts'

/** Definition, life, memory and CPUs of domains, and what is saved of them. */
export const domainProcedures = {
  connect_list_all_domains: procedure(273, listArgs, struct({ domains: array(domain, limits.DOMAIN_LIST), ret: uint })),
  domain_lookup_by_uuid: procedure(24, uuidArgs, domRet),
  domain_lookup_by_name: procedure(23, nameArgs, domRet),
  domain_lookup_by_id: procedure(22, struct({ id: int }), domRet),
  domain_define_xml_flags: procedure(350, struct({ xml, flags }), domRet),
  domain_create_xml: procedure(10, struct({ xml_desc: nonnullString, flags }), domRet),
  domain_undefine_flags: procedure(231, domFlagsArgs, nothing),
  domain_rename: procedure(358, struct({ dom: domain, new_name: nullableString, flags }), struct({ retcode: int })),
  domain_get_xml_desc: procedure(14, domFlagsArgs, xmlRet),
  domain_get_state: procedure(212, domFlagsArgs, struct({ state: int, reason: int })),
  domain_get_info: procedure(
    16,
    domArgs,
    struct({ state: uint, maxMem: uhyper, memory: uhyper, nrVirtCpu: uint, cpuTime: counter }),
  ),
  domain_get_messages: procedure(426, domFlagsArgs, struct({ msgs: array(nonnullString, limits.DOMAIN_MESSAGES) })),
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
  domain_set_autostart: procedure(29, struct({ dom: domain, autostart: int }), nothing),
  domain_get_autostart: procedure(15, domArgs, autostartRet),
  domain_is_active: procedure(150, domArgs, activeRet),
  domain_is_persistent: procedure(151, domArgs, persistentRet),
  domain_is_updated: procedure(202, domArgs, struct({ updated: int })),

  // Life
  domain_create_with_flags: procedure(196, domFlagsArgs, domRet),
  domain_shutdown_flags: procedure(258, domFlagsArgs, nothing),
  domain_destroy_flags: procedure(234, domFlagsArgs, nothing),
  domain_reboot: procedure(27, domFlagsArgs, nothing),
  domain_reset: procedure(245, domFlagsArgs, nothing),
  domain_suspend: procedure(34, domArgs, nothing),
  domain_resume: procedure(28, domArgs, nothing),
  domain_pm_suspend_for_duration: procedure(
    261,
    struct({ dom: domain, target: uint, duration: uhyper, flags }),
    nothing,
  ),
  domain_pm_wakeup: procedure(267, domFlagsArgs, nothing),
  domain_inject_nmi: procedure(210, domFlagsArgs, nothing),
  domain_send_key: procedure(
    226,
    struct({ dom: domain, codeset: uint, holdtime: uint, keycodes: array(uint, limits.DOMAIN_SEND_KEY), flags }),
    nothing,
  ),
  domain_core_dump_with_format: procedure(
    334,
    struct({ dom: domain, to: nonnullString, dumpformat: uint, flags }),
    nothing,
  ),

  // What is saved of its memory
  domain_managed_save: procedure(182, domFlagsArgs, nothing),
  domain_has_managed_save_image: procedure(183, domFlagsArgs, struct({ result: int })),
  domain_managed_save_remove: procedure(184, domFlagsArgs, nothing),
  domain_managed_save_get_xml_desc: procedure(388, domFlagsArgs, xmlRet),
  domain_managed_save_define_xml: procedure(389, struct({ dom: domain, dxml: nullableString, flags }), nothing),
  domain_save_flags: procedure(232, struct({ dom: domain, to: nonnullString, dxml: nullableString, flags }), nothing),
  domain_restore_flags: procedure(233, struct({ from: nonnullString, dxml: nullableString, flags }), nothing),
  domain_save_image_get_xml_desc: procedure(235, struct({ file: nonnullString, flags }), xmlRet),
  domain_save_image_define_xml: procedure(236, struct({ file: nonnullString, dxml: nonnullString, flags }), nothing),

  // Memory and CPUs
  domain_get_max_memory: procedure(17, domArgs, struct({ memory: uhyper })),
  domain_set_memory_flags: procedure(204, struct({ dom: domain, memory: uhyper, flags }), nothing),
  domain_set_memory_stats_period: procedure(308, struct({ dom: domain, period: int, flags }), nothing),
  domain_set_vcpus_flags: procedure(199, struct({ dom: domain, nvcpus: uint, flags }), nothing),
  domain_get_vcpus_flags: procedure(200, domFlagsArgs, struct({ num: int })),
  domain_pin_vcpu_flags: procedure(
    225,
    struct({ dom: domain, vcpu: uint, cpumap: bytes(limits.CPUMAP), flags }),
    nothing,
  ),
  domain_get_vcpus: procedure(
    20,
    struct({ dom: domain, maxinfo: int, maplen: int }),
    struct({
      info: array(struct({ number: uint, state: int, cpu_time: counter, cpu: int }), limits.VCPUINFO),
      cpumaps: bytes(limits.CPUMAPS),
    }),
  ),
} as const
