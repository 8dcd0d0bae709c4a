/** Flags, states and reasons of libvirt-domain.h, without their VIR_DOMAIN_. Flags are combined with `|`. */

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

/** Reasons that go with {@link DomainState.RUNNING}. */
export const DomainRunningReason = {
  UNKNOWN: 0,
  BOOTED: 1,
  MIGRATED: 2,
  RESTORED: 3,
  FROM_SNAPSHOT: 4,
  UNPAUSED: 5,
  MIGRATION_CANCELED: 6,
  SAVE_CANCELED: 7,
  WAKEUP: 8,
  CRASHED: 9,
  POSTCOPY: 10,
  POSTCOPY_FAILED: 11,
} as const

/** Reasons that go with {@link DomainState.CRASHED}. */
export const DomainCrashedReason = { UNKNOWN: 0, PANICKED: 1 } as const

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

export const DomainSaveFlags = {
  BYPASS_CACHE: 1 << 0,
  /** Start it when it is restored, or ({@link DomainSaveFlags.PAUSED}) leave it paused, whatever it was. */
  RUNNING: 1 << 1,
  PAUSED: 1 << 2,
  RESET_NVRAM: 1 << 3,
} as const

/** With passwords. */
export const DomainSaveImageXMLFlags = { SECURE: 1 << 0 } as const

export const DomainCoreDumpFlags = {
  CRASH: 1 << 0,
  LIVE: 1 << 1,
  BYPASS_CACHE: 1 << 2,
  RESET: 1 << 3,
  MEMORY_ONLY: 1 << 4,
} as const

export const DomainCoreDumpFormat = {
  RAW: 0,
  KDUMP_ZLIB: 1,
  KDUMP_LZO: 2,
  KDUMP_SNAPPY: 3,
  WIN_DMP: 4,
} as const

export const DomainMemoryFlags = { CURRENT: 0, LIVE: 1 << 0, CONFIG: 1 << 1, MAXIMUM: 1 << 2 } as const

export const DomainVCPUFlags = {
  CURRENT: 0,
  LIVE: 1 << 0,
  CONFIG: 1 << 1,
  MAXIMUM: 1 << 2,
  /** By the guest agent. */
  GUEST: 1 << 3,
  HOTPLUGGABLE: 1 << 4,
} as const

export const VCPUState = { OFFLINE: 0, RUNNING: 1, BLOCKED: 2 } as const

export const NodeSuspendTarget = { MEM: 0, DISK: 1, HYBRID: 2 } as const

export const KeycodeSet = {
  LINUX: 0,
  XT: 1,
  ATSET1: 2,
  ATSET2: 3,
  ATSET3: 4,
  OSX: 5,
  XT_KBD: 6,
  USB: 7,
  WIN32: 8,
  QNUM: 9,
} as const

/** What libvirt has to say of a definition. */
export const DomainMessageType = { DEPRECATION: 1 << 0, TAINTING: 1 << 1 } as const

/** Whom a change is for: the running guest, the definition of the next start, or (0) whichever is current. */
export const DomainModificationImpact = { CURRENT: 0, LIVE: 1 << 0, CONFIG: 1 << 1 } as const

export const DomainMetadataType = { DESCRIPTION: 0, TITLE: 1, ELEMENT: 2 } as const
