import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { mergeConditions, sameStatus } from './conditions.ts'
import type { Condition, ConditionFact } from './port.ts'

const fact = (type: string, status: ConditionFact['status'] = 'True', reason = 'Because'): ConditionFact => ({
  type,
  status,
  reason,
  message: `${type} is ${status}`,
})
const t0 = '2026-01-01T00:00:00.123Z'
const t1 = '2026-02-02T00:00:00.999Z'
const merged = (facts: ConditionFact[], previous?: Condition[], generation = 1, now = t0) =>
  mergeConditions(previous, facts, generation, now)

describe('mergeConditions', () => {
  test('the first time', () => {
    expect(merged([fact('Ready')])).toEqual([
      { ...fact('Ready'), observedGeneration: 1, lastTransitionTime: '2026-01-01T00:00:00Z' },
    ])
  })

  test('the time moves only with the status, not with reason, message or generation', () => {
    const before = merged([fact('Ready'), fact('Placed')])
    const after = merged([{ ...fact('Ready'), reason: 'Other', message: 'x' }, fact('Placed', 'False')], before, 2, t1)
    expect(after).toMatchObject([
      { reason: 'Other', observedGeneration: 2, lastTransitionTime: '2026-01-01T00:00:00Z' },
      { status: 'False', lastTransitionTime: '2026-02-02T00:00:00Z' },
    ])
  })

  test('what was there keeps its place; new ones follow; those without a fact go', () => {
    const before = merged([fact('B'), fact('A'), fact('Gone')])
    expect(merged([fact('New'), fact('A'), fact('B')], before).map(({ type }) => type)).toEqual(['B', 'A', 'New'])
  })

  test('property: the same facts again change nothing, whatever the time', () => {
    const facts = fc.uniqueArray(
      fc.record({
        type: fc.constantFrom('A', 'B', 'C', 'D'),
        status: fc.constantFrom('True' as const, 'False' as const, 'Unknown' as const),
        reason: fc.string(),
        message: fc.string(),
      }),
      { selector: ({ type }) => type },
    )
    fc.assert(
      fc.property(facts, facts, (first, second) => {
        const before = merged(second, merged(first))
        expect(merged(second, before, 1, t1)).toEqual(before)
      }),
    )
  })
})

test.each<[string, unknown, unknown, boolean]>([
  ['order of keys', { a: 1, b: { c: 1, d: 2 } }, { b: { d: 2, c: 1 }, a: 1 }, true],
  ['absent members', { a: 1, b: undefined }, { a: 1 }, true],
  ['order of lists', { a: [1, 2] }, { a: [2, 1] }, false],
  ['a value', { a: 1 }, { a: 2 }, false],
  ['a member more', { a: 1 }, { a: 1, b: null }, false],
  ['number and text', { a: 1 }, { a: '1' }, false],
  ['nothing yet', undefined, {}, false],
  ['nothing at all', undefined, undefined, true],
])('sameStatus: %s', (_name, a, b, same) => {
  expect(sameStatus(a, b)).toBe(same)
  expect(sameStatus(b, a)).toBe(same)
})
