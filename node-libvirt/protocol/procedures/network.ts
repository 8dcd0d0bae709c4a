import {
  activeRet,
  autostartRet,
  flags,
  listArgs,
  nameArgs,
  persistentRet,
  procedure,
  uuidArgs,
  xml,
  xmlRet,
} from '../procedure.ts'
import { dhcpLease, limits, network, networkFilter, nonnullString, nullableString } from '../types.ts'
import { array, int, nothing, struct, uint } from '../xdr.ts'

const netArgs = struct({ net: network })
const netRet = struct({ net: network })
const filterRet = struct({ nwfilter: networkFilter })

/** Networks and packet filters. */
export const networkProcedures = {
  connect_list_all_networks: procedure(283, listArgs, struct({ nets: array(network, limits.NETWORK_LIST), ret: uint })),
  network_lookup_by_name: procedure(46, nameArgs, netRet),
  network_lookup_by_uuid: procedure(47, uuidArgs, netRet),
  network_define_xml: procedure(41, struct({ xml }), netRet),
  network_create_xml: procedure(40, struct({ xml }), netRet),
  network_undefine: procedure(49, netArgs, nothing),
  network_get_xml_desc: procedure(43, struct({ net: network, flags }), xmlRet),
  network_is_active: procedure(152, netArgs, activeRet),
  network_is_persistent: procedure(153, netArgs, persistentRet),
  network_update: procedure(
    291,
    struct({ net: network, command: uint, section: uint, parentIndex: int, xml, flags }),
    nothing,
  ),
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

  // Filters
  connect_list_all_nwfilters: procedure(
    286,
    listArgs,
    struct({ filters: array(networkFilter, limits.NWFILTER_LIST), ret: uint }),
  ),
  nwfilter_lookup_by_name: procedure(175, nameArgs, filterRet),
  nwfilter_lookup_by_uuid: procedure(176, uuidArgs, filterRet),
  nwfilter_define_xml: procedure(180, struct({ xml }), filterRet),
  nwfilter_undefine: procedure(181, struct({ nwfilter: networkFilter }), nothing),
  nwfilter_get_xml_desc: procedure(177, struct({ nwfilter: networkFilter, flags }), xmlRet),
} as const
