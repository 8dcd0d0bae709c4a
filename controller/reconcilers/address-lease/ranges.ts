/** The ranges that a Network gives addresses from. Pure. */
import {
  formatAddress,
  type IPAddress,
  isReserved,
  isWithin,
  type Network,
  parseAddress,
  parseSubnet,
  type Subnet,
} from '../../api/index.ts'

export type Family = 4 | 6

export interface Range {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

export interface Ranges {
  readonly family: Family
  readonly subnet: Subnet
  readonly gateway?: IPAddress
  readonly ranges: readonly Range[]
  /** Addresses in the ranges, with those that nobody can have. */
  readonly size: number
}

/** As in the CRD's description of `ranges`. */
const mostAddresses = 65_536

type Spec = Pick<Network, 'spec' | 'metadata'>
export type RangesProblem = { readonly code: 'RangesInvalid' | 'RangesOverlap'; readonly message: string }

const addressing = ({ spec }: Spec, family: Family) => (family === 4 ? spec.ipv4 : spec.ipv6)

/** Undefined: the Network has none of that family, or none that make sense. */
export function rangesOf(network: Spec, family: Family): Ranges | undefined {
  const { subnet, gateway, ranges } = addressing(network, family) ?? {}
  const parsed = subnet === undefined ? undefined : parseSubnet(subnet)
  if (!parsed || !ranges) return undefined
  const read = ranges.flatMap(({ first, last }) => rangeOf(first, last) ?? [])
  if (read.length !== ranges.length) return undefined
  const router = gateway === undefined ? undefined : parseAddress(gateway)
  return {
    family,
    subnet: parsed,
    ...(router ? { gateway: router } : {}),
    ranges: read,
    size: read.reduce((sum, range) => sum + sizeOf(range), 0),
  }
}

function rangeOf(first: string, last: string): Range | undefined {
  const [from, to] = [parseAddress(first), parseAddress(last)]
  if (!from || !to || from.family !== to.family || from.value > to.value) return undefined
  return { family: from.family, first: from.value, last: to.value }
}

const sizeOf = ({ first, last }: Range): number => Number(last - first) + 1

const overlaps = (one: Range, other: Range): boolean =>
  one.family === other.family && one.first <= other.last && other.first <= one.last

export const isInRanges = ({ ranges }: Ranges, address: IPAddress): boolean =>
  ranges.some((range) => isWithin(address, range))

/** Nobody can have it: it is the router's, the network's own, or its broadcast address. */
export const isForNobody = ({ subnet, gateway }: Pick<Ranges, 'subnet' | 'gateway'>, { value }: IPAddress): boolean =>
  isReserved(subnet, value) || gateway?.value === value

/** How many addresses can be given. */
export function totalOf(ranges: Ranges): number {
  const { family, subnet, gateway, size } = ranges
  const candidates = new Set([subnet.first, subnet.last, ...(gateway ? [gateway.value] : [])])
  const lost = [...candidates].filter(
    (value) => isInRanges(ranges, { family, value }) && isForNobody(ranges, { family, value }),
  )
  return size - lost.length
}

/** What is wrong with a Network's ranges, alone and beside those of others: while it is, no address is given from them. */
export function rangesProblem(network: Spec, others: readonly Spec[]): RangesProblem | undefined {
  for (const family of [4, 6] as const) {
    const found = alone(network, family) ?? besideOthers(network, family, others)
    if (found) return found
  }
  return undefined
}

function alone(network: Spec, family: Family): RangesProblem | undefined {
  const { ranges = [] } = addressing(network, family) ?? {}
  const field = `spec.ipv${family}.ranges`
  const wrong = ranges.findIndex(({ first, last }) => rangeOf(first, last) === undefined)
  if (wrong >= 0) {
    const { first, last } = ranges[wrong] ?? {}
    return { code: 'RangesInvalid', message: `${field}[${wrong}]: last (${last}) must not be before first (${first})` }
  }
  const parsed = rangesOf(network, family)
  if (!parsed) return undefined
  if (parsed.size > mostAddresses) {
    const message = `${field} hold ${parsed.size} addresses, and ${mostAddresses} at most may be there: make them smaller`
    return { code: 'RangesInvalid', message }
  }
  const twice = parsed.ranges.findIndex((range, index) =>
    parsed.ranges.slice(0, index).some((one) => overlaps(one, range)),
  )
  return twice < 0
    ? undefined
    : { code: 'RangesOverlap', message: `${field}[${twice}] has addresses of a range before it: leave them out of one` }
}

function besideOthers(network: Spec, family: Family, others: readonly Spec[]): RangesProblem | undefined {
  const mine = rangesOf(network, family)?.ranges ?? []
  for (const [index, range] of mine.entries()) {
    const other = others.find((one) => rangesOf(one, family)?.ranges.some((theirs) => overlaps(range, theirs)))
    if (other) {
      const message = `spec.ipv${family}.ranges[${index}] has addresses of Network ${other.metadata.name}: leave them out of one of the two`
      return { code: 'RangesOverlap', message }
    }
  }
  return undefined
}

/** The address at a place, counted from the first of the first range. */
export function addressAt({ family, ranges }: Ranges, place: number): IPAddress {
  let left = place
  for (const range of ranges) {
    const size = sizeOf(range)
    if (left < size) return { family, value: range.first + BigInt(left) }
    left -= size
  }
  throw new RangeError(`the ranges have no address number ${place}`)
}

/** With the length of the subnet's prefix, as a guest is told it. */
export const withPrefix = ({ subnet }: Pick<Ranges, 'subnet'>, address: IPAddress): string =>
  `${formatAddress(address)}/${subnet.prefix}`
