/** Devices of domains and jobs on them (libvirt-domain.h, without VIR_DOMAIN_). Flags are combined with `|`. */

export const DeviceModifyFlags = { CURRENT: 0, LIVE: 1 << 0, CONFIG: 1 << 1, FORCE: 1 << 2 } as const

/** The size is in bytes, not KiB. */
export const BlockResizeFlags = { BYTES: 1 << 0 } as const

/** The bandwidth is in bytes a second, not MiB. */
export const BlockPullFlags = { BANDWIDTH_BYTES: 1 << 6 } as const

export const BlockCommitFlags = {
  /** Into the next file alone. Without it, or a base, the lowest file is changed, and with it all that stand on it. */
  SHALLOW: 1 << 0,
  DELETE: 1 << 1,
  ACTIVE: 1 << 2,
  RELATIVE: 1 << 3,
  BANDWIDTH_BYTES: 1 << 4,
} as const

export const BlockCopyFlags = {
  SHALLOW: 1 << 0,
  REUSE_EXT: 1 << 1,
  TRANSIENT_JOB: 1 << 2,
  SYNCHRONOUS_WRITES: 1 << 3,
} as const

export const BlockJobAbortFlags = {
  ASYNC: 1 << 0,
  /** Ends a copy or an active commit by moving the domain to the new file. */
  PIVOT: 1 << 1,
} as const

export const BlockJobType = { UNKNOWN: 0, PULL: 1, COPY: 2, COMMIT: 3, ACTIVE_COMMIT: 4, BACKUP: 5 } as const

export const DiskErrorCode = { NONE: 0, UNSPEC: 1, NO_SPACE: 2 } as const

export const ConsoleFlags = {
  /** Ends another's connection to it. */
  FORCE: 1 << 0,
  /** Only if the driver can keep two apart. */
  SAFE: 1 << 1,
} as const

/** Ends another's connection to it. */
export const ChannelFlags = { FORCE: 1 << 0 } as const
