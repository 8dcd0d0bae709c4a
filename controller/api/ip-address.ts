/** IPv4 and IPv6 addresses as numbers, and back into the one way of writing each (RFC 5952). */
import { isIPv4, isIPv6 } from 'node:net'

export interface IPAddress {
  readonly family: 4 | 6
  readonly value: bigint
}

export interface Subnet {
  readonly family: 4 | 6
  /** Its first and its last address. */
  readonly first: bigint
  readonly last: bigint
  readonly prefix: number
}

const bits = { 4: 32, 6: 128 } as const

/** Undefined: it is none. */
export function parseAddress(text: string): IPAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: joined(text.split('.').map(Number), 8n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  // The last two groups may be written as an IPv4 address.
  const plain = text.replace(/[^:]*[.].*$/, (dotted) => {
    const value = joined(dotted.split('.').map(Number), 8n)
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`
  })
  const [head = '', tail] = plain.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0)
  return { family: 6, value: joined([...before, ...zeros, ...after], 16n) }
}

const joined = (parts: readonly number[], width: bigint): bigint =>
  parts.reduce((value, part) => (value << width) | BigInt(part), 0n)

const groupsOf = (value: bigint): string[] =>
  Array.from({ length: 8 }, (_, index) => ((value >> BigInt(16 * (7 - index))) & 0xffffn).toString(16))

export function formatAddress({ family, value }: IPAddress): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  const groups = groupsOf(value)
  // The longest run of zeros, the first of those that are equally long, is left out; never a single one.
  const runs = [...groups.join(':').matchAll(/(?<![^:])0(:0)+(?![^:])/g)]
  const [longest] = runs.map(([run]) => run).toSorted((a, b) => b.length - a.length)
  if (longest === undefined) return groups.join(':')
  const at = runs.find(([run]) => run === longest)?.index ?? 0
  const text = groups.join(':')
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`
}

/** With hyphens and every digit: as a part of an object's name. */
export const nameOfAddress = ({ family, value }: IPAddress): string =>
  family === 4
    ? formatAddress({ family, value }).replaceAll('.', '-')
    : groupsOf(value)
        .map((group) => group.padStart(4, '0'))
        .join('-')

/** The network that an address with a prefix length lies in. Undefined: it is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [written = '', length = ''] = text.split('/')
  const address = parseAddress(written)
  if (!address || !/^\d{1,3}$/.test(length)) return undefined
  const prefix = Number(length)
  const width = bits[address.family]
  if (prefix > width) return undefined
  const size = 1n << BigInt(width - prefix)
  const first = address.value - (address.value % size)
  return { family: address.family, first, last: first + size - 1n, prefix }
}

/** Addresses of it that no machine can have: that of the network, and the last of an IPv4 network (broadcast). */
export const isReserved = ({ family, first, last, prefix }: Subnet, value: bigint): boolean =>
  prefix <= bits[family] - 2 && (value === first || (family === 4 && value === last))

export const isWithin = (
  { family, value }: IPAddress,
  { family: other, first, last }: Pick<Subnet, 'family' | 'first' | 'last'>,
): boolean => family === other && value >= first && value <= last
