/** An ideal world for the planner: each step has its whole effect at once, and nothing else happens. */
import type { MachineObservation } from '../../../hypervisor/port.ts'
import { volumeNames } from '../../../hypervisor/port.ts'
import type { Claim, Desired, HostObservation, Observed, Step } from '../model.ts'
import { plan } from '../plan.ts'
import { isDown, type Machine } from './state.ts'

export interface IdealHost {
  readonly reachable: boolean
  readonly foreign: boolean
  readonly machine: Machine | undefined
  readonly disk: boolean
}

/** What is desired, and what is there. */
export interface Pair {
  readonly desired: Desired
  readonly hosts: Readonly<Record<string, IdealHost>>
  /** Facts that have to do with neither. */
  readonly facts: Omit<Observed, 'hosts' | 'placement'>
  /** Whether a slot is free on the hypervisor of the disks. */
  readonly hasRoom: boolean
}

/** One slot a host: `s1` is on `h1`. */
export const hostOf = (slot: string): string => slot.replace('s', 'h')
const slotOf = (host: string): string => host.replace('h', 's')

const instanceID = 'a1'
const disk = volumeNames.disk(instanceID, 'root')

export function observedIn({ desired, hosts, facts, hasRoom }: Pair): Observed {
  const names = new Set(desired.claims.map(({ hypervisor }) => hypervisor))
  if (desired.hypervisor !== undefined) names.add(desired.hypervisor)
  return {
    ...facts,
    hosts: new Map([...names].map((name) => [name, look(hosts[name])])),
    placement: hasRoom
      ? { kind: 'Place', slot: slotOf(desired.hypervisor ?? 'h1') }
      : { kind: 'Wait', reason: 'WaitingForSlot', message: 'no slot is free', rejections: [] },
  }
}

function look(host: IdealHost | undefined): HostObservation {
  if (!host?.reachable) return { reachable: false, message: 'the host is away' }
  const { machine } = host
  const observation: MachineObservation = {
    ...(machine && !host.foreign
      ? {
          machine: {
            tag: {
              schema: 1,
              cluster: '',
              namespace: '',
              name: 'a',
              uid: instanceID,
              instanceID,
              owner: '',
              slot: machine.slot,
            },
            id: instanceID,
            hostName: 'a',
            power: machine.power,
            pauseReason: 'Asked',
            stopReason: machine.reason,
            parked: machine.parked,
            transient: machine.transient,
            cpus: 1,
            memory: 1,
            disks: [],
            interfaces: [],
          },
        }
      : {}),
    ...(host.foreign ? { foreign: 'a machine that is not ours bears our id' } : {}),
    volumes: host.disk ? [{ pool: 'pool', name: disk, capacity: 1, allocation: 1 }] : [],
    pools: ['pool'],
  }
  return { reachable: true, observation }
}

/** The pair after the step; the same pair: nothing is left but to wait for somebody else. */
export function after(step: Step, pair: Pair): Pair {
  const { desired, facts } = pair
  const wish = (changed: Partial<Desired>): Pair => ({ ...pair, desired: { ...desired, ...changed } })
  const fact = (changed: Partial<Pair['facts']>): Pair => ({ ...pair, facts: { ...facts, ...changed } })
  const { restart: _, restarting, ...unasked } = desired
  const { recordedSlot: __, restarting: ___, ...withoutRecord } = desired
  switch (step.do) {
    case 'AddFinalizer':
      return wish({ finalizer: true })
    case 'RemoveFinalizer':
      return wish({ finalizer: false })
    case 'Claim': {
      const claim: Claim = { slot: step.slot, hypervisor: hostOf(step.slot), phase: 'Bound', occupied: false }
      return wish({ claims: [...desired.claims, claim] })
    }
    case 'Record':
      return {
        ...pair,
        desired: { ...unasked, recordedSlot: step.slot, hypervisor: step.hypervisor, runSeen: false, seenThere: false },
      }
    case 'MarkRunning':
      return wish({ runSeen: true })
    case 'MarkStopped': {
      const halted = step.stays && (step.by === 'Guest' || step.by === 'Crash') ? { halted: step.by } : {}
      return { ...pair, desired: { ...unasked, runSeen: false, ...halted } }
    }
    case 'ServeRestart':
      return { ...pair, desired: unasked }
    case 'BeginSuspend':
      return wish({ saving: true })
    case 'BeginRestart':
      return wish({ ...unasked, restarting: step.restart })
    case 'ClearRecord':
      return { ...pair, desired: { ...withoutRecord, runSeen: false, ...(restarting ? { restart: restarting } : {}) } }
    case 'Drain':
      return wish({
        claims: desired.claims.map((claim) => (claim.slot === step.slot ? { ...claim, phase: 'Releasing' } : claim)),
      })
    case 'Release':
      return wish({ claims: desired.claims.filter(({ slot }) => slot !== step.slot) })
    case 'AwaitHost':
    case 'AwaitSettled':
      return fact({ settled: true })
    case 'AwaitShutdown':
      return fact({ shutdown: { askedLately: false, timedOut: true } })
    case 'AwaitRestart':
      return fact({ startDelayed: false })
    case 'Wait':
    case 'Nothing':
      return pair
    default:
      return { ...pair, hosts: onHost(step, desired.hypervisor ?? '', pair.hosts) }
  }
}

