import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { findMisfit } from './fit.ts'
import {
  type AntiAffinityTerm,
  byTurn,
  type Demand,
  Neighbours,
  type Occupant,
  type Party,
  place,
  type SlotOffer,
} from './index.ts'
import { matchesSelector, untolerated } from './labels.ts'
import { demand, h1, slot, tainted } from './testing/offers.ts'

const term = (app: string, strength: AntiAffinityTerm['strength'] = 'Required'): AntiAffinityTerm => ({
  selector: { matchLabels: { app } },
  strength,
})
const party = (app: string, antiAffinity: readonly AntiAffinityTerm[] = [], namespace = 'team'): Party => ({
  kind: JSON.stringify([namespace, app, antiAffinity]),
  namespace,
  labels: { app },
  antiAffinity,
})
/** Slots by the name of their hypervisor and a number: h1-0, h1-1, h2-0, … */
const slotsOn = (counts: Readonly<Record<string, number>>, changes: Partial<SlotOffer> = {}): SlotOffer[] =>
  Object.entries(counts).map(([name, count]) => ({
    ...slot(name, { hypervisor: { ...h1, name }, ...changes }),
    names: Array.from({ length: count }, (_, index) => `${name}-${index}`),
  }))
const occupant = (whose: Party, hypervisor: string, name = 'other'): Occupant => ({ name, party: whose, hypervisor })
const replica = (uid: string, strength: AntiAffinityTerm['strength'] = 'Required', changes: Partial<Demand> = {}) =>
  demand(uid, { party: party('web', [term('web', strength)]), ...changes })
const web = party('web')

describe('machines that are to be kept apart', () => {
  it.each<[string, Party, Party, string]>([
    ['a Required term keeps its machine away from those that it selects', party('db', [term('web')]), web, 'h2-0'],
    ['and those that it selects away from its machine, which came first', web, party('db', [term('web')]), 'h2-0'],
    ['one that selects itself keeps others like it away', party('x', [term('x')]), party('x', [term('x')]), 'h2-0'],
    ['a Preferred term is heeded where it can be', party('db', [term('web', 'Preferred')]), web, 'h2-0'],
    ['by the one that was there first, too', web, party('db', [term('web', 'Preferred')]), 'h2-0'],
    ['a term that selects neither is nothing to them', party('db', [term('mail')]), web, 'h1-0'],
    ['another namespace is nothing to them', party('db', [term('web')], 'other'), web, 'h1-0'],
    ['no terms, no distance', web, web, 'h1-0'],
  ])('%s', (_, wanting, there, expected) => {
    const decision = place(demand('new', { party: wanting }), [], slotsOn({ h1: 1, h2: 1 }), [occupant(there, 'h1')])
    expect(decision).toEqual({ kind: 'Place', slot: expected })
  })

  it('Preferred is broken rather than that the machine waits', () => {
    const apart = party('web', [term('web', 'Preferred')])
    const there = ['h1', 'h2', 'h1'].map((name) => occupant(web, name))
    expect(place(demand('new', { party: apart }), [], slotsOn({ h1: 1, h2: 1 }), there)).toMatchObject({ slot: 'h2-0' })
  })

  it('a taint that asks to be avoided counts more than a wish of the machine', () => {
    const slots = [...slotsOn({ h1: 1 }), ...slotsOn({ h2: 1 }, { taints: tainted('PreferNoPlacement') })]
    const apart = party('web', [term('web', 'Preferred')])
    expect(place(demand('new', { party: apart }), [], slots, [occupant(web, 'h1')])).toMatchObject({ slot: 'h1-0' })
  })

  it('says why, by the name of one that it is kept apart from; that could pass', () => {
    const decision = place(replica('new'), [], slotsOn({ h1: 2, h2: 1 }, {}), [
      occupant(web, 'h1', 'web-0'),
      occupant(web, 'h2', 'web-1'),
    ])
    expect(decision).toMatchObject({
      kind: 'Wait',
      reason: 'WaitingForSlot',
      rejections: [{ reason: 'AntiAffinity', count: 3, message: 'kept apart from web-0, on h1' }],
    })
  })
})

