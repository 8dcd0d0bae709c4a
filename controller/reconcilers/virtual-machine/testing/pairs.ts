/** The domain of pairs of desired and observed state: small enough to enumerate, with every value that the planner tells apart. */
import type { Desired } from '../model.ts'
import { hostOf, type IdealHost, type Pair } from './ideal.ts'
import { isDown, type Machine } from './state.ts'

const flags = [false, true] as const
type Place = Pick<Desired, 'claims' | 'recordedSlot' | 'hypervisor'>

const claim = (slot: string, phase: 'Bound' | 'Releasing') => ({
  slot,
  hypervisor: hostOf(slot),
  phase,
  occupied: false,
})
const held = ['None', 'Bound', 'Releasing'] as const
const recorded: readonly Omit<Place, 'claims'>[] = [
  {},
  { hypervisor: 'h1' },
  { hypervisor: 'h2' },
  { hypervisor: 'h1', recordedSlot: 's1' },
  { hypervisor: 'h2', recordedSlot: 's2' },
]

/** Which slots it holds, which it has recorded. */
export const places: readonly Place[] = held.flatMap((first) =>
  held.flatMap((second) =>
    recorded.map((where) => ({
      claims: [...(first === 'None' ? [] : [claim('s1', first)]), ...(second === 'None' ? [] : [claim('s2', second)])],
      ...where,
    })),
  ),
)

/** What is not defined cannot be off, nor parked; only what is off is so for a reason. */
const isPossible = (machine: Machine): boolean =>
  !(machine.transient && (machine.parked || isDown(machine))) && (isDown(machine) || machine.reason === 'Unknown')

export const machines: readonly (Machine | undefined)[] = [
  undefined,
  ...(['Running', 'Paused', 'Suspended', 'Stopped'] as const).flatMap((power) =>
    flags.flatMap((parked) =>
      flags.flatMap((transient) =>
        ['s1', 's2'].flatMap((slot) =>
          (['Guest', 'Unknown'] as const).map(
            (reason): Machine => ({ power, parked, transient, slot, reason, saving: false }),
          ),
        ),
      ),
    ),
  ),
].filter((machine) => !machine || isPossible(machine))

export const away = { reachable: false, foreign: false, machine: undefined, disk: false } as const
export const empty: IdealHost = { ...away, reachable: true }
export const calm: Pair['facts'] = {
  rootPool: 'pool',
  imagePlaced: true,
  settled: true,
  startDelayed: false,
  shutdown: { askedLately: false, timedOut: false },
}

export type Wish = Pick<Desired, 'powerState' | 'restart' | 'restarting'>
const restart = { token: 'token', mode: 'Warm' } as const
const states: readonly Wish[] = [
  { powerState: 'Running' },
  { powerState: 'Stopped' },
  { powerState: 'Suspended' },
  { powerState: 'Paused' },
]

export interface Domain {
  readonly wishes: readonly Wish[]
  readonly shutdownModes: readonly Desired['shutdownMode'][]
  readonly retained: readonly boolean[]
  /** Hosts that can be reached. */
  readonly reachable: readonly (readonly string[])[]
}
/** What a run of the unit tests enumerates. */
export const smallDomain: Domain = {
  wishes: [...states, { powerState: 'Running', restarting: restart }],
  shutdownModes: ['TrySoft'],
  retained: [false],
  reachable: [['h1', 'h2']],
}
export const largeDomain: Domain = {
  wishes: [
    ...states,
    ...states.flatMap((state) => [
      { ...state, restart },
      { ...state, restarting: restart },
    ]),
  ],
  shutdownModes: ['TrySoft', 'Soft', 'Hard'],
  retained: flags.slice(),
  reachable: [['h1', 'h2'], ['h1'], ['h2']],
}

/** Every desired state of the domain, whether it could come to be or not. */
export function* desireds({
  wishes,
  shutdownModes,
  retained,
}: Pick<Domain, 'wishes' | 'shutdownModes' | 'retained'>): Generator<Desired> {
  for (const place of places)
    for (const wish of wishes)
      for (const shutdownMode of shutdownModes)
        for (const retains of retained)
          for (let bits = 0; bits < 32; bits++) {
            const bit = (index: number) => (bits & (1 << index)) !== 0
            yield {
              instanceID: 'a1',
              finalizer: bit(0),
              deleting: bit(1),
              ...wish,
              onGuestShutdown: 'Stop',
              onCrash: 'Restart',
              shutdownMode,
              ...place,
              runSeen: bit(2),
              ...(bit(3) && wish.powerState === 'Running' && !wish.restart ? { halted: 'Guest' as const } : {}),
              diskMade: bit(4),
              saving: false,
              seenThere: false,
              retainedDisks: retains ? ['root'] : [],
            }
          }
}

/**
 * Every pair of the domain: the machine and its disk may be on the first host. Calls may be under way: where none is,
 * the course is the same without the wait.
 */
export function* pairs(domain: Domain): Generator<Pair> {
  for (const desired of desireds(domain))
    for (const machine of machines)
      for (const disk of flags)
        for (const reachable of domain.reachable)
          yield {
            desired,
            hosts: {
              h1: { reachable: reachable.includes('h1'), foreign: false, machine, disk },
              h2: { ...empty, reachable: reachable.includes('h2') },
            },
            facts: { ...calm, settled: false },
            hasRoom: true,
          }
}
