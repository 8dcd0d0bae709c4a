import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { findMisfit } from './fit.ts'
import { choosePool, type Decision, type Demand, place, type SlotOffer } from './index.ts'
import { matchesSelector, tolerates } from './labels.ts'
import { demand, h1, slot, tainted } from './testing/offers.ts'

describe('why a slot does not fit', () => {
  it.each<[string, Partial<SlotOffer>, Partial<Demand>, string | undefined]>([
    ['it fits', {}, {}, undefined],
    ['another slot is named', {}, { slot: 's9' }, 'Selector'],
    ['labels do not match', { labels: { zone: 'a' } }, { slotSelector: { matchLabels: { zone: 'b' } } }, 'Selector'],
    ['a taint is not tolerated', { taints: tainted('NoPlacement') }, {}, 'Taint'],
    ['a taint only asks to be avoided', { taints: tainted('PreferNoPlacement') }, {}, undefined],
    [
      'a taint is tolerated',
      { taints: tainted('NoPlacement') },
      { tolerations: [{ key: 'gpu', operator: 'Exists' }] },
      undefined,
    ],
    ['too few CPUs', {}, { cpus: 3 }, 'CPUs'],
    ['exactly as many CPUs and as much memory', {}, { cpus: 2, memory: 2048 }, undefined],
    ['too little memory', {}, { memory: 2049 }, 'Memory'],
    ['the disks are elsewhere', {}, { disksOn: 'h2' }, 'DisksElsewhere'],
    ['the hypervisor is away', { hypervisor: { ...h1, reachable: false } }, {}, 'Unreachable'],
    ['another architecture', {}, { architecture: 'aarch64' }, 'Architecture'],
    ['a boot mode that the host has', {}, { mode: 'PV' }, undefined],
    ['a boot mode that the host lacks', {}, { mode: 'PVH' }, 'Mode'],
    ['a network is missing', {}, { networks: ['lan', 'dmz'] }, 'Network'],
    ['no pool', { hypervisor: { ...h1, pools: [] } }, {}, 'Storage'],
    ['no room in the pool', { hypervisor: { ...h1, pools: [{ name: 'default', order: 0, room: 0 }] } }, {}, 'Storage'],
    [
      'no room in the pool that is named',
      { hypervisor: { ...h1, pools: [{ name: 'default', order: 0, room: -1 }] } },
      { pool: 'default' },
      'Storage',
    ],
    ['the pool that is named is not there', {}, { pool: 'fast' }, 'Storage'],
    ['disks that are made need no room', { hypervisor: { ...h1, pools: [] } }, { disksOn: 'h1' }, undefined],
    ['machines of others leave enough memory', { hypervisor: { ...h1, spareMemory: 1024 } }, {}, undefined],
    ['machines of others leave too little memory', { hypervisor: { ...h1, spareMemory: 1023 } }, {}, 'HostMemory'],
    ['cordoned', { open: false }, {}, 'Cordoned'],
    ['on a hypervisor that is cordoned', { hypervisor: { ...h1, open: false } }, {}, 'Cordoned'],
    ['occupied', { occupied: true }, {}, 'Occupied'],
    ['taken', { free: false }, {}, 'Taken'],
    ['what could never help is told first', { free: false, open: false, cpus: 1 }, { cpus: 2 }, 'CPUs'],
  ])('%s', (_, offer, wanted, reason) => {
    expect(findMisfit(demand('a', wanted), slot('s1', offer))?.reason).toBe(reason)
  })
})

