/** Which addresses a machine must have to itself, and which of them it has. Pure over the caches. */
import { type AddressLease, formatAddress, type IPAddress, parseAddress, type VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import { type Leased, leaseName } from '../address-lease/lease.ts'
import { type Family, isInRanges, rangesOf, rangesProblem, withPrefix } from '../address-lease/ranges.ts'
import type { Caches } from '../shared/caches.ts'
import { type AddressedInterface, addressIn, addressingIn, families } from './addressing.ts'
import { hasOwnNetworkData } from './bootstrap-data.ts'
import { recordedAddresses } from './known-addresses.ts'
import type { Problem } from './model.ts'

/** An address that is to be chosen from a Network's ranges. */
export interface Wish {
  readonly network: string
  readonly interface: string
  readonly family: Family
}

export interface LeaseState {
  /** With the addresses that were given to them from ranges. */
  readonly interfaces: readonly AddressedInterface[]
  /** What is not leased yet. */
  readonly missing: readonly (Leased | Wish)[]
  /** What another machine has, or cannot be given. */
  readonly problem?: Problem
}

type LeaseCaches = Pick<Caches, 'addressLeases' | 'networks'>

/** Every MAC address, every address from a range, and every static one that lies in a range. */
export function leaseState(
  vm: ReadObject<VirtualMachine>,
  interfaces: readonly AddressedInterface[],
  caches: LeaseCaches,
): LeaseState {
  const own = caches.addressLeases.byIndex('consumer', vm.metadata.uid)
  const wanted = interfaces.map((one) => withGiven(vm, one, own, caches))
  const missing: (Leased | Wish)[] = []
  const problems: Problem[] = []
  for (const one of wanted) {
    for (const leased of needsOf(one, caches)) {
      const lease = caches.addressLeases.get(leaseName(leased))
      if (!lease) missing.push(leased)
      else if (lease.spec.consumerRef.uid !== vm.metadata.uid) problems.push(taken(leased, one, lease, vm))
    }
    for (const family of families) {
      const { method, addresses } = addressingIn(one, family)
      if (method !== 'FromRanges' || addresses.length > 0 || !mayBeGiven(vm, one)) continue
      const wrong = cannotGive(one, family, caches)
      if (wrong) problems.push(wrong)
      else missing.push({ network: one.network, interface: one.name, family })
    }
  }
  const [first] = problems
  return { interfaces: wanted, missing, ...(first ? { problem: first } : {}) }
}

/**
 * A guest is told once, at its first boot; an interface that came later is told by a person. With network data of the
 * user's own nobody would tell it.
 */
const mayBeGiven = (vm: VirtualMachine, { name }: AddressedInterface): boolean =>
  !hasOwnNetworkData(vm) &&
  (vm.status?.firstBootTime === undefined || !vm.status.networkInterfaces?.some((known) => known.name === name))

function needsOf(one: AddressedInterface, { networks }: LeaseCaches): Leased[] {
  const { name, network, macAddress } = one
  const leased = { network, interface: name }
  const found = networks.get(network)
  const inRanges = families.flatMap((family) => {
    const ranges = found && rangesOf(found, family)
    return addressingIn(one, family).addresses.flatMap((written) => {
      const address = addressIn(written)
      return ranges && address && isInRanges(ranges, address) ? [{ ...leased, address }] : []
    })
  })
  return [{ ...leased, macAddress }, ...inRanges]
}

/**
 * What a guest was told once stays its own, whatever its Network says since; until then what was given to it from ranges
 * stands among its addresses, as soon as it is leased.
 */
function withGiven(
  vm: ReadObject<VirtualMachine>,
  one: AddressedInterface,
  own: readonly ReadObject<AddressLease>[],
  { networks }: LeaseCaches,
): AddressedInterface {
  const network = networks.get(one.network)
  const told = toldBefore(vm, one)
  const filled = families.map((family) => {
    const addressing = addressingIn(one, family)
    const kept = told.filter((address) => addressIn(address)?.family === family)
    if (kept.length > 0) return { ...addressing, addresses: kept }
    const ranges = network && rangesOf(network, family)
    const given = addressing.method === 'FromRanges' ? leasedTo(one, own, family) : undefined
    return ranges && given ? { ...addressing, addresses: [withPrefix(ranges, given)] } : addressing
  })
  const [ipv4 = one.ipv4, ipv6 = one.ipv6] = filled
  return { ...one, ipv4, ipv6 }
}

function toldBefore(vm: VirtualMachine, { name, network }: AddressedInterface): readonly string[] {
  const recorded = vm.status?.networkInterfaces?.find((known) => known.name === name)
  const isTold = vm.status?.firstBootTime !== undefined && recorded?.network === network
  return isTold ? recordedAddresses(vm, name) : []
}

/** The oldest first: a lease that came beside it was taken on what an old cache showed. */
function leasedTo(
  { name, network }: AddressedInterface,
  own: readonly ReadObject<AddressLease>[],
  family: Family,
): IPAddress | undefined {
  return own
    .filter(({ spec }) => spec.interface === name && spec.network === network)
    .toSorted((a, b) => (ageKey(a) < ageKey(b) ? -1 : 1))
    .flatMap(({ spec }) => (spec.address === undefined ? [] : (parseAddress(spec.address) ?? [])))
    .find((address) => address.family === family)
}

const ageKey = ({ metadata }: AddressLease): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`

function cannotGive(one: AddressedInterface, family: Family, { networks }: LeaseCaches): Problem | undefined {
  const network = networks.get(one.network)
  const others = networks.list().filter(({ metadata }) => metadata.name !== one.network)
  const wrong = network && rangesProblem(network, others)
  if (wrong) return { code: wrong.code, message: `Network ${one.network}: ${wrong.message}` }
  return network && rangesOf(network, family)
    ? undefined
    : { code: 'RangesInvalid', message: `Network ${one.network}: spec.ipv${family}.ranges cannot be read` }
}

/** Whose it is, others of the namespace are told; about another namespace, administrators alone. */
export function taken(
  leased: Leased,
  { field }: Pick<AddressedInterface, 'field'>,
  { spec: { consumerRef } }: AddressLease,
  { metadata }: VirtualMachine,
): Problem {
  const who =
    consumerRef.namespace === metadata.namespace
      ? `VirtualMachine ${consumerRef.name}`
      : `another machine (administrators see which: kubectl get blease ${leaseName(leased)})`
  return 'address' in leased
    ? {
        code: 'AddressTaken',
        message: `${field}.ipv${leased.address.family}: ${who} has ${formatAddress(leased.address)} on Network ${leased.network}: choose another address, or wait until that machine is deleted`,
      }
    : {
        code: 'MACTaken',
        message: `${field}.macAddress: ${who} has ${leased.macAddress}: choose another, or wait until that machine is deleted`,
      }
}
