/**
 * Flags and states of libvirt's public API (libvirt-domain.h, -storage.h, -network.h), without the VIR_ prefixes.
 * Flags are combined with `|`.
 */

export const DomainState = {
  NOSTATE: 0,
  RUNNING: 1,
  BLOCKED: 2,
  PAUSED: 3,
  /** The guest is shutting down. */
  SHUTDOWN: 4,
  SHUTOFF: 5,
  CRASHED: 6,
  PMSUSPENDED: 7,
} as const

/** Reasons that go with {@link DomainState.SHUTOFF}. */
export const DomainShutoffReason = {
  UNKNOWN: 0,
  SHUTDOWN: 1,
  DESTROYED: 2,
  CRASHED: 3,
  MIGRATED: 4,
  SAVED: 5,
  FAILED: 6,
  FROM_SNAPSHOT: 7,
  DAEMON: 8,
} as const

/** Reasons that go with {@link DomainState.PAUSED}. */
export const DomainPausedReason = {
  UNKNOWN: 0,
  USER: 1,
  MIGRATION: 2,
  SAVE: 3,
  DUMP: 4,
  IOERROR: 5,
  WATCHDOG: 6,
  FROM_SNAPSHOT: 7,
  SHUTTING_DOWN: 8,
  SNAPSHOT: 9,
  CRASHED: 10,
  STARTING_UP: 11,
  POSTCOPY: 12,
  POSTCOPY_FAILED: 13,
} as const

export const ListDomainsFlags = {
  ACTIVE: 1 << 0,
  INACTIVE: 1 << 1,
  PERSISTENT: 1 << 2,
  TRANSIENT: 1 << 3,
  RUNNING: 1 << 4,
  PAUSED: 1 << 5,
  SHUTOFF: 1 << 6,
  OTHER: 1 << 7,
  MANAGEDSAVE: 1 << 8,
  NO_MANAGEDSAVE: 1 << 9,
  AUTOSTART: 1 << 10,
  NO_AUTOSTART: 1 << 11,
} as const

export const DomainCreateFlags = {
  PAUSED: 1 << 0,
  /** Destroy the guest when this connection ends. */
  AUTODESTROY: 1 << 1,
  BYPASS_CACHE: 1 << 2,
  /** Discard a managed save image, boot anew. */
  FORCE_BOOT: 1 << 3,
  VALIDATE: 1 << 4,
  RESET_NVRAM: 1 << 5,
} as const

export const DomainDefineFlags = { VALIDATE: 1 << 0 } as const

export const DomainXMLFlags = {
  /** With passwords. */
  SECURE: 1 << 0,
  /** The definition of the next start, though the domain runs. */
  INACTIVE: 1 << 1,
  UPDATE_CPU: 1 << 2,
  MIGRATABLE: 1 << 3,
} as const

export const DomainShutdownFlags = {
  ACPI_POWER_BTN: 1 << 0,
  GUEST_AGENT: 1 << 1,
  INITCTL: 1 << 2,
  SIGNAL: 1 << 3,
  PARAVIRT: 1 << 4,
} as const

export const DomainRebootFlags = DomainShutdownFlags

export const DomainDestroyFlags = {
  /** SIGTERM only: fails rather than kill a guest that hangs in I/O. */
  GRACEFUL: 1 << 0,
  REMOVE_LOGS: 1 << 1,
} as const

export const DomainUndefineFlags = {
  MANAGED_SAVE: 1 << 0,
  SNAPSHOTS_METADATA: 1 << 1,
  NVRAM: 1 << 2,
  KEEP_NVRAM: 1 << 3,
  CHECKPOINTS_METADATA: 1 << 4,
  TPM: 1 << 5,
  KEEP_TPM: 1 << 6,
} as const

export const DomainSaveFlags = { BYPASS_CACHE: 1 << 0, RUNNING: 1 << 1, PAUSED: 1 << 2 } as const

/** Whom a change is for: the running guest, the definition of the next start, or (0) whichever is current. */
export const DomainModificationImpact = { CURRENT: 0, LIVE: 1 << 0, CONFIG: 1 << 1 } as const

export const DomainMetadataType = { DESCRIPTION: 0, TITLE: 1, ELEMENT: 2 } as const

export const InterfaceAddressesSource = { LEASE: 0, AGENT: 1, ARP: 2 } as const

export const IPAddressType = { IPV4: 0, IPV6: 1 } as const

export const DomainEventType = {
  DEFINED: 0,
  UNDEFINED: 1,
  STARTED: 2,
  SUSPENDED: 3,
  RESUMED: 4,
  STOPPED: 5,
  SHUTDOWN: 6,
  PMSUSPENDED: 7,
  CRASHED: 8,
} as const

/** Details that go with {@link DomainEventType.STOPPED}. */
export const DomainEventStoppedDetail = {
  SHUTDOWN: 0,
  DESTROYED: 1,
  CRASHED: 2,
  MIGRATED: 3,
  SAVED: 4,
  FAILED: 5,
  FROM_SNAPSHOT: 6,
} as const

/** Details that go with {@link DomainEventType.SHUTDOWN}: who asked for it. */
export const DomainEventShutdownDetail = { FINISHED: 0, GUEST: 1, HOST: 2 } as const

export const AgentLifecycleState = { CONNECTED: 1, DISCONNECTED: 2 } as const

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

export const StoragePoolEventType = {
  DEFINED: 0,
  UNDEFINED: 1,
  STARTED: 2,
  STOPPED: 3,
  CREATED: 4,
  DELETED: 5,
} as const

export const StorageVolumeType = { FILE: 0, BLOCK: 1, DIR: 2, NETWORK: 3, NETDIR: 4, PLOOP: 5 } as const

export const StorageVolumeCreateFlags = { PREALLOC_METADATA: 1 << 0, REFLINK: 1 << 1, VALIDATE: 1 << 2 } as const

export const StorageVolumeDeleteFlags = { ZEROED: 1 << 0, WITH_SNAPSHOTS: 1 << 1 } as const

export const StorageVolumeResizeFlags = {
  ALLOCATE: 1 << 0,
  /** The capacity given is added to the present one. */
  DELTA: 1 << 1,
  SHRINK: 1 << 2,
} as const

export const ListNetworksFlags = {
  INACTIVE: 1 << 0,
  ACTIVE: 1 << 1,
  PERSISTENT: 1 << 2,
  TRANSIENT: 1 << 3,
  AUTOSTART: 1 << 4,
  NO_AUTOSTART: 1 << 5,
} as const

export const NetworkXMLFlags = { INACTIVE: 1 << 0 } as const

export const NetworkEventType = { DEFINED: 0, UNDEFINED: 1, STARTED: 2, STOPPED: 3 } as const
