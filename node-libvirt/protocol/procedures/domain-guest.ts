import { domFlagsArgs, flags, procedure } from '../procedure.ts'
import { typedParameters } from '../typed-parameters.ts'
import { domain, domainFSInfo, domainInterface, limits, nonnullString, nullableString } from '../types.ts'
import { array, hyper, int, nothing, struct, uhyper, uint } from '../xdr.ts'

const freezeArgs = struct({
  dom: domain,
  mountpoints: array(nonnullString, limits.DOMAIN_FSFREEZE_MOUNTPOINTS),
  flags,
})
const filesystemsRet = struct({ filesystems: int })
const keys = array(nonnullString, limits.DOMAIN_AUTHORIZED_SSH_KEYS)

/** What the guest, by its agent, or the network tells or does. */
export const domainGuestProcedures = {
  domain_interface_addresses: procedure(
    353,
    struct({ dom: domain, source: uint, flags }),
    struct({ ifaces: array(domainInterface, limits.DOMAIN_INTERFACE) }),
  ),
  domain_get_hostname: procedure(277, domFlagsArgs, struct({ hostname: nonnullString })),
  domain_get_guest_info: procedure(
    418,
    struct({ dom: domain, types: uint, flags }),
    struct({ params: typedParameters(limits.DOMAIN_GUEST_INFO_PARAMS) }),
  ),
  domain_get_fsinfo: procedure(
    349,
    domFlagsArgs,
    struct({ info: array(domainFSInfo, limits.DOMAIN_FSINFO), ret: uint }),
  ),
  domain_fsfreeze: procedure(335, freezeArgs, filesystemsRet),
  domain_fsthaw: procedure(336, freezeArgs, filesystemsRet),
  domain_fstrim: procedure(294, struct({ dom: domain, mountPoint: nullableString, minimum: uhyper, flags }), nothing),
  domain_get_time: procedure(337, domFlagsArgs, struct({ seconds: hyper, nseconds: uint })),
  domain_set_time: procedure(338, struct({ dom: domain, seconds: hyper, nseconds: uint, flags }), nothing),
  domain_set_user_password: procedure(
    357,
    struct({ dom: domain, user: nullableString, password: nullableString, flags }),
    nothing,
  ),
  domain_authorized_ssh_keys_get: procedure(424, struct({ dom: domain, user: nonnullString, flags }), struct({ keys })),
  domain_authorized_ssh_keys_set: procedure(425, struct({ dom: domain, user: nonnullString, keys, flags }), nothing),
  domain_agent_set_response_timeout: procedure(
    420,
    struct({ dom: domain, timeout: int, flags }),
    struct({ result: int }),
  ),
} as const
