import { maxString } from './message.ts'
import { array, type Codec, type Decoded, hyper, int, mapped, opaque, optional, string, struct, uint } from './xdr.ts'

/** Types that several procedures share (remote_protocol.x), and the limits on lists. */

export const limits = {
  AUTH_TYPE_LIST: 20,
  DOMAIN_LIST: 16384,
  NETWORK_LIST: 16384,
  STORAGE_POOL_LIST: 16384,
  STORAGE_VOL_LIST: 16384,
  NETWORK_DHCP_LEASES: 65536,
  DOMAIN_INTERFACE: 2048,
  DOMAIN_IP_ADDR: 2048,
} as const

export const nonnullString = string(maxString)
export const nullableString = optional(nonnullString)

const uuidForm = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** Sixteen bytes, seen as the lower-case text with hyphens. */
export const uuid: Codec<string> = mapped(
  opaque(16),
  (bytes) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  (text) => {
    if (!uuidForm.test(text)) throw new TypeError(`not a UUID: ${JSON.stringify(text)}`)
    return Buffer.from(text.replaceAll('-', ''), 'hex')
  },
)

export const domain = struct({ name: nonnullString, uuid, id: int })
export const network = struct({ name: nonnullString, uuid })
export const storagePool = struct({ name: nonnullString, uuid })
export const storageVolume = struct({ pool: nonnullString, name: nonnullString, key: nonnullString })

export type DomainRef = Decoded<typeof domain>
export type NetworkRef = Decoded<typeof network>
export type StoragePoolRef = Decoded<typeof storagePool>
export type StorageVolumeRef = Decoded<typeof storageVolume>

export const remoteError = struct({
  code: int,
  domain: int,
  message: nullableString,
  level: int,
  dom: optional(domain),
  str1: nullableString,
  str2: nullableString,
  str3: nullableString,
  int1: int,
  int2: int,
  net: optional(network),
})

export const dhcpLease = struct({
  iface: nonnullString,
  expirytime: hyper,
  type: int,
  mac: nullableString,
  iaid: nullableString,
  ipaddr: nonnullString,
  prefix: uint,
  hostname: nullableString,
  clientid: nullableString,
})

export const ipAddress = struct({ type: int, addr: nonnullString, prefix: uint })

export const domainInterface = struct({
  name: nonnullString,
  hwaddr: nullableString,
  addrs: array(ipAddress, limits.DOMAIN_IP_ADDR),
})
