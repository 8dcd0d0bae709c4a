/** Flags of libvirt-network.h, without their VIR_NETWORK_. Flags are combined with `|`. */

export const ListNetworksFlags = {
  INACTIVE: 1 << 0,
  ACTIVE: 1 << 1,
  PERSISTENT: 1 << 2,
  TRANSIENT: 1 << 3,
  AUTOSTART: 1 << 4,
  NO_AUTOSTART: 1 << 5,
} as const

export const NetworkXMLFlags = { INACTIVE: 1 << 0 } as const

/** What is done to a part of a network. */
export const NetworkUpdateCommand = {
  MODIFY: 1,
  DELETE: 2,
  ADD_LAST: 3,
  ADD_FIRST: 4,
} as const

/** The part of a network that is changed. */
export const NetworkUpdateSection = {
  BRIDGE: 1,
  DOMAIN: 2,
  IP: 3,
  IP_DHCP_HOST: 4,
  IP_DHCP_RANGE: 5,
  FORWARD: 6,
  FORWARD_INTERFACE: 7,
  FORWARD_PF: 8,
  PORTGROUP: 9,
  DNS_HOST: 10,
  DNS_TXT: 11,
  DNS_SRV: 12,
} as const

export const NetworkUpdateFlags = { CURRENT: 0, LIVE: 1 << 0, CONFIG: 1 << 1 } as const
