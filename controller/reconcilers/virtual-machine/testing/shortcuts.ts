/**
 * Plausible shortcuts of the claim protocol (docs/decisions/0005-claim-protocol.md), each with the world in which it
 * fails. An exploration that no longer finds one is broken.
 */
import { byTurn } from '../../../placement/index.ts'
import type { Desired, Observed, Step } from '../model.ts'
import { plan, wantsToRun } from '../plan.ts'
import { type Protocol, realProtocol } from './protocol.ts'
import type { Configuration } from './state.ts'

export interface WrongShortcut {
  readonly name: string
  readonly configuration: Configuration
  readonly protocol: Protocol
  /** Only two guests on one slot, or one on two hosts, counts: what follows where nothing else is asked for. */
  readonly onlyGuests?: true
  /** What is found. */
  readonly finds: RegExp
}

type Plan = Protocol['plan']
const withPlan = (changed: Plan, rest: Partial<Protocol> = {}): Protocol => ({
  ...realProtocol,
  ...rest,
  plan: changed,
})
const onCache = (...steps: Step['do'][]): Protocol => ({
  ...realProtocol,
  needsLiveRead: (step) => !steps.includes(step.do) && realProtocol.needsLiveRead(step),
})
const around = (shortcut: NonNullable<Protocol['shortcut']>): Protocol => ({ ...realProtocol, shortcut })

/** The planner is told otherwise of what the hosts have of the machine. */
const onMachine = (observed: Observed, change: object): Observed => ({
  ...observed,
  hosts: new Map(
    [...observed.hosts].map(([name, host]) => {
      if (!host.reachable || !host.observation.machine) return [name, host]
      const machine = { ...host.observation.machine, ...change }
      return [name, { ...host, observation: { ...host.observation, machine } }]
    }),
  ),
})
const isOff = ({ hosts }: Observed): boolean =>
  [...hosts.values()].every(
    (host) => !host.reachable || !host.observation.machine || host.observation.machine.power === 'Stopped',
  )
const isThere = ({ hosts }: Observed): boolean =>
  [...hosts.values()].some((host) => host.reachable && host.observation.machine !== undefined)
const isOffByGuest = ({ hosts }: Observed): boolean =>
  [...hosts.values()].some((host) => host.reachable && host.observation.machine?.stopReason === 'Guest')
const settled: Plan = (desired, observed) => plan(desired, { ...observed, settled: true })
const heldSlot = ({ claims }: Desired): string | undefined => claims[0]?.slot
const releasing = ({ claims }: Desired): string | undefined => claims.find(({ phase }) => phase === 'Releasing')?.slot

const noParking =
  (next: Plan): Plan =>
  (desired, observed) =>
    next(desired, releasing(desired) && isOff(observed) ? onMachine(observed, { parked: true }) : observed)
const releaseOnSpec: Plan = (desired, observed) => {
  const slot = heldSlot(desired)
  return slot !== undefined && desired.finalizer && !desired.deleting && !wantsToRun(desired)
    ? { do: 'Release', slot }
    : plan(desired, observed)
}
const releaseBeforeUndefine: Plan = (desired, observed) => {
  const step = plan(desired, observed)
  const slot = releasing(desired)
  return step.do === 'Undefine' && slot !== undefined ? { do: 'Release', slot } : step
}
/** Who waits longer takes a slot, whether he could use it or not. */
const blindPlace: Protocol['place'] = (demand, waiting, slots) => {
  const ahead = waiting.filter((other) => byTurn(other, demand) < 0).length
  const free = slots.filter((slot) => slot.free)
  return realProtocol.place(demand, [], free.slice(ahead))
}

const one = { vms: ['a'], slots: { s1: 'h1' } }
const two = { vms: ['a', 'b'], slots: { s1: 'h1' } }
const twoHosts = { vms: ['a'], slots: { s1: 'h1', s2: 'h2' } }

