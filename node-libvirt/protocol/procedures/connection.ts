import { flags, flagsArgs, procedure } from '../procedure.ts'
import { limits, maxNodeCells, nodeStatistic, nonnullString, nullableString, saslData } from '../types.ts'
import { array, int, nothing, struct, uhyper, vector } from '../xdr.ts'

const saslRet = struct({ complete: int, nil: int, data: saslData })

export const connectionProcedures = {
  auth_list: procedure(66, nothing, struct({ types: array(int, limits.AUTH_TYPE_LIST) })),
  auth_sasl_init: procedure(67, nothing, struct({ mechlist: nonnullString })),
  auth_sasl_start: procedure(68, struct({ mech: nonnullString, nil: int, data: saslData }), saslRet),
  auth_sasl_step: procedure(69, struct({ nil: int, data: saslData }), saslRet),
  auth_polkit: procedure(70, nothing, struct({ complete: int })),
  connect_open: procedure(1, struct({ name: nullableString, flags }), nothing),
  connect_close: procedure(2, nothing, nothing),
  connect_supports_feature: procedure(60, struct({ feature: int }), struct({ supported: int })),
  connect_get_type: procedure(3, nothing, struct({ type: nonnullString })),
  connect_get_version: procedure(4, nothing, struct({ hv_ver: uhyper })),
  connect_get_lib_version: procedure(157, nothing, struct({ lib_ver: uhyper })),
  connect_get_hostname: procedure(59, nothing, struct({ hostname: nonnullString })),
  connect_get_uri: procedure(110, nothing, struct({ uri: nonnullString })),
  connect_get_sysinfo: procedure(203, flagsArgs, struct({ sysinfo: nonnullString })),
  connect_get_max_vcpus: procedure(5, struct({ type: nullableString }), struct({ max_vcpus: int })),
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
  connect_get_cpu_model_names: procedure(
    312,
    struct({ arch: nonnullString, need_results: int, flags }),
    struct({ models: array(nonnullString, limits.CONNECT_CPU_MODELS), ret: int }),
  ),
  connect_compare_cpu: procedure(158, struct({ xml: nonnullString, flags }), struct({ result: int })),
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
  node_get_cells_free_memory: procedure(
    101,
    struct({ startCell: int, maxcells: int }),
    struct({ cells: array(uhyper, maxNodeCells) }),
  ),
  node_get_cpu_stats: procedure(
    227,
    struct({ cpuNum: int, nparams: int, flags }),
    struct({ params: array(nodeStatistic, limits.NODE_CPU_STATS), nparams: int }),
  ),
  node_get_memory_stats: procedure(
    228,
    struct({ nparams: int, cellNum: int, flags }),
    struct({ params: array(nodeStatistic, limits.NODE_MEMORY_STATS), nparams: int }),
  ),
} as const
