/**
 * How the network interfaces of a machine differ from what is declared, and the step that mends one of them while it
 * runs. What somebody else attached has no name, and no part in it. Pure. docs/decisions/0022-interfaces.md tells why.
 */
import { isDeepStrictEqual } from 'node:util'
import type { MachineInterface, ObservedMachine } from '../../hypervisor/port.ts'
import type { InterfaceFacts, InterfaceWork } from './interface-model.ts'
import type { Desired, Observed, Step } from './model.ts'

export type InterfaceDifference =
  | { readonly kind: 'Missing'; readonly wanted: InterfaceFacts }
  /** Connected, filtered or named otherwise, now or from the next start on. */
  | { readonly kind: 'Changed'; readonly wanted: InterfaceFacts; readonly seen: MachineInterface }
  /** Of another MAC address: no guest would take it for the same one. */
  | { readonly kind: 'Readdressed'; readonly wanted: InterfaceFacts; readonly seen: MachineInterface }
  /** Somebody else's has its MAC address. */
  | { readonly kind: 'Foreign'; readonly wanted: InterfaceFacts }
  | { readonly kind: 'Surplus'; readonly seen: MachineInterface }

/** In the order in which they are declared; what is to go comes last. */
export function interfaceDifferences(
  wanted: readonly InterfaceFacts[],
  { power, interfaces }: Pick<ObservedMachine, 'power' | 'interfaces'>,
): readonly InterfaceDifference[] {
  const on = power === 'Running' || power === 'Paused'
  const addresses = new Set(wanted.map(({ macAddress }) => macAddress))
  const names = new Set(wanted.map(({ name }) => name))
  const differences = wanted.flatMap((one): InterfaceDifference[] => {
    const seen = interfaces.find(({ macAddress }) => macAddress === one.macAddress)
    if (seen && seen.name === undefined) return [{ kind: 'Foreign', wanted: one }]
    if (seen) return isAsWanted(one, seen, on) ? [] : [{ kind: 'Changed', wanted: one, seen }]
    const other = interfaces.find(({ name, macAddress }) => name === one.name && !addresses.has(macAddress))
    return [other ? { kind: 'Readdressed', wanted: one, seen: other } : { kind: 'Missing', wanted: one }]
  })
  const surplus = interfaces.filter(
    ({ name, macAddress }) => name !== undefined && !names.has(name) && !addresses.has(macAddress),
  )
  return [...differences, ...surplus.map((seen) => ({ kind: 'Surplus' as const, seen }))]
}

function isAsWanted({ name, spec }: InterfaceFacts, seen: MachineInterface, on: boolean): boolean {
  if (!seen.defined || (on && !seen.attached)) return false
  // Of a network that nobody knows, nothing can be compared.
  if (!spec) return true
  return (
    seen.name === name && isDeepStrictEqual(seen.attachment, spec.attachment) && seen.antiSpoofing === spec.antiSpoofing
  )
}

/** Of a machine whose power is as declared. One that is held or suspended waits: its guest could not let go of one. */
export function planInterfaces(desired: Desired, observed: Observed): Step | undefined {
  const { interfaces, features = [], settled } = observed
  const machine = runningMachine(desired, observed)
  if (!machine || !interfaces || !features.includes('HotPlugNetwork')) return undefined
  const steps = interfaceDifferences(interfaces, machine).flatMap((difference) => stepOf(difference, observed) ?? [])
  // An interface is given only with addresses that are its own.
  const [first] = observed.leases === undefined ? steps : steps.filter((step) => step.do !== 'AttachInterface')
  // A call that is late could take away what is given here, or give it twice.
  return first && !settled ? { do: 'AwaitSettled' } : first
}

function runningMachine({ hypervisor, runSeen, deleting }: Desired, { hosts }: Observed): ObservedMachine | undefined {
  const host = hypervisor === undefined || deleting || !runSeen ? undefined : hosts.get(hypervisor)
  const machine = host?.reachable ? host.observation.machine : undefined
  return machine?.power === 'Running' && !machine.parked && !machine.transient ? machine : undefined
}

function stepOf(difference: InterfaceDifference, observed: Observed): Step | undefined {
  const may = (work: InterfaceWork, macAddress: string) => attemptOf(observed, macAddress)?.work !== work
  switch (difference.kind) {
    case 'Missing':
    case 'Changed': {
      const { spec, name, macAddress } = difference.wanted
      return spec && may('AttachInterface', macAddress) ? { do: 'AttachInterface', name, macAddress } : undefined
    }
    case 'Surplus': {
      const { name = '', macAddress } = difference.seen
      return may('DetachInterface', macAddress) ? { do: 'DetachInterface', name, macAddress } : undefined
    }
    default:
      return undefined
  }
}

export const attemptOf = ({ interfaceAttempts = [] }: Observed, macAddress: string) =>
  interfaceAttempts.find((attempt) => attempt.macAddress === macAddress)

/** Whether a machine that is off is to be defined anew. With a network that is not there, it is started as it is. */
export const areOutdated = (wanted: readonly InterfaceFacts[], machine: ObservedMachine): boolean =>
  wanted.every(({ spec }) => spec) && interfaceDifferences(wanted, machine).some(({ kind }) => kind !== 'Foreign')