function onHost(step: Step, name: string, hosts: Pair['hosts']): Pair['hosts'] {
  const host = hosts[name]
  if (!host) throw new Error(`${step.do} without a hypervisor`)
  const { machine } = host
  const put = (changed: Partial<IdealHost>) => ({ ...hosts, [name]: { ...host, ...changed } })
  const mustBeThere = (): Machine => {
    if (!machine) throw new Error(`${step.do} of a machine that is not there`)
    return machine
  }
  const off = (reason: Machine['reason']) => {
    const running = mustBeThere()
    return put({ machine: running.transient ? undefined : { ...running, power: 'Stopped', reason } })
  }
  switch (step.do) {
    case 'CreateDisk':
      return put({ disk: true })
    case 'Define':
      return put({
        machine: {
          power: 'Stopped',
          reason: 'Unknown',
          saving: false,
          ...machine,
          parked: false,
          transient: false,
          slot: step.slot,
        },
      })
    case 'Start':
      if (mustBeThere().parked) throw new Error('the host refuses to start what is parked')
      return put({ machine: { ...mustBeThere(), power: step.paused ? 'Paused' : 'Running', reason: 'Unknown' } })
    case 'Pause':
      return put({ machine: { ...mustBeThere(), power: 'Paused' } })
    case 'Unpause':
      return put({ machine: { ...mustBeThere(), power: 'Running' } })
    case 'Suspend':
      if (mustBeThere().transient) throw new Error('what is not defined cannot be saved')
      return put({ machine: { ...mustBeThere(), power: 'Suspended' } })
    case 'DiscardMemory':
      return put({ machine: { ...mustBeThere(), power: 'Stopped', reason: 'Unknown' } })
    case 'Park':
      return put({ machine: { ...mustBeThere(), parked: true } })
    case 'ShutDown':
      return off('Guest')
    case 'PowerOff':
      return off('Outside')
    case 'Undefine':
      if (!isDown(mustBeThere())) throw new Error('what runs is undefined')
      return put({ machine: undefined })
    case 'DeleteVolume':
      return put({ disk: false })
    default:
      throw new Error(`${step.do} is not done on a host`)
  }
}

export interface Course {
  readonly end: Pair
  /** The last answer: Nothing, or a Wait. */
  readonly last: Step
  /** Steps before it, and times waited. */
  readonly steps: readonly Step[]
}

/** What may be done once: before a restart and after it; and to go on from memory is another thing than to boot. */
function nameOf(step: Step, { desired, hosts }: Pair): string {
  const isResume = step.do === 'Start' && hosts[desired.hypervisor ?? '']?.machine?.power === 'Suspended'
  const before = desired.restart || desired.restarting ? ' before the restart' : ''
  return `${isResume ? 'Resume' : step.do}${'slot' in step ? ` ${step.slot}` : ''}${before}`
}

/** Follows the planner to its fixpoint. Throws where a step is done twice: it would go on for ever. */
export function follow(start: Pair, next = plan): Course {
  let pair = start
  const steps: Step[] = []
  const done = new Set<string>()
  for (;;) {
    const step = next(pair.desired, observedIn(pair))
    if (step.do === 'Nothing' || step.do === 'Wait') return { end: pair, last: step, steps }
    const text = nameOf(step, pair)
    if (done.has(text)) throw new Error(`${text} twice`)
    done.add(text)
    steps.push(step)
    pair = after(step, pair)
  }
}
