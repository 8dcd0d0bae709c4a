import type { BerthManifest, BerthObject } from '../object.ts'
import { canonicalAddress } from '../schema/addresses.ts'
import { object, optional, text } from '../schema/base.ts'
import { exactlyOne, immutable, rule } from '../schema/cel.ts'
import { ageColumn, column, defineKind } from '../schema/kind.ts'
import { label } from '../schema/names.ts'
import type { Read, Written } from '../schema/static.ts'

const spec = object(
  {
    network: label('Network.'),
    address: optional(canonicalAddress('IPv4 or IPv6 address, in its canonical form.')),
    macAddress: optional(
      text('MAC address.', {
        max: 17,
        rules: [
          rule("self.matches('^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$')", 'must be a unicast MAC address in lower case'),
        ],
      }),
    ),
    consumerRef: object(
      {
        namespace: label('Namespace.'),
        name: label('VirtualMachine.'),
        uid: text('Uid: the lease is for this very object.', { min: 1, max: 64 }),
      },
      'The machine.',
    ),
    interface: text('Interface of the machine.', { min: 1, max: 15 }),
  },
  'What is given to whom.',
  { rules: [exactlyOne('address', 'macAddress')] },
)

export const addressLeaseKind = defineKind({
  kind: 'AddressLease',
  plural: 'addressleases',
  singular: 'addresslease',
  shortNames: ['blease'],
  namespaced: false,
  description: 'AddressLease is one address or MAC that one interface has.',
  // A Network's name, a dot, and an IPv6 address in full.
  names: { max: 103, dots: true },
  spec,
  rules: [immutable('spec')],
  columns: [
    column('Network', '.spec.network', 'Network.'),
    column('Address', '.spec.address', 'Address.'),
    column('MAC', '.spec.macAddress', 'MAC address.'),
    column('Consumer', '.spec.consumerRef.name', 'VirtualMachine that has it.'),
    column('Namespace', '.spec.consumerRef.namespace', 'Namespace of the VirtualMachine.'),
    ageColumn,
    column('Interface', '.spec.interface', 'Interface of the VirtualMachine.', { wide: true }),
  ],
  selectableFields: ['.spec.network', '.spec.consumerRef.uid'],
})

export type AddressLeaseSpec = Read<typeof spec>
export type AddressLease = BerthObject<'AddressLease', AddressLeaseSpec>
export type AddressLeaseManifest = BerthManifest<'AddressLease', Written<typeof spec>>