describe('a burst of machines of one set', () => {
  const set = ['a', 'b', 'c', 'd'].map((uid) => replica(uid))

  it('those in front count where they are about to go, before any has a claim', () => {
    const slots = slotsOn({ h1: 5, h2: 5, h3: 5 })
    const decisions = set.map((wanted) => place(wanted, set, slots))
    expect(decisions.slice(0, 3).map((decision) => decision.kind === 'Place' && decision.slot)).toEqual([
      'h1-0',
      'h2-0',
      'h3-0',
    ])
    expect(decisions[3]).toMatchObject({
      kind: 'Wait',
      message: '3 machines in front get the slots that are free, or are to be kept apart from it there',
    })
  })

  it('one that fits nowhere now keeps nobody out of a slot that it could not use', () => {
    const [first, second] = [replica('a'), demand('b', { party: party('mail') })]
    const slots = slotsOn({ h1: 1 })
    expect(place(second, [first, second], slots, [occupant(web, 'h1')])).toEqual({ kind: 'Place', slot: 'h1-0' })
  })

  it('that prefer to be apart are spread evenly', () => {
    const many = Array.from({ length: 9 }, (_, index) => replica(`u${index}`, 'Preferred'))
    const slots = slotsOn({ h1: 9, h2: 9, h3: 9 })
    const hosts = many.map((wanted) => {
      const decision = place(wanted, many, slots)
      return decision.kind === 'Place' ? decision.slot.slice(0, 2) : ''
    })
    for (const name of ['h1', 'h2', 'h3']) expect(hosts.filter((host) => host === name)).toHaveLength(3)
  })

  it('looks at a machine that is there a few times, however many wait in front', () => {
    let looks = 0
    const there = Array.from({ length: 100 }, (_, index) => ({
      ...occupant(party('mail'), `h${index}`),
      get hypervisor() {
        looks++
        return `h${index}`
      },
    }))
    const many = Array.from({ length: 100 }, (_, index) => replica(`u${String(index).padStart(3, '0')}`))
    const slots = slotsOn(Object.fromEntries(many.map((_, index) => [`h${index}`, 2])))
    expect(place(replica('u999'), many, slots, there)).toMatchObject({ kind: 'Wait' })
    expect(looks).toBeLessThan(there.length * 5)
  })
})

