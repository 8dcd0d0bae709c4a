import { flags, listArgs, nameArgs, procedure, xmlRet } from '../procedure.ts'
import { limits, nodeDevice, nonnullString, nullableString } from '../types.ts'
import { array, int, struct, uint } from '../xdr.ts'

/** Devices of the host. */
export const nodeDeviceProcedures = {
  connect_list_all_node_devices: procedure(
    285,
    listArgs,
    struct({ devices: array(nodeDevice, limits.NODE_DEVICE_LIST), ret: uint }),
  ),
  node_device_lookup_by_name: procedure(113, nameArgs, struct({ dev: nodeDevice })),
  node_device_get_xml_desc: procedure(114, struct({ name: nonnullString, flags }), xmlRet),
  node_device_get_parent: procedure(115, nameArgs, struct({ parentName: nullableString })),
  node_device_list_caps: procedure(
    117,
    struct({ name: nonnullString, maxnames: int }),
    struct({ names: array(nonnullString, limits.NODE_DEVICE_CAPS_LIST) }),
  ),
} as const
