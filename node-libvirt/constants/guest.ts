/** What is asked of guests and their agents (libvirt-domain.h, libvirt-network.h). Flags are combined with `|`. */

export const InterfaceAddressesSource = { LEASE: 0, AGENT: 1, ARP: 2 } as const

export const IPAddressType = { IPV4: 0, IPV6: 1 } as const

/** What the agent is asked for; 0 asks for all that it can tell. */
export const GuestInfoTypes = {
  USERS: 1 << 0,
  OS: 1 << 1,
  TIMEZONE: 1 << 2,
  HOSTNAME: 1 << 3,
  FILESYSTEM: 1 << 4,
  DISKS: 1 << 5,
  INTERFACES: 1 << 6,
} as const

export const GetHostnameFlags = { LEASE: 1 << 0, AGENT: 1 << 1 } as const

/** Sets the guest's clock by its own hardware clock. */
export const SetTimeFlags = { SYNC: 1 << 0 } as const

/** The password is hashed already, as the guest's /etc/shadow has it. */
export const SetUserPasswordFlags = { ENCRYPTED: 1 << 0 } as const

export const AuthorizedSSHKeysSetFlags = { APPEND: 1 << 0, REMOVE: 1 << 1 } as const

/** Instead of seconds. */
export const AgentResponseTimeout = {
  /** For ever. */
  BLOCK: -2,
  /** libvirt's own: 5 s to find the agent, then for ever. */
  DEFAULT: -1,
  /** Fails unless the agent answers at once. */
  NOWAIT: 0,
} as const
