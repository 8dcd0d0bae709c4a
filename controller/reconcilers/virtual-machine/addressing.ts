/** How the guest is to address each of its interfaces: what the spec says, else the Network. Pure. */
import {
  formatAddress,
  type IPAddress,
  isWithin,
  type Network,
  type NetworkInterface,
  parseAddress,
  parseSubnet,
  type Route,
  type VirtualMachine,
} from '../../api/index.ts'
import type { Cache } from '../../kube/port.ts'
import { type Family, isForNobody } from '../address-lease/ranges.ts'
import type { Problem } from './model.ts'
import { problem, type Resolution } from './resolution.ts'
import type { ResolvedInterface } from './resolve.ts'

export interface Addressing {
  readonly method: 'Automatic' | 'DHCP' | 'Static' | 'FromRanges' | 'Disabled'
  /** With prefix length. Of FromRanges: those that were given, as soon as they are. */
  readonly addresses: readonly string[]
  readonly gateway?: string
}

export interface AddressedInterface extends ResolvedInterface {
  /** Where it is described: `spec.networkInterfaces[0]`. */
  readonly field: string
  readonly ipv4: Addressing
  readonly ipv6: Addressing
  readonly nameservers: readonly string[]
  readonly searchDomains: readonly string[]
  readonly routes: readonly Route[]
}

export const families = [4, 6] as const
export const addressingIn = (one: AddressedInterface, family: Family): Addressing =>
  family === 4 ? one.ipv4 : one.ipv6

/** `interfaces`, each of which is on a Network that exists. */
export function addressInterfaces(
  vm: VirtualMachine,
  interfaces: readonly ResolvedInterface[],
  networks: Cache<Network>,
): Resolution<readonly AddressedInterface[]> {
  const addressed: AddressedInterface[] = []
  for (const resolved of interfaces) {
    const network = networks.get(resolved.network)
    if (!network) continue
    const index = vm.spec.networkInterfaces?.findIndex(({ name }) => name === resolved.name) ?? 0
    const wanted = vm.spec.networkInterfaces?.[index]
    const field = `spec.networkInterfaces[${index}]`
    // What the guest was told at its first boot is not judged any more.
    const wrong = vm.status?.firstBootTime === undefined ? firstProblem(wanted, network, field) : undefined
    if (wrong) return problem(wrong.code, wrong.message)
    const { spec } = network
    addressed.push({
      ...resolved,
      field,
      ipv4: addressingOf(wanted?.ipv4, spec.ipv4, 'DHCP'),
      ipv6: addressingOf(wanted?.ipv6, spec.ipv6, 'Automatic'),
      nameservers: wanted?.nameservers ?? spec.nameservers ?? [],
      searchDomains: wanted?.searchDomains ?? spec.searchDomains ?? [],
      routes: wanted?.routes ?? [],
    })
  }
  return { value: addressed }
}

type Wanted = NetworkInterface['ipv4'] | NetworkInterface['ipv6']
type Offered = Network['spec']['ipv4'] | Network['spec']['ipv6']

function addressingOf(wanted: Wanted, offered: Offered, otherwise: 'DHCP' | 'Automatic'): Addressing {
  const { method, addresses = [] } = wanted ?? {}
  if (addresses.length > 0) {
    const gateway = wanted?.gateway ?? gatewayFor(addresses, offered)
    return { method: 'Static', addresses, ...(gateway === undefined ? {} : { gateway }) }
  }
  if (method !== undefined && method !== 'FromNetwork') return { method, addresses: [] }
  const told = offered?.method ?? otherwise
  return {
    method: told,
    addresses: [],
    ...(told === 'FromRanges' && offered?.gateway !== undefined ? { gateway: offered.gateway } : {}),
  }
}

/** The Network's router is of use to what lies in its subnet. */
function gatewayFor(addresses: readonly string[], offered: Offered): string | undefined {
  const subnet = offered?.subnet === undefined ? undefined : parseSubnet(offered.subnet)
  if (!subnet) return undefined
  return addresses.some((address) => {
    const parsed = addressIn(address)
    return parsed && isWithin(parsed, subnet)
  })
    ? offered?.gateway
    : undefined
}

/** Without its prefix length. */
export const addressIn = (written: string): IPAddress | undefined => parseAddress(written.split('/')[0] ?? '')

function firstProblem(wanted: NetworkInterface | undefined, network: Network, field: string): Problem | undefined {
  for (const family of families) {
    const [own, offered] = family === 4 ? [wanted?.ipv4, network.spec.ipv4] : [wanted?.ipv6, network.spec.ipv6]
    const subnet = offered?.subnet === undefined ? undefined : parseSubnet(offered.subnet)
    if (!subnet) continue
    const gateway = offered?.gateway === undefined ? undefined : parseAddress(offered.gateway)
    const name = network.metadata.name
    for (const [index, written] of (own?.addresses ?? []).entries()) {
      const address = addressIn(written)
      if (!address) continue
      const where = `${field}.ipv${family}.addresses[${index}]`
      if (!isWithin(address, subnet)) {
        const message = `${where}: ${written} is not in ${offered?.subnet}, the subnet of Network ${name}`
        return { code: 'InvalidConfiguration', message }
      }
      if (isForNobody({ subnet, ...(gateway ? { gateway } : {}) }, address)) {
        const message = `${where}: ${formatAddress(address)} is the gateway, network or broadcast address of Network ${name}: choose another`
        return { code: 'InvalidConfiguration', message }
      }
    }
  }
  return undefined
}
