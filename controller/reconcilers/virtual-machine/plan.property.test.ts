/** The claim protocol, explored: the real planner in a small world where calls are late, answers lost, controllers crash. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { Desired, Observed } from './model.ts'
import { plan } from './plan.ts'
import { explore, walk } from './testing/explore.ts'
import { type Configuration, type Protocol, realProtocol, World } from './testing/world.ts'

const one = { vms: ['a'], slots: { s1: 'h1' } }
const configurations: Record<string, Configuration & { least: number }> = {
  'power, late calls': { ...one, faults: { power: 1, late: 1 }, least: 700 },
  'power, crash': { ...one, faults: { power: 1, crash: 1 }, least: 700 },
  'power twice, slow calls': { ...one, faults: { power: 2, slow: 1 }, least: 2000 },
  'deletion, slow calls': { ...one, faults: { delete: 1, slow: 1 }, least: 600 },
  'deletion, late calls': { ...one, faults: { delete: 1, late: 1 }, least: 600 },
  'guest, host': { ...one, faults: { power: 1, guest: 1, reboot: 1 }, least: 340 },
  'host away': { ...one, faults: { power: 1, down: 1 }, least: 230 },
  'retained disk': { ...one, retained: ['a'], faults: { delete: 1, slow: 1 }, least: 600 },
  'hard stop': { ...one, shutdownMode: 'Hard', faults: { power: 2, crash: 1 }, least: 2000 },
  'stale cache': { ...one, faults: { power: 2, lag: 1 }, least: 2200 },
  'two machines, one slot': { vms: ['a', 'b'], slots: { s1: 'h1' }, faults: { power: 1 }, least: 380 },
  'two hosts': { vms: ['a'], slots: { s1: 'h1', s2: 'h2' }, faults: { power: 1, slow: 1 }, least: 900 },
}

describe('every state that can be reached is safe, and every run arrives', () => {
  it.each(Object.entries(configurations))('%s', (_, configuration) => {
    const outcome = explore(new World(configuration))
    expect(outcome.finding).toBeUndefined()
    // A guard that blocks everything is safe too.
    expect(outcome.states).toBeGreaterThan(configuration.least)
    expect(outcome.atRest).toBeGreaterThan(0)
  })
})

describe('what is too large to search is walked through', () => {
  const large: Record<string, Configuration> = {
    'two machines, two hosts': {
      vms: ['a', 'b'],
      slots: { s1: 'h1', s2: 'h2' },
      faults: { power: 3, delete: 1, guest: 1, reboot: 1, down: 1, slow: 2, late: 1, crash: 2, lag: 2 },
    },
    'two machines, one slot': {
      vms: ['a', 'b'],
      slots: { s1: 'h1' },
      faults: { power: 3, delete: 1, slow: 2, late: 1, crash: 2, lag: 1 },
    },
  }
  it.each(Object.entries(large))('%s', (_, configuration) => {
    const choices = fc.infiniteStream(fc.nat({ max: 1 << 20 }))
    fc.assert(
      fc.property(choices, (stream) => {
        const finding = walk(new World(configuration), 150, (of) => (stream.next().value as number) % Math.max(of, 1))
        expect(finding).toBeUndefined()
      }),
      { numRuns: 150, endOnFailure: true },
    )
  })
})

/** Shortcuts of docs/decisions/0005-claim-protocol.md: a suite that no longer finds one is broken. */
describe('plausible shortcuts are found', () => {
  const withPlan = (mutant: Protocol['plan']): Protocol => ({ ...realProtocol, plan: mutant })
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
  const isOff = (observed: Observed) =>
    [...observed.hosts.values()].every(
      (host) => !host.reachable || !host.observation.machine || host.observation.machine.power === 'Stopped',
    )
  const isThere = (observed: Observed) =>
    [...observed.hosts.values()].some((host) => host.reachable && host.observation.machine !== undefined)
  const releasing = ({ claims }: Desired) => claims.find(({ phase }) => phase === 'Releasing')?.slot

  const mutants: [name: string, finds: RegExp, faults: Configuration['faults'], protocol: Protocol][] = [
    [
      'off is enough for a release, no parking',
      /without a claim|could be started/,
      { power: 1, late: 1 },
      withPlan((desired, observed) =>
        plan(desired, releasing(desired) && isOff(observed) ? onMachine(observed, { parked: true }) : observed),
      ),
    ],
    [
      'the T rule is ignored at deletion',
      /left behind|leaked/,
      { delete: 1, slow: 1 },
      withPlan((desired, observed) => plan(desired, { ...observed, settled: true })),
    ],
    [
      'the T rule is ignored at release',
      /without a claim|taken for its guest|could be started/,
      { power: 2, slow: 1 },
      withPlan((desired, observed) => plan(desired, { ...observed, settled: true })),
    ],
    [
      'the mark of a run is ignored: off for the reason "guest" is always the guest',
      /taken for its guest/,
      { power: 2 },
      withPlan((desired, observed) => plan({ ...desired, runSeen: desired.runSeen || isThere(observed) }, observed)),
    ],
    [
      'the mark of a run is never seen',
      /no silence/,
      {},
      withPlan((desired, observed) => plan({ ...desired, runSeen: false }, observed)),
    ],
    [
      'the guest’s own wish is not kept',
      /no silence|disagree|never|holds|should be off/,
      { guest: 1 },
      withPlan((desired, observed) => {
        const step = plan({ ...desired, halted: false }, observed)
        return step.do === 'MarkHalted' ? { do: 'Nothing' } : step
      }),
    ],
    [
      'a slot is released straight from Bound',
      /without a claim/,
      { power: 2, late: 1 },
      withPlan((desired, observed) => {
        const step = plan(desired, observed)
        return step.do === 'Drain' && isOff(observed) ? { do: 'Release', slot: step.slot } : step
      }),
    ],
    [
      'at deletion the slot goes before the machine',
      /without a claim/,
      { delete: 1, late: 1 },
      withPlan((desired, observed) => {
        const step = plan(desired, observed)
        const slot = releasing(desired)
        return step.do === 'Undefine' && slot !== undefined ? { do: 'Release', slot } : step
      }),
    ],
    [
      'a stop is decided on the cache',
      /stale read/,
      { power: 2, lag: 1 },
      { ...realProtocol, needsLiveRead: ({ do: step }) => step !== 'Drain' && step !== 'ShutDown' },
    ],
    [
      'a disk is made on the cache',
      /left behind/,
      { delete: 1, lag: 2 },
      { ...realProtocol, needsLiveRead: (step) => step.do !== 'CreateDisk' && realProtocol.needsLiveRead(step) },
    ],
  ]
  it.each(mutants)('%s', (_, finds, faults, protocol) => {
    const { finding } = explore(new World({ ...one, faults }, protocol))
    expect(finding?.what).toMatch(finds)
  })
})
