/** AddressLeases as objects. Their names are the locks. Pure. */
import {
  type AddressLease,
  apiVersion,
  formatAddress,
  type IPAddress,
  nameOfAddress,
  type VirtualMachine,
} from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'

/** What one interface is to have to itself. */
export type Leased =
  | { readonly network: string; readonly interface: string; readonly macAddress: string }
  | { readonly network: string; readonly interface: string; readonly address: IPAddress }

/** Networks can share a bridge: a MAC address is given once in all of them. */
export const leaseName = (leased: Leased): string =>
  'address' in leased
    ? `${leased.network}.${nameOfAddress(leased.address)}`
    : `mac.${leased.macAddress.toLowerCase().replaceAll(':', '-')}`

export function leaseFor(vm: ReadObject<VirtualMachine>, leased: Leased): AddressLease {
  const { namespace = '', name, uid } = vm.metadata
  return {
    apiVersion,
    kind: 'AddressLease',
    metadata: { name: leaseName(leased) },
    spec: {
      network: leased.network,
      ...('address' in leased
        ? { address: formatAddress(leased.address) }
        : { macAddress: leased.macAddress.toLowerCase() }),
      consumerRef: { namespace, name, uid },
      interface: leased.interface,
    },
  }
}
