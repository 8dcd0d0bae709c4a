/** Which of a pool's VMs are ours. */
import { BerthError } from '../../errors/index.ts'
import type { PauseReason, PowerState, Tag } from '../../hypervisor/port.ts'
import { requireUUID } from '../shared/instance-id.ts'
import type { Found, VMRecord } from './records.ts'
import { keys, readTag } from './tag.ts'

export type VM = Found<VMRecord>

/** One whose tag names this instance: the only kind that is ever touched. */
export interface OwnMachine {
  readonly vm: VM
  readonly tag: Tag
  /** Whole: with its disks and interfaces, as `define` left it. Only such a machine was ever free to start. */
  readonly whole: boolean
}

/** What is there of an instance. */
export interface Sighting {
  readonly own?: OwnMachine
  /** Made for the same instance by a call whose answer was lost. Parked since it was made, so it never ran. */
  readonly surplus: readonly VM[]
  /** Why a VM that names this instance is not ours. */
  readonly foreign?: string
  /** Beside `foreign`: it was ours, and was released. */
  readonly released?: OwnMachine
}

/** Operations that a parked machine is refused, and the reason that XAPI tells with the refusal. */
export const startOperations = ['start', 'start_on', 'resume', 'resume_on'] as const
export const parkedReason = 'berth.dev: parked'

/** Refused whatever may start it. What the pool let in before goes on though: until that has ended it is not parked. */
export const isParked = ({ blocked_operations, current_operations }: VMRecord): boolean =>
  startOperations.every((operation) => blocked_operations[operation]?.startsWith(parkedReason)) &&
  !Object.values(current_operations).some((current) => startOperations.some((operation) => operation === current))

const powerStates: Readonly<Record<VMRecord['power_state'], PowerState>> = {
  Halted: 'Stopped',
  Paused: 'Paused',
  Running: 'Running',
  Suspended: 'Suspended',
}

/** Operations that hold a guest while its memory is written; XAPI says `Running` until they have ended. */
const memoryOperations: readonly string[] = ['suspend', 'checkpoint']

const holdsMemory = ({ current_operations }: Operations): boolean =>
  Object.values(current_operations).some((current) => memoryOperations.includes(current))

type Operations = Pick<VMRecord, 'current_operations'>

export const powerOf = (vm: Pick<VMRecord, 'power_state'> & Operations): PowerState =>
  vm.power_state === 'Running' && holdsMemory(vm) ? 'Paused' : powerStates[vm.power_state]

/** Of one that is paused. XAPI keeps no reason, and holds nothing that has a fault: machines that crash go off. */
export const pauseReasonOf = (vm: Operations): PauseReason => (holdsMemory(vm) ? 'Job' : 'Asked')

/** A copy bears its original's tag, with the original's UUID in it. */
const isCopy = ({ uuid, other_config }: VMRecord): boolean =>
  other_config[keys.self] !== undefined && other_config[keys.self] !== uuid

/**
 * Finds the machine of an instance among all VMs. Two may bear its tag, as `VM.create` cannot be repeated without
 * making another: then one that could have run comes before one that could not, and the lowest UUID before others, so
 * that everyone who looks chooses the same.
 */
export function sight(vms: readonly VM[], instanceID: string): Sighting {
  requireUUID(instanceID)
  const named = vms.filter((vm) => vm.other_config[keys.instanceID] === instanceID && !isCopy(vm))
  const read = named.map((vm) => ({ vm, reading: readTag(vm.other_config) }))
  const foreign = read.find(({ reading }) => reading.tag === undefined)
  if (foreign) {
    const { vm, reading } = foreign
    const reason = 'reason' in reading ? reading.reason : ''
    return { surplus: [], foreign: `VM '${vm.name_label}' (${vm.uuid}) names the instance, but ${reason}` }
  }
  const [own, ...rest] = read
    .flatMap(({ vm, reading: { tag } }) => (tag ? [{ vm, tag, whole: vm.other_config[keys.self] === vm.uuid }] : []))
    .toSorted(byPrecedence)
  if (own === undefined) return { surplus: [] }
  const surplus = rest.map(({ vm }) => vm)
  if (!own.tag.released) return { own, surplus }
  return { surplus, released: own, foreign: `VM '${own.vm.name_label}' (${own.vm.uuid}) was released` }
}

function byPrecedence(one: OwnMachine, other: OwnMachine): number {
  const rank = ({ vm, whole }: OwnMachine) =>
    (vm.power_state === 'Halted' ? 4 : 0) + (isParked(vm) ? 2 : 0) + (whole ? 0 : 1)
  return rank(one) - rank(other) || (one.vm.uuid < other.vm.uuid ? -1 : 1)
}

/** What every effect begins with. Rejects with ForeignObject when a VM that names the instance is not ours. */
export function requireOwn(vms: readonly VM[], instanceID: string): Pick<Sighting, 'own' | 'surplus'> {
  const { foreign, released: _, ...sighting } = sight(vms, instanceID)
  if (foreign !== undefined) throw new BerthError('ForeignObject', `Not touched: ${foreign}.`)
  return sighting
}

/** Nothing is begun while the pool is still at work on the machine, as after a call that was given up on. */
export function requireIdle({ name_label, current_operations }: VM | VMRecord, ...allowed: readonly string[]): void {
  const busy = Object.values(current_operations).filter((operation) => !allowed.includes(operation))
  if (busy.length === 0) return
  throw new BerthError('HypervisorBusy', `The pool is still at work on VM '${name_label}': ${busy.join(', ')}.`)
}
