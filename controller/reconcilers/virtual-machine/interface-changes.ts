/** What the network interfaces of a machine still differ in from its spec, and what each waits for. Pure. */
import type { PendingChange } from '../../api/index.ts'
import type { MachineInterface, NetworkAttachment, ObservedMachine } from '../../hypervisor/port.ts'
import { attemptOf, type InterfaceDifference, interfaceDifferences } from './interfaces.ts'
import type { View } from './view.ts'

const nextStart = 'applied when the machine is started next'
const absent = 'absent'

/** What is about to be done needs no start, and is not told. */
export const interfaceChanges = (view: View, machine: ObservedMachine): PendingChange[] =>
  interfaceDifferences(view.observed.interfaces ?? [], machine).flatMap((difference) => {
    const message = whyItWaits(view, machine, difference)
    return message === undefined ? [] : [{ ...whatDiffers(view, difference), effect: 'NextStart' as const, message }]
  })

function whatDiffers(view: View, difference: InterfaceDifference): Pick<PendingChange, 'field' | 'from' | 'to'> {
  if (difference.kind === 'Surplus') {
    const { seen } = difference
    return { field: `spec.networkInterfaces[${seen.name}]`, from: whereItIs(view, seen), to: absent }
  }
  const { name, macAddress, network = 'a Network' } = difference.wanted
  const field = `spec.networkInterfaces[${name}]`
  switch (difference.kind) {
    case 'Readdressed':
      return { field: `${field}.macAddress`, from: difference.seen.macAddress, to: macAddress }
    case 'Changed':
      return isMoved(difference)
        ? { field: `${field}.network`, from: whereItIs(view, difference.seen), to: network }
        : { field, from: describe(difference.seen), to: describe({ ...difference.wanted, ...difference.wanted.spec }) }
    default:
      return { field, from: absent, to: network }
  }
}

const isMoved = ({ wanted, seen }: Extract<InterfaceDifference, { kind: 'Changed' }>): boolean =>
  wanted.spec === undefined || attachmentName(seen.attachment) !== attachmentName(wanted.spec.attachment)

const attachmentName = (attachment: NetworkAttachment | undefined): string =>
  Object.values(attachment ?? {})[0] ?? 'nothing'

const describe = ({ name = '', antiSpoofing }: Pick<MachineInterface, 'name' | 'antiSpoofing'>): string =>
  `${name}, ${antiSpoofing === undefined ? 'not filtered' : 'filtered by its MAC address'}`

/** The Network as it was recorded, else what the host calls it. */
const whereItIs = ({ vm }: View, { macAddress, attachment }: MachineInterface): string =>
  vm.status?.networkInterfaces?.find((recorded) => recorded.macAddress === macAddress)?.network ??
  attachmentName(attachment)

function whyItWaits({ observed }: View, machine: ObservedMachine, difference: InterfaceDifference): string | undefined {
  if (difference.kind === 'Foreign') {
    const { macAddress } = difference.wanted
    return `an interface with the MAC address ${macAddress} was attached on the host: detach it there`
  }
  const { problem } = difference.kind === 'Surplus' ? {} : difference.wanted
  if (problem) return problem.message
  if (machine.power === 'Stopped' || difference.kind === 'Readdressed') return nextStart
  if (machine.power !== 'Running') return 'applied when the machine runs'
  if (!observed.features?.includes('HotPlugNetwork'))
    return `this hypervisor changes no interfaces of a machine that runs: ${nextStart}`
  const { macAddress } = difference.kind === 'Surplus' ? difference.seen : difference.wanted
  const attempt = attemptOf(observed, macAddress)
  if (attempt?.problem) return `${attempt.problem.message}; tried again from time to time, and ${nextStart}`
  if (difference.kind === 'Surplus' && attempt)
    return 'the guest is asked to let it go: it is taken out when the guest does, or when the machine is started next'
  return undefined
}
