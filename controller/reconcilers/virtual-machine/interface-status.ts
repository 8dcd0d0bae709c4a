/** The interfaces of a machine as its status tells them. Pure. */
import type { VirtualMachineStatus } from '../../api/index.ts'
import type { MachineInterface } from '../../hypervisor/port.ts'
import type { InterfaceFacts } from './interface-model.ts'
import { knownAddresses } from './known-addresses.ts'
import { isRunning, machineOf, recordedHost, type View } from './view.ts'

type Fields = Partial<VirtualMachineStatus>
type Entry = NonNullable<VirtualMachineStatus['networkInterfaces']>[number]

/**
 * Those that are declared, and those that the guest has not let go yet. An address is told only while the machine runs:
 * an old one may be another's by now.
 */
export function network(view: View): Fields {
  const { desired, observed, vm } = view
  if (desired.hypervisor === undefined || !observed.interfaces) return {}
  const seen = machineOf(view)?.interfaces ?? []
  const declared = observed.interfaces.map((wanted) => {
    const own = seen.filter(({ name }) => name !== undefined)
    const same = own.find(({ macAddress }) => macAddress === wanted.macAddress)
    return entryOf(view, wanted, same ?? own.find(({ name }) => name === wanted.name))
  })
  const isTold = ({ name, macAddress }: MachineInterface) =>
    declared.some((entry) => entry.name === name || entry.macAddress === macAddress)
  const leaving = seen
    .filter((one) => one.name !== undefined && one.attached && !isTold(one))
    .map((one) => entryOf(view, { name: one.name ?? '', macAddress: one.macAddress }, one))
  const host = recordedHost(view)
  const known = host?.reachable === false ? (vm.status?.networkInterfaces ?? []) : []
  const unseen = known.filter(({ name }) => !declared.some((entry) => entry.name === name))
  const list = [...declared, ...leaving, ...unseen.map((entry) => ({ ...entry, addresses: [] }))]
  const primary = list[0]?.addresses?.find(({ address }) => !isLinkLocal(address))?.address
  return { networkInterfaces: list, ...(primary === undefined ? {} : { primaryAddress: primary }) }
}

function entryOf(view: View, wanted: InterfaceFacts, seen: MachineInterface | undefined): Entry {
  const recorded = view.vm.status?.networkInterfaces?.find(({ name }) => name === wanted.name)
  const macAddress = seen?.macAddress ?? wanted.macAddress
  const isThere =
    seen === undefined || JSON.stringify(seen.attachment) === JSON.stringify(wanted.spec?.attachment) || !recorded
  const network = (isThere ? wanted.network : undefined) ?? recorded?.network ?? wanted.network
  return {
    name: wanted.name,
    ...(network === undefined ? {} : { network }),
    macAddress,
    state: isRunning(view) && seen?.attached ? 'Attached' : 'Pending',
    addresses: addressesOf(view, wanted.name, macAddress),
  }
}

function addressesOf(view: View, name: string, macAddress: string): NonNullable<Entry['addresses']> {
  // A guest whose processors are held answers no question, and keeps its address.
  const held = machineOf(view)?.power === 'Paused' ? view.vm.status?.networkInterfaces : undefined
  const kept = held?.find((one) => one.macAddress === macAddress)?.addresses
  return kept ?? knownAddresses(view, { name, macAddress })
}

const isLinkLocal = (address: string): boolean => /^(fe[89ab]|169[.]254[.])/i.test(address)
