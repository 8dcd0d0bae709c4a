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
import { limits, nonnullString, storagePool, storageVolume } from '../types.ts'
import { array, int, nothing, struct, uhyper, uint } from '../xdr.ts'

const poolArgs = struct({ pool: storagePool })
const poolFlagsArgs = struct({ pool: storagePool, flags })
const poolRet = struct({ pool: storagePool })
const volArgs = struct({ vol: storageVolume })
const volFlagsArgs = struct({ vol: storageVolume, flags })
const volRet = struct({ vol: storageVolume })
const transferArgs = struct({ vol: storageVolume, offset: uhyper, length: uhyper, flags })

export const storageProcedures = {
  // Storage pools
  connect_list_all_storage_pools: procedure(
    281,
    listArgs,
    struct({ pools: array(storagePool, limits.STORAGE_POOL_LIST), ret: uint }),
  ),
  storage_pool_lookup_by_name: procedure(84, nameArgs, poolRet),
  storage_pool_lookup_by_uuid: procedure(85, uuidArgs, poolRet),
  storage_pool_lookup_by_volume: procedure(86, volArgs, poolRet),
  storage_pool_lookup_by_target_path: procedure(391, struct({ path: nonnullString }), poolRet),
  storage_pool_create_xml: procedure(76, struct({ xml, flags }), poolRet),
  storage_pool_define_xml: procedure(77, struct({ xml, flags }), poolRet),
  storage_pool_undefine: procedure(82, poolArgs, nothing),
  storage_pool_get_xml_desc: procedure(88, poolFlagsArgs, xmlRet),
  storage_pool_get_info: procedure(
    87,
    poolArgs,
    struct({ state: uint, capacity: uhyper, allocation: uhyper, available: uhyper }),
  ),
  storage_pool_is_active: procedure(154, poolArgs, activeRet),
  storage_pool_is_persistent: procedure(155, poolArgs, persistentRet),
  storage_pool_create: procedure(78, poolFlagsArgs, nothing),
  storage_pool_build: procedure(79, poolFlagsArgs, nothing),
  storage_pool_refresh: procedure(83, poolFlagsArgs, nothing),
  storage_pool_destroy: procedure(80, poolArgs, nothing),
  storage_pool_delete: procedure(81, poolFlagsArgs, nothing),
  storage_pool_set_autostart: procedure(90, struct({ pool: storagePool, autostart: int }), nothing),
  storage_pool_get_autostart: procedure(89, poolArgs, autostartRet),
  storage_pool_list_all_volumes: procedure(
    282,
    struct({ pool: storagePool, need_results: int, flags }),
    struct({ vols: array(storageVolume, limits.STORAGE_VOL_LIST), ret: uint }),
  ),

  // Storage volumes
  storage_vol_lookup_by_name: procedure(95, struct({ pool: storagePool, name: nonnullString }), volRet),
  storage_vol_lookup_by_path: procedure(97, struct({ path: nonnullString }), volRet),
  storage_vol_lookup_by_key: procedure(96, struct({ key: nonnullString }), volRet),
  storage_vol_create_xml: procedure(93, struct({ pool: storagePool, xml, flags }), volRet),
  storage_vol_create_xml_from: procedure(
    125,
    struct({ pool: storagePool, xml, clonevol: storageVolume, flags }),
    volRet,
  ),
  storage_vol_get_info: procedure(98, volArgs, struct({ type: int, capacity: uhyper, allocation: uhyper })),
  storage_vol_get_path: procedure(100, volArgs, struct({ name: nonnullString })),
  storage_vol_get_xml_desc: procedure(99, volFlagsArgs, xmlRet),
  storage_vol_delete: procedure(94, volFlagsArgs, nothing),
  storage_vol_wipe: procedure(165, volFlagsArgs, nothing),
  storage_vol_resize: procedure(260, struct({ vol: storageVolume, capacity: uhyper, flags }), nothing),
  storage_vol_upload: procedure(208, transferArgs, nothing),
  storage_vol_download: procedure(209, transferArgs, nothing),
} as const