const claiming: WrongShortcut[] = [
  {
    name: 'a claim is in the machine’s status alone',
    configuration: { ...two, workers: 2, faults: { power: 2 } },
    protocol: around('ClaimInStatus'),
    onlyGuests: true,
    finds: /run on s1/,
  },
  {
    name: 'a claim is written without the version that was read',
    configuration: { ...two, workers: 2, faults: { power: 2 } },
    protocol: around('ClaimWithoutVersion'),
    finds: /without a claim/,
  },
  {
    name: 'a claim is not recorded before the first effect on a host',
    configuration: { ...twoHosts, faults: { down: 1, late: 1 } },
    protocol: withPlan((desired, observed) => plan({ ...desired, claims: desired.claims.slice(0, 1) }, observed), {
      shortcut: 'NoRecord',
    }),
    onlyGuests: true,
    finds: /runs on two hosts/,
  },
  {
    name: 'nobody looks at what the host runs under a slot’s tag',
    configuration: { ...one, unknown: 's1', faults: {} },
    protocol: around('UnseenOccupants'),
    finds: /run on s1/,
  },
  {
    name: 'the queue is not looked at',
    configuration: { ...two, faults: {} },
    protocol: { ...realProtocol, place: (demand, _, slots) => realProtocol.place(demand, [], slots) },
    finds: /waits longer/,
  },
  {
    name: 'the queue does not ask who could use a slot',
    configuration: { vms: ['a', 'b', 'c'], slots: { s1: 'h1', s2: 'h2' }, disksOn: { a: 'h1', b: 'h1' }, faults: {} },
    protocol: { ...realProtocol, place: blindPlace },
    finds: /c1 waits while a slot is free/,
  },
  {
    name: 'surplus claims are kept',
    configuration: { ...twoHosts, faults: { down: 1, late: 1 } },
    protocol: withPlan((desired, observed) =>
      plan(
        { ...desired, claims: desired.claims.filter(({ slot }) => (desired.recordedSlot ?? slot) === slot) },
        observed,
      ),
    ),
    finds: /disagree|keeps/,
  },
  {
    name: 'a slot whose consumer is gone is left alone',
    configuration: { ...one, faults: { delete: 1, late: 1 } },
    protocol: around('KeepOrphans'),
    finds: /leaked/,
  },
]

const releasingSlots: WrongShortcut[] = [
  {
    name: 'a slot is released when the spec says Stopped, whatever the host shows',
    configuration: { ...two, faults: { power: 1 } },
    protocol: withPlan(releaseOnSpec, { shortcut: 'UnseenOccupants' }),
    onlyGuests: true,
    finds: /run on s1/,
  },
  {
    name: 'the same, with a look at the host before the next claim',
    configuration: { ...two, faults: { power: 1, late: 1 } },
    protocol: withPlan(releaseOnSpec),
    onlyGuests: true,
    finds: /run on s1/,
  },
  {
    name: 'off is enough for a release, without parking, without T',
    configuration: { ...two, faults: { power: 1, late: 1 } },
    protocol: withPlan(noParking(settled)),
    onlyGuests: true,
    finds: /run on s1/,
  },
  {
    name: 'off is enough for a release, without parking: T only',
    configuration: { ...one, faults: { power: 1, late: 1 } },
    protocol: withPlan(noParking(plan)),
    finds: /without a claim/,
  },
  {
    name: 'parking only, without T',
    configuration: { ...one, faults: { power: 1, slow: 1, late: 1 } },
    protocol: withPlan((desired, observed) =>
      plan(desired, desired.deleting ? observed : { ...observed, settled: true }),
    ),
    finds: /without a claim/,
  },
  {
    name: 'a slot is released straight from Bound',
    configuration: { ...one, faults: { power: 2, late: 1 } },
    protocol: withPlan((desired, observed) => {
      const step = plan(desired, observed)
      return step.do === 'Drain' && isOff(observed) ? { do: 'Release', slot: step.slot } : step
    }),
    finds: /without a claim/,
  },
  {
    name: 'at deletion the slot goes before the machine',
    configuration: { ...two, faults: { delete: 1, late: 1 } },
    protocol: withPlan(releaseBeforeUndefine),
    onlyGuests: true,
    finds: /run on s1/,
  },
  {
    name: 'definition and start are one call',
    configuration: { ...one, faults: { power: 1, late: 1 } },
    protocol: around('DefineAndStart'),
    finds: /without a claim/,
  },
  {
    name: 'a soft stop need not be settled before the release',
    configuration: { ...one, faults: { power: 2, slow: 1 } },
    protocol: around('UncountedShutDown'),
    finds: /taken for its guest/,
  },
  {
    name: 'the host is looked at first, then the API',
    configuration: { ...one, faults: { power: 1, slow: 1 } },
    protocol: around('HostFirst'),
    finds: /without a claim/,
  },
]