/** The same as `place`, said as simply as can be: each in turn looks at every slot and at every machine. */
function placeSimply(demands: readonly Demand[], slots: readonly SlotOffer[], occupants: readonly Occupant[]) {
  const there = [...occupants]
  const taken = new Map<string, string>()
  const used = new Map<string, number>()
  const selects = (one: Party, other: Party, strength: string) =>
    one.antiAffinity.filter((asked) => asked.strength === strength && matchesSelector(other.labels, asked.selector))
  for (const wanted of demands.toSorted(byTurn)) {
    const met = (hypervisor: string, strength: string) =>
      there
        .filter((other) => other.hypervisor === hypervisor && other.party.namespace === wanted.party?.namespace)
        .flatMap(({ party: other }) =>
          wanted.party ? [...selects(wanted.party, other, strength), ...selects(other, wanted.party, strength)] : [],
        ).length
    const [best] = slots
      .flatMap((offer) => offer.names.map((name) => ({ offer: { ...offer, names: [name] }, name })))
      .filter(({ offer, name }) => !taken.has(name) && !findMisfit(wanted, offer))
      .filter(({ offer }) => met(offer.hypervisor.name, 'Required') === 0)
      .filter(
        ({ offer: { hypervisor: host } }) => wanted.memory <= (host.spareMemory ?? 1e9) - (used.get(host.name) ?? 0),
      )
      .map(({ offer, name }) => ({
        name,
        hypervisor: offer.hypervisor.name,
        memory: offer.memory,
        order: [
          untolerated(offer.taints, wanted.tolerations).length,
          met(offer.hypervisor.name, 'Preferred'),
          offer.memory,
          offer.cpus,
        ],
      }))
      .toSorted((a, b) => firstDifference(a.order, b.order) || (a.name < b.name ? -1 : 1))
    if (!best) continue
    taken.set(best.name, wanted.uid)
    used.set(best.hypervisor, (used.get(best.hypervisor) ?? 0) + best.memory)
    if (wanted.party) there.push({ name: wanted.uid, party: wanted.party, hypervisor: best.hypervisor })
  }
  return new Map([...taken].map(([name, uid]) => [uid, name]))
}
const firstDifference = (a: readonly number[], b: readonly number[]): number =>
  a.map((value, index) => value - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0

const apps = fc.constantFrom('web', 'db')
const anyTerm = fc.record({
  selector: fc.oneof(
    apps.map((app) => ({ matchLabels: { app } })),
    fc.constant({}),
    apps.map((app) => ({ matchExpressions: [{ key: 'app', operator: 'NotIn' as const, values: [app] }] })),
  ),
  strength: fc.constantFrom('Required' as const, 'Preferred' as const),
})
const anyParty = fc
  .tuple(apps, fc.array(anyTerm, { maxLength: 2 }), fc.constantFrom('team', 'other'))
  .map(([app, terms, namespace]) => party(app, terms, namespace))
const hosts = ['h1', 'h2', 'h3'] as const
/** Machines of others leave room on h3 for one or two. */
const host = (name: string) => ({ ...h1, name, ...(name === 'h3' ? { spareMemory: 3072 } : {}) })
const anySlots = fc
  .array(
    fc.record({
      count: fc.integer({ min: 1, max: 3 }),
      hypervisor: fc.constantFrom(...hosts),
      memory: fc.constantFrom(1024, 2048),
      free: fc.boolean(),
      taints: fc.constantFrom([], tainted('PreferNoPlacement')),
    }),
    { maxLength: 6 },
  )
  .map((kinds) =>
    kinds.map(({ count, hypervisor, ...changes }, kind) => ({
      ...slot('', { ...changes, hypervisor: host(hypervisor) }),
      names: Array.from({ length: count }, (_, index) => `s${index}${kind}`),
    })),
  )
const anyDemands = fc
  .array(
    fc.record(
      {
        memory: fc.constantFrom(1024, 2048),
        priority: fc.integer({ min: 0, max: 1 }),
        party: anyParty,
        slot: fc.constantFrom('s00', 's11'),
      },
      { requiredKeys: ['memory', 'priority'] },
    ),
    { minLength: 1, maxLength: 7 },
  )
  .map((demands) => demands.map((wanted, index) => demand(`u${index}`, wanted)))
const anyOccupants = fc.array(
  fc.record({ name: fc.constant('old'), party: anyParty, hypervisor: fc.constantFrom(...hosts) }),
  { maxLength: 4 },
)
const roomy = (slots: readonly SlotOffer[]) =>
  slots.map(({ hypervisor: { spareMemory: _, ...hypervisor }, ...offer }) => ({ ...offer, hypervisor }))
const hypervisorOf = (name: string, slots: readonly SlotOffer[]): string =>
  slots.find(({ names }) => names.includes(name))?.hypervisor.name ?? ''

/** Pairs that are on one hypervisor, of which one has come since and should not have. */
function brokenPairs(old: readonly Occupant[], placed: readonly Occupant[]) {
  return placed.flatMap((one, index) =>
    [...old, ...placed.slice(0, index)].filter((other) =>
      new Neighbours([other]).keptApartFrom(one.party, one.hypervisor),
    ),
  )
}

describe('whoever waits, and whoever is there', () => {
  it('decides as if each in turn looked at everything', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, anyOccupants, (demands, slots, occupants) => {
        const expected = placeSimply(demands, slots, occupants)
        for (const wanted of demands) {
          const decision = place(wanted, demands, slots, occupants)
          expect(decision.kind === 'Place' ? decision.slot : undefined).toBe(expected.get(wanted.uid))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('decided in one moment, none that must be apart are together', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, anyOccupants, (demands, slots, occupants) => {
        const placed = demands.flatMap((wanted) => {
          const decision = place(wanted, demands, slots, occupants)
          if (decision.kind === 'Wait' || !wanted.party) return []
          return [{ name: wanted.uid, party: wanted.party, hypervisor: hypervisorOf(decision.slot, slots) }]
        })
        expect(brokenPairs(occupants, placed)).toEqual([])
      }),
    )
  })

  it('claimed one after the other, in whatever order they are asked, none that must be apart are together', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, anyOccupants, fc.infiniteStream(fc.nat()), (demands, slots, old, picks) => {
        let waiting = demands
        let offers: readonly SlotOffer[] = slots
        const placed: Occupant[] = []
        for (let rounds = 0; rounds < 20 && waiting.length > 0; rounds++) {
          const wanted = waiting[(picks.next().value as number) % waiting.length] as Demand
          const decision = place(wanted, waiting, offers, [...old, ...placed])
          if (decision.kind === 'Wait') continue
          const hypervisor = hypervisorOf(decision.slot, offers)
          if (wanted.party) placed.push({ name: wanted.uid, party: wanted.party, hypervisor })
          waiting = waiting.filter((other) => other !== wanted)
          offers = without(decision.slot, offers)
        }
        expect(brokenPairs(old, placed)).toEqual([])
      }),
    )
  })

  it('none waits while a slot is left that it fits and that nobody keeps it away from', () => {
    fc.assert(
      fc.property(anyDemands, anySlots.map(roomy), anyOccupants, (demands, slots, occupants) => {
        const outcome = demands.map((wanted) => ({ wanted, decision: place(wanted, demands, slots, occupants) }))
        const taken = new Set(outcome.flatMap(({ decision }) => (decision.kind === 'Place' ? [decision.slot] : [])))
        const there = outcome.flatMap(({ wanted, decision }) =>
          decision.kind === 'Place' && wanted.party
            ? [{ name: wanted.uid, party: wanted.party, hypervisor: hypervisorOf(decision.slot, slots) }]
            : [],
        )
        const neighbours = new Neighbours([...occupants, ...there])
        for (const { wanted, decision } of outcome) {
          if (decision.kind === 'Place') continue
          const left = slots
            .filter((offer) => !findMisfit(wanted, offer, neighbours))
            .flatMap(({ names }) => (wanted.slot === undefined ? names : [wanted.slot]))
          expect(left.filter((name) => !taken.has(name))).toEqual([])
        }
      }),
    )
  })
})

const without = (name: string, slots: readonly SlotOffer[]): readonly SlotOffer[] =>
  slots
    .map((offer) => ({ ...offer, names: offer.names.filter((other) => other !== name) }))
    .filter(({ names }) => names.length > 0)
