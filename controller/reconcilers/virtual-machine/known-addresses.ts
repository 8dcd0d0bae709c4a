/** The addresses of a machine's interface, each with how it is known. Pure. */
import { formatAddress, type ObservedInterface, type VirtualMachine } from '../../api/index.ts'
import { addressIn } from './addressing.ts'
import { hasOwnNetworkData } from './bootstrap-data.ts'
import type { ResolvedInterface } from './resolve.ts'
import type { View } from './view.ts'

type Known = NonNullable<ObservedInterface['addresses']>[number]

/** What the guest was told to have, then what was learnt of it; each time IPv4 before IPv6. */
export function knownAddresses(
  view: View,
  { name, macAddress }: Pick<ResolvedInterface, 'name' | 'macAddress'>,
): Known[] {
  const told = toldAddresses(view, name)
  const learnt = (view.interfaces.find((seen) => seen.macAddress === macAddress)?.addresses ?? [])
    .filter(({ address }) => !told.includes(address))
    .map(({ address, source }) => ({ address, source }))
  const known = [...told.map((address): Known => ({ address, source: 'Static' })), ...learnt].slice(0, 32)
  return known.toSorted((a, b) => Number(a.address.includes(':')) - Number(b.address.includes(':')))
}

/** Also while it is off: they are its own as long as it exists. */
function toldAddresses({ vm, leases, observed }: View, name: string): string[] {
  // The user's own network data says what it says.
  if (hasOwnNetworkData(vm)) return []
  const one = leases.interfaces.find((addressed) => addressed.name === name)
  // What is not its own yet, or another's, it does not have; what it was told before it keeps, also without its Network.
  if (!one || observed.leases !== undefined) return recordedAddresses(vm, name)
  return [...one.ipv4.addresses, ...one.ipv6.addresses].flatMap((written) => {
    const address = addressIn(written)
    return address ? formatAddress(address) : []
  })
}

/** What it was told to have, as its status says. */
export const recordedAddresses = ({ status }: VirtualMachine, name: string): string[] =>
  (status?.networkInterfaces?.find((known) => known.name === name)?.addresses ?? [])
    .filter(({ source }) => source === 'Static')
    .map(({ address }) => address)