const marks: WrongShortcut[] = [
  {
    name: '“off, shut down by the guest” is always the guest’s wish',
    configuration: { ...one, faults: { power: 2 } },
    protocol: withPlan((desired, observed) =>
      plan({ ...desired, runSeen: desired.runSeen || isOffByGuest(observed) }, observed),
    ),
    finds: /taken for its guest/,
  },
  {
    name: 'a restart starts the machine while its stop may still arrive',
    configuration: { ...one, faults: { token: 1, slow: 1 } },
    protocol: withPlan((desired, observed) =>
      plan(desired, desired.restarting ? { ...observed, settled: true } : observed),
    ),
    finds: /taken for its guest/,
  },
  {
    name: 'that a machine is stopped for a restart is remembered by nobody',
    configuration: { ...one, faults: { token: 2 } },
    protocol: withPlan((desired, observed) => {
      const step = plan(desired, observed)
      return step.do === 'BeginRestart' ? { do: 'ShutDown' } : step
    }),
    finds: /taken for its guest/,
  },
  {
    name: 'that a run was seen is never believed',
    configuration: { ...one, faults: {} },
    protocol: withPlan((desired, observed) => plan({ ...desired, runSeen: false }, observed)),
    finds: /no silence/,
  },
  {
    name: 'the guest’s own wish is not kept',
    configuration: { ...one, faults: { guest: 1 } },
    protocol: withPlan((desired, observed) => {
      const { halted: _, ...unheard } = desired
      const step = plan(unheard, observed)
      return step.do === 'MarkStopped' && step.stays ? { do: 'Nothing' } : step
    }),
    finds: /never starts/,
  },
]

const reading: WrongShortcut[] = [
  {
    name: 'a drain is decided on the cache',
    configuration: { ...one, faults: { power: 2, lag: 1 } },
    protocol: onCache('Drain'),
    finds: /stale read/,
  },
  {
    name: 'a stop is decided on the cache',
    configuration: { ...one, faults: { power: 2, lag: 2 } },
    protocol: onCache('ShutDown', 'PowerOff'),
    finds: /stale read/,
  },
  {
    name: 'that a guest shut itself down is decided on the cache',
    configuration: { ...one, faults: { power: 2, lag: 1, slow: 1 } },
    protocol: onCache('MarkStopped'),
    finds: /taken for its guest/,
  },
  {
    name: 'definition and start are decided on the cache',
    configuration: { ...one, faults: { power: 2, lag: 2 } },
    protocol: onCache('Define', 'Start'),
    finds: /without a claim/,
  },
  {
    name: 'a disk is made on the cache',
    configuration: { ...one, faults: { delete: 1, lag: 2 } },
    protocol: onCache('CreateDisk'),
    finds: /left behind/,
  },
  {
    name: 'a release is decided on the cache',
    configuration: { ...one, faults: { power: 2, lag: 2 } },
    protocol: onCache('Release'),
    finds: /taken for its guest/,
  },
]

const objects: WrongShortcut[] = [
  {
    name: 'hosts are told names instead of ids',
    configuration: { ...one, faults: { delete: 1, create: 1, late: 1 } },
    protocol: around('ByName'),
    finds: /is meant for a1 hits a2/,
  },
  {
    name: 'the finalizer comes after the first effect on a host',
    configuration: { ...one, faults: { delete: 1 } },
    protocol: withPlan((desired, observed) =>
      plan({ ...desired, finalizer: desired.finalizer || (!desired.deleting && !isThere(observed)) }, observed),
    ),
    finds: /left behind/,
  },
  {
    name: 'the finalizer goes while a call may arrive',
    configuration: { ...one, faults: { delete: 1, slow: 1 } },
    protocol: withPlan((desired, observed) =>
      plan(desired, { ...observed, settled: observed.settled || desired.deleting }),
    ),
    finds: /left behind|without a claim/,
  },
  {
    name: 'what has no object is removed',
    configuration: { ...one, unknown: 's1', faults: {} },
    protocol: around('Sweep'),
    finds: /has no object/,
  },
]

const leading: WrongShortcut[] = [
  {
    name: 'no lease guard',
    configuration: { ...one, controllers: 2, faults: { power: 2, depose: 1 } },
    protocol: around('NoGuard'),
    finds: /taken for its guest|without a claim/,
  },
  {
    name: 'no lease guard, no parking',
    configuration: { ...two, controllers: 2, faults: { power: 1, depose: 1 } },
    protocol: withPlan(noParking(settled), { shortcut: 'NoGuard' }),
    onlyGuests: true,
    finds: /run on s1/,
  },
]

export const shortcuts: readonly WrongShortcut[] = [
  ...claiming,
  ...releasingSlots,
  ...marks,
  ...reading,
  ...objects,
  ...leading,
]
