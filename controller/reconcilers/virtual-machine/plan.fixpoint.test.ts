/** Every pair of desired and observed state comes to rest in a bounded number of steps, and what is as desired is left alone. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { Desired } from './model.ts'
import { plan, wantsToRun } from './plan.ts'
import { judge } from './testing/fixpoint.ts'
import { type IdealHost, observedIn, type Pair } from './testing/ideal.ts'
import { away, calm, desireds, empty, largeDomain, machines, pairs, places, smallDomain } from './testing/pairs.ts'

/** The first pair in which something is wrong. */
function firstFault(next = plan): { readonly fault: string; readonly pair: Pair } | undefined {
  for (const pair of pairs(smallDomain)) {
    const { fault } = judge(pair, next)
    if (fault !== undefined) return { fault, pair }
  }
  return undefined
}

describe('every pair of desired and observed state', () => {
  it('comes to rest with what was desired, or waits for what is there, and does no step twice', () => {
    expect(firstFault()).toBeUndefined()
  })

  it.each<[name: string, next: typeof plan, fault: RegExp]>([
    [
      'a step that is left out',
      (desired, observed) => {
        const step = plan(desired, observed)
        return step.do === 'Park' ? { do: 'Nothing' } : step
      },
      /should be off|could be started|not exactly the recorded claim/,
    ],
    [
      'a step that is done for ever',
      (desired, observed) => plan({ ...desired, runSeen: false }, observed),
      /MarkRunning twice/,
    ],
    [
      'a start of what is parked',
      (desired, observed) => {
        const step = plan(desired, observed)
        return step.do === 'Define' ? { do: 'Start', paused: false } : step
      },
      /parked|not there/,
    ],
    [
      'a wait for nothing',
      (desired, observed) => {
        const step = plan(desired, observed)
        return step.do === 'Release' ? { do: 'Wait', problem: { code: 'HypervisorUnreachable', message: 'no' } } : step
      },
      /it waits for HypervisorUnreachable/,
    ],
  ])('shows %s', (_, next, fault) => {
    expect(firstFault(next)?.fault).toMatch(fault)
  })

  const anyHost: fc.Arbitrary<IdealHost> = fc
    .oneof(
      { weight: 6, arbitrary: fc.record({ machine: fc.constantFrom(...machines), disk: fc.boolean() }) },
      { weight: 1, arbitrary: fc.constant({ foreign: true }) },
      { weight: 1, arbitrary: fc.constant(away) },
    )
    .map((host) => ({ ...empty, ...host }))
  const anyDesired: fc.Arbitrary<Desired> = fc
    .record({
      place: fc.constantFrom(...places),
      occupied: fc.boolean(),
      finalizer: fc.boolean(),
      deleting: fc.boolean(),
      powerState: fc.constantFrom(...(['Running', 'Stopped', 'Suspended', 'Paused'] as const)),
      onGuestShutdown: fc.constantFrom(...(['Stop', 'Restart'] as const)),
      onCrash: fc.constantFrom(...(['Stop', 'Restart'] as const)),
      restart: fc.constantFrom('None', 'Asked', 'Begun'),
      mode: fc.constantFrom(...(['Warm', 'Cold'] as const)),
      shutdownMode: fc.constantFrom('TrySoft' as const, 'Soft' as const, 'Hard' as const),
      runSeen: fc.boolean(),
      halted: fc.constantFrom(undefined, 'Guest' as const, 'Crash' as const),
      diskMade: fc.boolean(),
      saving: fc.boolean(),
      seenThere: fc.boolean(),
      retainedDisks: fc.constantFrom([], ['root']),
    })
    .map(({ place, occupied, halted, restart, mode, ...desired }) => ({
      instanceID: 'a1',
      ...desired,
      ...place,
      seenThere: desired.seenThere && place.recordedSlot !== undefined,
      ...(halted && desired.powerState === 'Running' && restart !== 'Asked' ? { halted } : {}),
      ...(restart === 'Asked' ? { restart: { token: 'token', mode } } : {}),
      ...(restart === 'Begun' ? { restarting: { token: 'token', mode } } : {}),
      claims: place.claims.map((claim) => ({ ...claim, occupied })),
    }))
  const anyFacts: fc.Arbitrary<Pair['facts']> = fc
    .record({
      rootPool: fc.constantFrom('pool', undefined),
      imagePlaced: fc.boolean(),
      settled: fc.boolean(),
      startDelayed: fc.boolean(),
      problem: fc.constantFrom({ code: 'SecretNotFound' as const, message: 'no size' }, undefined),
      poolProblem: fc.constantFrom({ code: 'PoolInactive' as const, message: 'stopped' }, undefined),
      shutdown: fc.constantFrom(
        calm.shutdown,
        { askedLately: true, timedOut: false },
        { askedLately: false, timedOut: true },
      ),
    })
    .map(({ rootPool, problem, poolProblem, ...facts }) => ({
      ...facts,
      ...(rootPool === undefined ? {} : { rootPool }),
      ...(problem === undefined ? {} : { problem }),
      ...(poolProblem === undefined ? {} : { poolProblem }),
    }))

  it('also where the image, the pool, the queue, foreign machines and guests have their say', () => {
    fc.assert(
      fc.property(anyDesired, anyHost, anyHost, anyFacts, fc.boolean(), (desired, h1, h2, facts, hasRoom) => {
        expect(judge({ desired, hosts: { h1, h2 }, facts, hasRoom }).fault).toBeUndefined()
      }),
      { numRuns: 10_000 },
    )
  })
})

