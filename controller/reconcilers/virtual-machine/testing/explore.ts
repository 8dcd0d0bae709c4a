/** Searches a world for states that must not be, and for runs that do not arrive. */
import { Edges } from './cycles.ts'
import type { State } from './state.ts'
import { StateTable } from './state-table.ts'
import type { World } from './world.ts'

export interface Finding {
  readonly what: string
  /** What happened from the beginning: a shortest one. */
  readonly trace: readonly string[]
}
export interface Outcome {
  readonly states: number
  readonly atRest: number
  /** Length of the longest of the shortest ways to a state. */
  readonly depth: number
  readonly finding?: Finding
}

export interface Limits {
  /** More states than so many are not looked at: that is a finding too. */
  readonly states?: number
  /** Called now and then with the number of states met and looked at. */
  readonly onProgress?: (met: number, done: number) => void
}

/**
 * Every state that can be reached, breadth first. Three things are asked for separately: that each is safe; that where
 * nothing is left to be done, the goal is reached; and that no cycle without further faults contains a call. Together:
 * once faults stop, every fair run arrives, and falls silent.
 */
export function explore(world: World, { states: limit = 300_000, onProgress }: Limits = {}): Outcome {
  const table = new StateTable(world.layout.width)
  const parents: number[] = [-1]
  const edges = new Edges()
  table.add(world.initial())
  let atRest = 0
  let depth = 0
  let endOfLayer = 1
  const outcome = (finding?: Finding): Outcome => ({
    states: table.size,
    atRest,
    depth,
    ...(finding === undefined ? {} : { finding }),
  })
  const traceTo = (index: number): string[] => traceOf(world, table, parents, index)

  for (let index = 0; index < table.size; index++) {
    if (table.size > limit) return outcome({ what: `more than ${limit} states`, trace: [] })
    if (index === endOfLayer) {
      depth++
      endOfLayer = table.size
    }
    if ((index & 0x3fff) === 0) onProgress?.(table.size, index)
    const state = table.at(index)
    if (world.atRest(state)) {
      atRest++
      const missed = world.asksForGuestsOnly ? undefined : world.goalMissed(state)
      if (missed !== undefined) return outcome({ what: `at rest: ${missed}`, trace: traceTo(index) })
    }
    let broken: Finding | undefined
    world.successors(state, ({ state: next, kind, violation, label }) => {
      if (broken) return
      const { index: to, isNew } = table.add(next)
      const what = violation ?? (isNew ? world.violation(next) : undefined)
      if (what !== undefined) broken = { what, trace: [...traceTo(index), label()] }
      if (isNew) parents.push(index)
      if (kind !== 'Fault' && to !== index) edges.add(to, kind === 'Send')
    })
    if (broken) return outcome(broken)
    edges.endNode()
  }
  const circle = world.asksForGuestsOnly ? undefined : edges.findEffectInCycle()
  if (!circle) return outcome()
  const again = labelOf(world, table, circle.from, circle.to)
  return outcome({ what: 'no silence: a call is made again and again', trace: [...traceTo(circle.from), again] })
}

function traceOf(world: World, table: StateTable, parents: readonly number[], index: number): string[] {
  const trace: string[] = []
  for (let at = index; at > 0; at = parents[at] ?? -1) trace.unshift(labelOf(world, table, parents[at] ?? 0, at))
  return trace
}

function labelOf(world: World, table: StateTable, from: number, to: number): string {
  const wanted = table.at(to)
  let found = ''
  world.successors(table.at(from), ({ state, label }) => {
    if (found === '' && isSame(state, wanted)) found = label()
  })
  return found
}

const isSame = (a: State, b: State): boolean => a.every((part, index) => part === b[index])

/** One walk through a world that is too large to search: `choose` picks among so many. Every state on it is safe. */
export function walk(world: World, steps: number, choose: (of: number) => number): Finding | undefined {
  const trace: string[] = []
  let state = world.initial()
  for (let step = 0; step < steps; step++) {
    const next: { readonly label: () => string; readonly state: State; readonly violation: string | undefined }[] = []
    world.successors(state, (successor) => next.push(successor))
    const chosen = next[choose(next.length)]
    if (!chosen) break
    trace.push(chosen.label())
    const what = chosen.violation ?? world.violation(chosen.state)
    if (what !== undefined) return { what, trace }
    state = chosen.state
  }
  return undefined
}