describe('labels as Kubernetes has them', () => {
  const labels = { zone: 'a', empty: '' }
  it.each([
    ['an empty selector matches everything', {}, true],
    ['matchLabels', { matchLabels: { zone: 'a' } }, true],
    ['an empty value is a value', { matchLabels: { empty: '' } }, true],
    ['a label that is absent has no empty value', { matchLabels: { none: '' } }, false],
    ['In', { matchExpressions: [{ key: 'zone', operator: 'In' as const, values: ['b', 'a'] }] }, true],
    ['In, absent', { matchExpressions: [{ key: 'none', operator: 'In' as const, values: ['a'] }] }, false],
    ['NotIn', { matchExpressions: [{ key: 'zone', operator: 'NotIn' as const, values: ['a'] }] }, false],
    ['NotIn, absent', { matchExpressions: [{ key: 'none', operator: 'NotIn' as const, values: ['a'] }] }, true],
    ['Exists', { matchExpressions: [{ key: 'empty', operator: 'Exists' as const }] }, true],
    ['DoesNotExist', { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' as const }] }, false],
    [
      'all must hold',
      { matchLabels: { zone: 'a' }, matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' as const }] },
      false,
    ],
  ])('%s', (_, selector, expected) => {
    expect(matchesSelector(labels, selector)).toBe(expected)
  })
})

describe('tolerations as Kubernetes has them', () => {
  const taint = { key: 'gpu', value: 'yes', effect: 'NoPlacement' } as const
  it.each([
    ['Equal, the same value', { key: 'gpu', operator: 'Equal' as const, value: 'yes' }, true],
    ['Equal, another value', { key: 'gpu', operator: 'Equal' as const, value: 'no' }, false],
    ['Equal, no value', { key: 'gpu', operator: 'Equal' as const }, false],
    ['Exists', { key: 'gpu', operator: 'Exists' as const }, true],
    ['Exists without a key tolerates everything', { operator: 'Exists' as const }, true],
    ['another key', { key: 'ssd', operator: 'Exists' as const }, false],
    ['the effect', { key: 'gpu', operator: 'Exists' as const, effect: 'NoPlacement' as const }, true],
    ['another effect', { key: 'gpu', operator: 'Exists' as const, effect: 'PreferNoPlacement' as const }, false],
  ])('%s', (_, toleration, expected) => {
    expect(tolerates(toleration, taint)).toBe(expected)
  })
})

describe('choosing', () => {
  it('takes the slot that leaves least over, and avoids taints that ask for it', () => {
    const slots = [
      slot('large', { memory: 4096 }),
      slot('snug', { memory: 1024, taints: tainted('PreferNoPlacement') }),
      slot('b'),
      slot('a'),
    ]
    expect(place(demand('x'), [], slots)).toEqual({ kind: 'Place', slot: 'a' })
  })

  it('takes the pool of lowest order, then by name, or the one that is named', () => {
    const pools = [
      { name: 'c', order: 0, room: 0 },
      { name: 'b', order: 1, room: 1 },
      { name: 'a', order: 1, room: 1 },
    ]
    expect(choosePool({}, pools)?.name).toBe('a')
    expect(choosePool({ pool: 'b' }, pools)?.name).toBe('b')
    expect(choosePool({ pool: 'c' }, pools)).toBeUndefined()
  })

  it('lets the older take first, and the younger what is left', () => {
    const old = demand('old', { since: '2025-12-31T00:00:00Z' })
    const young = demand('young')
    const both = [old, young]
    expect(place(old, both, [slot('s1')])).toEqual({ kind: 'Place', slot: 's1' })
    expect(place(young, both, [slot('s1')])).toMatchObject({ kind: 'Wait', reason: 'WaitingForSlot' })
    expect(place(young, both, [slot('s1'), slot('s2')])).toEqual({ kind: 'Place', slot: 's2' })
  })

  it('lets higher priority take first, however young, and tells the others their places', () => {
    const [old, urgent] = [demand('old'), demand('urgent', { priority: 1, since: '2026-02-01T00:00:00Z' })]
    const both = [old, urgent]
    expect(place(urgent, both, [slot('s1')])).toEqual({ kind: 'Place', slot: 's1' })
    expect(place(old, both, [slot('s1')])).toMatchObject({ kind: 'Wait', reason: 'WaitingForSlot', position: 2 })
  })

  it('counts the slots of those in front against what machines of others leave, and goes elsewhere', () => {
    const h2 = { ...h1, name: 'h2', spareMemory: 2048 + 1024 }
    const slots = [...['a', 'b', 'c'].map((name) => slot(name, { hypervisor: h2 })), slot('d', { memory: 4096 })]
    const waiting = ['1', '2', '3', '4'].map((uid) => demand(uid))
    const decisions = waiting.map((wanted) => place(wanted, waiting, slots))
    expect(decisions).toMatchObject([{ slot: 'a' }, { slot: 'b' }, { slot: 'd' }, { kind: 'Wait' }])
  })

  it('passes over one that the slot does not fit', () => {
    const old = demand('old', { since: '2025-12-31T00:00:00Z', disksOn: 'h2' })
    expect(place(demand('young'), [old], [slot('s1')])).toEqual({ kind: 'Place', slot: 's1' })
  })
})

describe('a burst', () => {
  it('looks at each slot a few times, however many machines ask for the same', () => {
    let looks = 0
    const slots = Array.from({ length: 50 }, (_, index) => {
      const plain = slot(`s${index}`)
      return {
        ...plain,
        get cpus() {
          looks++
          return plain.cpus
        },
      }
    })
    const waiting = Array.from({ length: 40 }, (_, index) => demand(`m${String(index).padStart(2, '0')}`))
    expect(place(demand('m99'), waiting, slots)).toMatchObject({ kind: 'Place' })
    expect(looks).toBeLessThan(slots.length * 20)
  })
})

describe('waiting', () => {
  it.each<[string, SlotOffer[], Partial<Demand>, string]>([
    ['no slots at all', [], {}, 'NoHypervisorFits'],
    ['none that could ever hold it', [slot('a'), slot('b', { free: false })], { cpus: 9 }, 'NoHypervisorFits'],
    ['one that is taken', [slot('a', { free: false }), slot('b', { cpus: 1 })], { cpus: 2 }, 'WaitingForSlot'],
    ['none where the disks are', [slot('a')], { disksOn: 'h2' }, 'DisksElsewhere'],
    ['a hypervisor that is away', [slot('a', { hypervisor: { ...h1, reachable: false } })], {}, 'WaitingForSlot'],
  ])('for %s', (_, slots, wanted, reason) => {
    expect(place(demand('a', wanted), [], slots)).toMatchObject({ kind: 'Wait', reason })
  })
})

/** Small, so that machines meet on the same slots. */
const anyTaint = fc.constantFrom([], tainted('NoPlacement'), tainted('PreferNoPlacement'))
const anySlots = fc
  .array(
    fc.record({
      copies: fc.integer({ min: 1, max: 3 }),
      cpus: fc.integer({ min: 1, max: 3 }),
      memory: fc.constantFrom(1024, 2048),
      free: fc.boolean(),
      occupied: fc.boolean(),
      open: fc.boolean(),
      taints: anyTaint,
      labels: fc.constantFrom({}, { zone: 'a' }),
      hypervisor: fc.constantFrom(h1, { ...h1, name: 'h2' }, { ...h1, name: 'h3', reachable: false }),
    }),
    { maxLength: 5 },
  )
  .map((kinds) =>
    // Names of one kind lie among those of the others.
    [0, 1, 2]
      .flatMap((copy) => kinds.filter(({ copies }) => copy < copies))
      .map(({ copies: _, ...offer }, index) => slot(`s${index}`, offer)),
  )
/** Without the words, which are those of whichever slot comes first. */
const counted = (decision: Decision) =>
  decision.kind === 'Place'
    ? decision
    : { reason: decision.reason, counts: new Map(decision.rejections.map(({ reason, count }) => [reason, count])) }
/** Those of one kind as one offer. */
function together(slots: readonly SlotOffer[]): SlotOffer[] {
  const kinds = new Map<string, SlotOffer>()
  for (const { names, ...facts } of slots) {
    const key = JSON.stringify(facts)
    kinds.set(key, { ...facts, names: [...(kinds.get(key)?.names ?? []), ...names].toSorted() })
  }
  return [...kinds.values()]
}
const anyDemands = fc
  .array(
    fc.record(
      {
        priority: fc.constantFrom(0, 1),
        since: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
        cpus: fc.integer({ min: 1, max: 3 }),
        memory: fc.constantFrom(1024, 2048),
        disksOn: fc.constantFrom('h1', 'h2'),
        slot: fc.constantFrom('s0', 's3', 's99'),
        slotSelector: fc.constantFrom({ matchLabels: { zone: 'a' } }),
        tolerations: fc.constantFrom([{ operator: 'Exists' as const }]),
      },
      { requiredKeys: ['priority', 'since', 'cpus', 'memory'] },
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((demands) => demands.map((wanted, index) => demand(`u${index}`, wanted)))

describe('whatever waits, and whatever is offered', () => {
  const placements = (demands: readonly Demand[], slots: readonly SlotOffer[]) =>
    demands.map((wanted) => ({ wanted, decision: place(wanted, demands, slots) }))

  it('no slot is given twice, and none that does not fit', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, (demands, slots) => {
        const placed = placements(demands, slots).flatMap(({ wanted, decision }) =>
          decision.kind === 'Place' ? [{ wanted, name: decision.slot }] : [],
        )
        expect(new Set(placed.map(({ name }) => name)).size).toBe(placed.length)
        for (const { wanted, name } of placed) {
          const offer = slots.find(({ names }) => names.includes(name))
          expect(offer && findMisfit(wanted, offer)).toBeUndefined()
        }
      }),
    )
  })

  it('who waits is passed over only by one that takes a slot which it could not use', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, (demands, slots) => {
        const outcome = placements(demands, slots)
        for (const { wanted, decision } of outcome) {
          if (decision.kind === 'Place') continue
          for (const other of outcome) {
            const turn = ({ wanted: { priority, since, uid } }: typeof other) => `${9 - priority} ${since} ${uid}`
            const behind = turn(other) > turn({ wanted, decision })
            if (!behind || other.decision.kind !== 'Place') continue
            const { slot: name } = other.decision
            const taken = slots.find(({ names }) => names.includes(name))
            expect(taken && findMisfit(wanted, taken)).toBeDefined()
          }
        }
      }),
    )
  })

  it('a slot that fits and is free is not left while somebody waits for it', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, (demands, slots) => {
        const outcome = placements(demands, slots)
        const taken = new Set(outcome.flatMap(({ decision }) => (decision.kind === 'Place' ? [decision.slot] : [])))
        for (const { wanted, decision } of outcome) {
          if (decision.kind === 'Place') continue
          expect(
            slots.filter((offer) => !offer.names.every((name) => taken.has(name)) && !findMisfit(wanted, offer)),
          ).toEqual([])
        }
      }),
    )
  })

  it('each slot is counted under one reason, and there are at most ten', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, (demands, slots) => {
        for (const { decision } of placements(demands, slots)) {
          if (decision.kind === 'Place') continue
          expect(decision.rejections.length).toBeLessThanOrEqual(10)
          const counted = decision.rejections.reduce((sum, { count }) => sum + count, 0)
          expect(counted).toBeLessThanOrEqual(slots.length)
          expect(new Set(decision.rejections.map(({ reason }) => reason)).size).toBe(decision.rejections.length)
        }
      }),
    )
  })

  it('slots that differ in their names alone are decided on together as each by itself', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, (demands, slots) => {
        for (const wanted of demands) {
          expect(counted(place(wanted, demands, together(slots)))).toEqual(counted(place(wanted, demands, slots)))
        }
      }),
    )
  })

  it('the order in which slots and machines are listed does not matter', () => {
    fc.assert(
      fc.property(anyDemands, anySlots, (demands, slots) => {
        for (const wanted of demands) {
          expect(place(wanted, demands.toReversed(), slots.toReversed()).kind).toBe(place(wanted, demands, slots).kind)
        }
      }),
    )
  })
})

