import { maxString } from './message.ts'
import {
  array,
  type Codec,
  counter,
  type Decoded,
  hyper,
  int,
  mapped,
  opaque,
  optional,
  string,
  struct,
  uint,
} from './xdr.ts'

/** Types that several procedures share (remote_protocol.x), and the limits on lists. */

export const limits = {
  AUTH_TYPE_LIST: 20,
  AUTH_SASL_DATA: 65536,
  CONNECT_CPU_MODELS: 8192,
  CONNECT_GET_ALL_DOMAIN_STATS: 262144,
  CPUMAP: 2048,
  CPUMAPS: 8388608,
  DOMAIN_AUTHORIZED_SSH_KEYS: 2048,
  DOMAIN_BLOCK_COPY_PARAMETERS: 16,
  DOMAIN_BLOCK_IO_TUNE_PARAMETERS: 32,
  DOMAIN_BLOCK_STATS_PARAMETERS: 16,
  DOMAIN_DISK_ERRORS: 256,
  DOMAIN_FSFREEZE_MOUNTPOINTS: 256,
  DOMAIN_FSINFO: 256,
  DOMAIN_FSINFO_DISKS: 256,
  DOMAIN_GUEST_INFO_PARAMS: 2048,
  DOMAIN_INTERFACE_PARAMETERS: 16,
  DOMAIN_JOB_STATS: 64,
  DOMAIN_LIST: 16384,
  DOMAIN_MEMORY_STATS: 1024,
  DOMAIN_MESSAGES: 2048,
  DOMAIN_SEND_KEY: 16,
  DOMAIN_SNAPSHOT_LIST: 16384,
  NETWORK_LIST: 16384,
  NODE_CPU_STATS: 16,
  NODE_DEVICE_CAPS_LIST: 65536,
  NODE_DEVICE_LIST: 65536,
  NODE_MEMORY_STATS: 16,
  NWFILTER_LIST: 16384,
  SECRET_LIST: 16384,
  SECRET_VALUE: 65536,
  STORAGE_POOL_LIST: 16384,
  STORAGE_VOL_LIST: 16384,
  NETWORK_DHCP_LEASES: 65536,
  DOMAIN_INTERFACE: 2048,
  DOMAIN_IP_ADDR: 2048,
  VCPUINFO: 16384,
} as const

/** NUMA nodes. */
export const maxNodeCells = 1024

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
export const domainSnapshot = struct({ name: nonnullString, dom: domain })
export const networkFilter = struct({ name: nonnullString, uuid })
export const nodeDevice = struct({ name: nonnullString })
export const secret = struct({ uuid, usageType: int, usageID: nonnullString })

export type DomainRef = Decoded<typeof domain>
export type NetworkRef = Decoded<typeof network>
export type StoragePoolRef = Decoded<typeof storagePool>
export type StorageVolumeRef = Decoded<typeof storageVolume>
export type DomainSnapshotRef = Decoded<typeof domainSnapshot>
export type NetworkFilterRef = Decoded<typeof networkFilter>
export type NodeDeviceRef = Decoded<typeof nodeDevice>
export type SecretRef = Decoded<typeof secret>

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

/** `char data<>`: XDR gives each character a word of its own. */
export const saslData = array(int, limits.AUTH_SASL_DATA)

export const domainFSInfo = struct({
  mountpoint: nonnullString,
  name: nonnullString,
  fstype: nonnullString,
  dev_aliases: array(nonnullString, limits.DOMAIN_FSINFO_DISKS),
})

/** A figure of the host, by name. */
export const nodeStatistic = struct({ field: nonnullString, value: counter })
