import { domArgs, domFlagsArgs, flags, procedure } from '../procedure.ts'
import { typedParameters } from '../typed-parameters.ts'
import { domain, limits, nonnullString } from '../types.ts'
import { array, counter, hyper, int, nothing, struct, uhyper, uint } from '../xdr.ts'

/** What domains use, and what they are busy with. */
export const statisticsProcedures = {
  connect_get_all_domain_stats: procedure(
    344,
    struct({ doms: array(domain, limits.DOMAIN_LIST), stats: uint, flags }),
    struct({
      retStats: array(
        struct({ dom: domain, params: typedParameters(limits.CONNECT_GET_ALL_DOMAIN_STATS) }),
        limits.DOMAIN_LIST,
      ),
    }),
  ),
  domain_memory_stats: procedure(
    159,
    struct({ dom: domain, maxStats: uint, flags }),
    struct({ stats: array(struct({ tag: int, val: counter }), limits.DOMAIN_MEMORY_STATS) }),
  ),
  domain_block_stats_flags: procedure(
    243,
    struct({ dom: domain, path: nonnullString, nparams: int, flags }),
    struct({ params: typedParameters(limits.DOMAIN_BLOCK_STATS_PARAMETERS), nparams: int }),
  ),
  domain_interface_stats: procedure(
    65,
    struct({ dom: domain, device: nonnullString }),
    struct({
      rx_bytes: hyper,
      rx_packets: hyper,
      rx_errs: hyper,
      rx_drop: hyper,
      tx_bytes: hyper,
      tx_packets: hyper,
      tx_errs: hyper,
      tx_drop: hyper,
    }),
  ),
  domain_get_control_info: procedure(229, domFlagsArgs, struct({ state: uint, details: uint, stateTime: uhyper })),
  domain_get_job_info: procedure(
    163,
    domArgs,
    struct({
      type: int,
      timeElapsed: uhyper,
      timeRemaining: uhyper,
      dataTotal: uhyper,
      dataProcessed: uhyper,
      dataRemaining: uhyper,
      memTotal: uhyper,
      memProcessed: uhyper,
      memRemaining: uhyper,
      fileTotal: uhyper,
      fileProcessed: uhyper,
      fileRemaining: uhyper,
    }),
  ),
  domain_get_job_stats: procedure(
    298,
    domFlagsArgs,
    struct({ type: int, params: typedParameters(limits.DOMAIN_JOB_STATS) }),
  ),
  domain_abort_job: procedure(164, domArgs, nothing),
} as const