it('puts the rarest of more than ten reasons together', () => {
  const off = (name: string, changes: Partial<SlotOffer>) => slot(name, changes)
  const slots = [
    off('a', { labels: { zone: 'b' } }),
    off('b', { taints: tainted('NoPlacement') }),
    off('c', { cpus: 0 }),
    off('d', { memory: 0 }),
    off('e', { hypervisor: { ...h1, reachable: false } }),
    off('f', { hypervisor: { ...h1, architectures: [] } }),
    off('g', { hypervisor: { ...h1, networks: new Set() } }),
    off('h', { hypervisor: { ...h1, pools: [] } }),
    off('i', { open: false }),
    off('j', { occupied: true }),
    off('k', { free: false }),
    off('l', { free: false }),
  ].map((offer) => ({ ...offer, labels: { zone: 'a', ...offer.labels } }))
  const decision = place(demand('x', { slotSelector: { matchLabels: { zone: 'a' } } }), [], slots)
  expect(decision).toMatchObject({ kind: 'Wait', reason: 'WaitingForSlot' })
  const { rejections } = decision as Extract<typeof decision, { kind: 'Wait' }>
  expect(rejections).toHaveLength(10)
  expect(rejections[0]).toMatchObject({ reason: 'Taken', count: 2 })
  expect(rejections.at(-1)).toMatchObject({ reason: 'Other', count: 2 })
})
