import { flags, procedure } from '../procedure.ts'
import { domain, nonnullString, nullableString } from '../types.ts'
import { int, struct } from '../xdr.ts'

/** Of a program of its own (qemu_protocol.x), which only the QEMU driver has. */
export const qemuProcedures = {
  qemu_domain_monitor_command: procedure(
    1,
    struct({ dom: domain, cmd: nonnullString, flags }),
    struct({ result: nonnullString }),
  ),
  qemu_domain_agent_command: procedure(
    3,
    struct({ dom: domain, cmd: nonnullString, timeout: int, flags }),
    struct({ result: nullableString }),
  ),
} as const
