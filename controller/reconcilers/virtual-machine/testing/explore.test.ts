/** What the exploration stands on: a state is never mistaken for another, and a cycle is never overlooked. */
import { expect, it } from '@jest/globals'
import { Edges } from './cycles.ts'
import { explore } from './explore.ts'
import { hasShrunk } from './figures.ts'
import { Parts } from './parts.ts'
import { StateTable } from './state-table.ts'
import { World } from './world.ts'

const edgesOf = (...nodes: readonly (readonly [to: number, hasEffect: boolean])[][]): Edges => {
  const edges = new Edges()
  for (const node of nodes) {
    for (const [to, hasEffect] of node) edges.add(to, hasEffect)
    edges.endNode()
  }
  return edges
}

it.each<[name: string, edges: Edges, expected: ReturnType<Edges['findEffectInCycle']>]>([
  ['one on the way to a cycle', edgesOf([[1, true]], [[2, false]], [[1, false]]), undefined],
  [
    'one between two cycles',
    edgesOf(
      [[1, false]],
      [
        [0, false],
        [2, true],
      ],
      [[3, false]],
      [[2, false]],
    ),
    undefined,
  ],
  ['one inside a cycle', edgesOf([[1, false]], [[2, true]], [[1, false]]), { from: 1, to: 2 }],
  ['one inside a cycle that is entered late', edgesOf([[2, false]], [[2, false]], [[1, true]]), { from: 2, to: 1 }],
  ['one that leads back to itself', edgesOf([[0, true]]), { from: 0, to: 0 }],
])('an effect that comes again and again is told from one that does not: %s', (_, edges, expected) => {
  expect(edges.findEffectInCycle()).toEqual(expected)
})

it('a state is found again among many, and keeps its number', () => {
  const table = new StateTable(2)
  const states = Array.from({ length: 20_000 }, (_, index) => Int32Array.of(index % 200, Math.floor(index / 200)))
  expect(states.every((state, index) => table.add(state).index === index)).toBe(true)
  expect(states.every((state, index) => table.add(state).index === index && !table.add(state).isNew)).toBe(true)
  expect(table.size).toBe(20_000)
  expect(table.at(201)).toEqual(Int32Array.of(1, 1))
})

it('values that are alike have one number, and others another', () => {
  const parts = new Parts()
  const number = parts.numberOf({ a: 1, b: [2] })
  expect(parts.numberOf({ a: 1, b: [2] })).toBe(number)
  expect(parts.numberOf(parts.valueOf(number))).toBe(number)
  expect(parts.numberOf({ a: 1, b: [3] })).not.toBe(number)
})

it('an exploration that is cut short says so', () => {
  const world = new World({ vms: ['a'], slots: { s1: 'h1' }, faults: { power: 1 } })
  expect(explore(world, { states: 20 }).finding?.what).toBe('more than 20 states')
})

it('a configuration that lost more than half of its states has shrunk', () => {
  const recorded = { states: 100, depth: 1, atRest: 1 }
  expect(hasShrunk(49, recorded)).toBe(true)
  expect(hasShrunk(50, recorded)).toBe(false)
})