describe('plan(desired, desired)', () => {
  const isConsistent = ({ deleting, finalizer, claims, recordedSlot, hypervisor, ...desired }: Desired): boolean => {
    if (deleting) return !finalizer
    if (!finalizer) return false
    if (desired.restarting || (desired.restart && desired.powerState === 'Running')) return false
    const holds = wantsToRun({ deleting, finalizer, claims, ...desired }) || desired.powerState === 'Suspended'
    if (!holds) return claims.length === 0 && recordedSlot === undefined
    const [claim, ...more] = claims
    const held = claim?.phase === 'Bound' && more.length === 0 && claim.slot === recordedSlot
    return held && claim.hypervisor === hypervisor && desired.runSeen && desired.diskMade
  }
  /** The host as it is when it is as desired. */
  const asDesired = (desired: Desired): IdealHost => ({
    ...empty,
    disk: desired.diskMade && !desired.deleting,
    machine:
      desired.deleting || desired.hypervisor === undefined
        ? undefined
        : {
            power: desired.halted ? 'Stopped' : desired.powerState,
            parked: desired.claims.length === 0,
            transient: false,
            slot: desired.recordedSlot ?? 's1',
            reason: 'Unknown',
            saving: false,
          },
  })
  const reachable = [...desireds(largeDomain)].filter(isConsistent)

  it('has desired states of each kind', () => {
    expect(reachable.filter((desired) => wantsToRun(desired)).length).toBeGreaterThan(0)
    for (const state of ['Running', 'Stopped', 'Suspended', 'Paused'])
      expect(reachable.filter(({ powerState }) => powerState === state).length).toBeGreaterThan(0)
    expect(reachable.filter(({ halted }) => halted).length).toBeGreaterThan(0)
    expect(reachable.filter(({ deleting }) => deleting).length).toBeGreaterThan(0)
  })

  it('is nothing, whatever else is so', () => {
    const others: Pair['facts'][] = [
      calm,
      { ...calm, settled: false, startDelayed: true, imagePlaced: false },
      { ...calm, shutdown: { askedLately: false, timedOut: true } },
      { ...calm, problem: { code: 'SecretNotFound', message: 'no size' } },
    ]
    const wrong = reachable.flatMap((desired) =>
      others.flatMap((facts) => {
        const host = asDesired(desired)
        const hosts = { h1: empty, h2: empty, ...(desired.hypervisor ? { [desired.hypervisor]: host } : {}) }
        const step = plan(desired, observedIn({ desired, hosts, facts, hasRoom: true }))
        return step.do === 'Nothing' ? [] : [{ step, desired }]
      }),
    )
    expect(wrong).toEqual([])
  })
})
