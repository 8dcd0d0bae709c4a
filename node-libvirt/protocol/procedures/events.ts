import { procedure } from '../procedure.ts'
import { domain, network, nodeDevice, secret, storagePool } from '../types.ts'
import { int, nothing, optional, struct } from '../xdr.ts'

const callbackArgs = struct({ callbackID: int })
const callbackRet = struct({ callbackID: int })

/** Registration for events. */
export const eventProcedures = {
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
  connect_node_device_event_register_any: procedure(
    374,
    struct({ eventID: int, dev: optional(nodeDevice) }),
    callbackRet,
  ),
  connect_node_device_event_deregister_any: procedure(375, callbackArgs, nothing),
  connect_secret_event_register_any: procedure(380, struct({ eventID: int, secret: optional(secret) }), callbackRet),
  connect_secret_event_deregister_any: procedure(381, callbackArgs, nothing),
} as const
