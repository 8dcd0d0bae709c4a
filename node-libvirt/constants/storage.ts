/** Flags and states of libvirt-storage.h, without their VIR_STORAGE_. Flags are combined with `|`. */

export const StoragePoolState = { INACTIVE: 0, BUILDING: 1, RUNNING: 2, DEGRADED: 3, INACCESSIBLE: 4 } as const

export const ListStoragePoolsFlags = {
  INACTIVE: 1 << 0,
  ACTIVE: 1 << 1,
  PERSISTENT: 1 << 2,
  TRANSIENT: 1 << 3,
  AUTOSTART: 1 << 4,
  NO_AUTOSTART: 1 << 5,
} as const

export const StoragePoolCreateFlags = {
  WITH_BUILD: 1 << 0,
  WITH_BUILD_OVERWRITE: 1 << 1,
  WITH_BUILD_NO_OVERWRITE: 1 << 2,
} as const

export const StoragePoolBuildFlags = {
  REPAIR: 1 << 0,
  RESIZE: 1 << 1,
  NO_OVERWRITE: 1 << 2,
  OVERWRITE: 1 << 3,
} as const

export const StoragePoolDeleteFlags = { NORMAL: 0, ZEROED: 1 << 0 } as const

export const StorageVolumeType = { FILE: 0, BLOCK: 1, DIR: 2, NETWORK: 3, NETDIR: 4, PLOOP: 5 } as const

export const StorageVolumeCreateFlags = { PREALLOC_METADATA: 1 << 0, REFLINK: 1 << 1, VALIDATE: 1 << 2 } as const

export const StorageVolumeDeleteFlags = { ZEROED: 1 << 0, WITH_SNAPSHOTS: 1 << 1 } as const

export const StorageVolumeResizeFlags = {
  ALLOCATE: 1 << 0,
  /** The capacity given is added to the present one. */
  DELTA: 1 << 1,
  SHRINK: 1 << 2,
} as const
