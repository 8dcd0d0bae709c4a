import { domFlagsArgs, flags, procedure, xmlRet } from '../procedure.ts'
import { domain, domainSnapshot, limits, nonnullString } from '../types.ts'
import { array, int, nothing, struct } from '../xdr.ts'

const snapFlagsArgs = struct({ snap: domainSnapshot, flags })
const snapRet = struct({ snap: domainSnapshot })
const listRet = struct({ snapshots: array(domainSnapshot, limits.DOMAIN_SNAPSHOT_LIST), ret: int })

export const snapshotProcedures = {
  domain_snapshot_create_xml: procedure(185, struct({ dom: domain, xml_desc: nonnullString, flags }), snapRet),
  domain_snapshot_lookup_by_name: procedure(189, struct({ dom: domain, name: nonnullString, flags }), snapRet),
  domain_list_all_snapshots: procedure(274, struct({ dom: domain, need_results: int, flags }), listRet),
  domain_has_current_snapshot: procedure(190, domFlagsArgs, struct({ result: int })),
  domain_snapshot_current: procedure(191, domFlagsArgs, snapRet),
  domain_snapshot_get_xml_desc: procedure(186, snapFlagsArgs, xmlRet),
  domain_snapshot_get_parent: procedure(244, snapFlagsArgs, snapRet),
  domain_snapshot_list_all_children: procedure(
    275,
    struct({ snapshot: domainSnapshot, need_results: int, flags }),
    listRet,
  ),
  domain_snapshot_is_current: procedure(271, snapFlagsArgs, struct({ current: int })),
  domain_snapshot_has_metadata: procedure(272, snapFlagsArgs, struct({ metadata: int })),
  domain_revert_to_snapshot: procedure(192, snapFlagsArgs, nothing),
  domain_snapshot_delete: procedure(193, snapFlagsArgs, nothing),
} as const
