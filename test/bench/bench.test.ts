/** The bench itself: that it still runs, on a scale at which its figures mean nothing, and that it says them right. */
import { describe, expect, it } from '@jest/globals'
import { benchController, smoke } from './controller/bench.ts'
import { type Figure, median, met, percentile, ratio, table } from './figures.ts'
import type { Machine } from './machine.ts'
import { withResult } from './page.ts'

describe('figures', () => {
  const figure: Figure = {
    what: 'passes',
    unit: '/s',
    values: [1_500, 3_000, 2_000],
    goal: { atLeast: 2_000 },
    reference: { what: 'bare', values: [4_000] },
  }

  it('are the median, beside what was run beside it', () => {
    expect(median(figure.values)).toBe(2_000)
    expect(percentile([4, 1, 3, 2, 5], 0.99)).toBeCloseTo(4.96)
    expect(ratio(figure)).toBe(0.5)
  })

  it.each<[string, Partial<Figure>, boolean | undefined]>([
    ['at its goal', {}, true],
    ['below it', { values: [1_999] }, false],
    ['above what may be', { goal: { atMost: 1_999 } }, false],
    ['its ratio misses', { ratioGoal: { atLeast: 0.95 } }, false],
    ['its ratio alone is asked for', { goal: { atMost: 2_000 }, ratioGoal: { atLeast: 0.5 } }, true],
  ])('meet their goals, or do not: %s', (_what, changes, expected) => {
    expect(met({ ...figure, ...changes })).toBe(expected)
  })

  it('without a goal are neither met nor missed', () => {
    expect(met({ what: 'w', unit: '', values: [1] })).toBeUndefined()
  })

  it('are a table that says what was missed', () => {
    expect(table([{ ...figure, values: [1_000] }])).toContain(
      '| passes | 1,000 /s | ≥ 2,000 **missed** | bare: 4,000 | 0.250 |',
    )
  })
})

describe('the page', () => {
  const machine: Machine = {
    date: '2026-01-01',
    commit: 'abc',
    cores: 2,
    processor: 'CPU',
    memory: 8,
    kernel: '6',
    node: 'v24',
    loadBefore: 0,
    loadAfter: 1,
  }
  const result = { bench: 'b', title: 'B', figures: [{ what: 'new', unit: 's', values: [1] }] }

  it('keeps all but the table of the bench', () => {
    const page = 'before\n<!-- bench: b -->\nold\n<!-- end: b -->\nafter\n'
    const written = withResult(page, result, machine)
    expect(written).toMatch(/^before\n<!-- bench: b -->\n/)
    expect(written).toMatch(/<!-- end: b -->\nafter\n$/)
    expect(written).toContain('| new | 1 s |')
    expect(written).not.toContain('old')
    expect(withResult(written, result, machine)).toBe(written)
  })

  it('has a place for each bench', () => {
    expect(() => withResult('nothing', result, machine)).toThrow('<!-- bench: b -->')
  })
})

it('measures the controller in a process of its own, whose start writes nothing', async () => {
  const { figures } = await benchController(smoke, () => {})
  const said = new Map(figures.map((figure) => [figure.what, figure]))
  expect(said.get('writes in it')?.values).toEqual([0])
  expect(figures.every(({ values }) => values.length > 0 && values.every(Number.isFinite))).toBe(true)
}, 120_000)
