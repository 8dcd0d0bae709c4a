/** The network configuration that the seed tells a guest: version 2 of cloud-init. Pure and deterministic. */
import { stringify } from 'yaml'
import { parseAddress } from '../../api/index.ts'
import type { AddressedInterface, Addressing } from './addressing.ts'

/** YAML 1.1, as cloud-init reads it; one line a value. */
const forCloudInit = { version: '1.1', lineWidth: 0 } as const

/**
 * Absent where a guest that is told nothing does the same: DHCP, and router advertisements. Interfaces are known by
 * their MAC addresses, and are named as in the spec.
 */
export function networkData(interfaces: readonly AddressedInterface[]): string | undefined {
  if (interfaces.every(isPlain)) return undefined
  const ethernets = Object.fromEntries(interfaces.map((one, index) => [one.name, ethernet(one, index)]))
  return stringify({ version: 2, ethernets }, forCloudInit)
}

const isPlain = ({ ipv4, ipv6, nameservers, searchDomains, routes }: AddressedInterface): boolean =>
  ipv4.method === 'DHCP' &&
  ipv6.method === 'Automatic' &&
  nameservers.length + searchDomains.length + routes.length === 0

function ethernet(one: AddressedInterface, index: number): object {
  const { name, macAddress, ipv4, ipv6, nameservers, searchDomains } = one
  const addresses = [...ipv4.addresses, ...ipv6.addresses]
  const routes = [...defaultRoute(ipv4, '0.0.0.0/0', index), ...defaultRoute(ipv6, '::/0', index), ...one.routes]
  return {
    match: { macaddress: macAddress },
    'set-name': name,
    dhcp4: ipv4.method === 'DHCP',
    dhcp6: ipv6.method === 'DHCP',
    // Routers are heard beside DHCP too: DHCP for IPv6 tells no gateway.
    'accept-ra': ipv6.method === 'Automatic' || ipv6.method === 'DHCP',
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(routes.length === 0 ? {} : { routes: routes.map((route) => ({ ...route })) }),
    ...(nameservers.length + searchDomains.length === 0
      ? {}
      : {
          nameservers: {
            ...(nameservers.length === 0 ? {} : { addresses: [...nameservers] }),
            ...(searchDomains.length === 0 ? {} : { search: [...searchDomains] }),
          },
        }),
  }
}

/** By a destination that every version of cloud-init knows. The first interface's is preferred to those of the others. */
const defaultRoute = ({ gateway }: Addressing, to: string, index: number) =>
  gateway === undefined || parseAddress(gateway) === undefined
    ? []
    : [{ to, via: gateway, ...(index === 0 ? {} : { metric: 100 * index }) }]
