import { BlockList, isIP } from 'node:net'
import { ImageError } from '../failure.ts'

/**
 * Where nobody's image lies, but where a cloud's credentials, or neighbours that trust the sender's place, can be:
 * "this host", link-local (with the metadata service of most clouds), multicast, broadcast, and the metadata addresses
 * of clouds that are outside of link-local. Loopback and private networks are not in it: mirrors live there. Where
 * users are not trusted, add `privateAddresses`.
 */
export const defaultDenyAddresses: readonly string[] = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/128',
  'fe80::/10',
  'ff00::/8',
  '100.100.100.200/32', // Alibaba Cloud
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle Cloud
  'fd00:ec2::254/128', // AWS
  'fd20:ce::254/128', // Google Cloud
]

/** Loopback, private and shared networks: to be denied besides, where users are not trusted with the cluster's inside. */
export const privateAddresses: readonly string[] = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '::1/128',
  'fc00::/7',
]

export interface AddressPolicy {
  /** Whether an IPv4 or IPv6 address must not be connected to. What is no address is denied. */
  denies(address: string): boolean
}

/** Throws RangeError for what is not a CIDR. */
export function addressPolicy(denyAddresses: readonly string[]): AddressPolicy {
  const list = new BlockList()
  for (const cidr of denyAddresses) add(list, cidr)
  return {
    denies(address) {
      const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
      const version = isIP(bare)
      return version === 0 || list.check(bare, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

function add(list: BlockList, cidr: string): void {
  const [address = '', length = '', ...rest] = cidr.split('/')
  const version = isIP(address)
  const bits = Number(length)
  if (rest.length > 0 || version === 0 || !/^\d{1,3}$/.test(length) || bits > (version === 4 ? 32 : 128)) {
    throw new RangeError(`denyAddresses: ${cidr} is not a CIDR such as 169.254.0.0/16`)
  }
  if (version === 6) {
    list.addSubnet(address, bits, 'ipv6')
    return
  }
  // BlockList knows IPv4-mapped addresses itself; these are the other ways to write an IPv4 address as an IPv6 one.
  list.addSubnet(address, bits, 'ipv4')
  list.addSubnet(`64:ff9b::${address}`, 96 + bits, 'ipv6') // NAT64, RFC 6052
  if (address !== '0.0.0.0') list.addSubnet(`::${address}`, 96 + bits, 'ipv6') // IPv4-compatible, RFC 4291
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  const group = (high: number, low: number) => (high * 256 + low).toString(16)
  list.addSubnet(`2002:${group(a, b)}:${group(c, d)}::`, 16 + bits, 'ipv6') // 6to4, RFC 3056
}

export function forbidden(host: string): ImageError {
  return new ImageError(
    'SourceForbidden',
    `${host} has an address that images must not be fetched from: use another server, or change denyAddresses`,
  )
}
