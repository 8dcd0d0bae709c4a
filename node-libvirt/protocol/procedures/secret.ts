import { flags, listArgs, procedure, uuidArgs, xml, xmlRet } from '../procedure.ts'
import { limits, nonnullString, secret } from '../types.ts'
import { array, bytes, int, nothing, struct, uint } from '../xdr.ts'

const secretFlagsArgs = struct({ secret, flags })
const secretRet = struct({ secret })
const value = bytes(limits.SECRET_VALUE)

export const secretProcedures = {
  connect_list_all_secrets: procedure(287, listArgs, struct({ secrets: array(secret, limits.SECRET_LIST), ret: uint })),
  secret_lookup_by_uuid: procedure(141, uuidArgs, secretRet),
  secret_lookup_by_usage: procedure(147, struct({ usageType: int, usageID: nonnullString }), secretRet),
  secret_define_xml: procedure(142, struct({ xml, flags }), secretRet),
  secret_get_xml_desc: procedure(143, secretFlagsArgs, xmlRet),
  secret_set_value: procedure(144, struct({ secret, value, flags }), nothing),
  secret_get_value: procedure(145, secretFlagsArgs, struct({ value })),
  secret_undefine: procedure(146, struct({ secret }), nothing),
} as const
