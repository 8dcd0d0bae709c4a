/** Searches a world for states that must not be, and for runs that do not arrive. */
import type { State, World } from './world.ts'

export interface Finding {
  readonly what: string
  readonly trace: readonly string[]
}
export interface Outcome {
  readonly states: number
  readonly atRest: number
  readonly finding?: Finding
}

/** More steps than any run without further faults needs to fall silent. */
const longestRun = 200

/**
 * Every state that can be reached, breadth first, so that a trace is a shortest one. From each a fair run without
 * further faults must fall silent with the goal reached; what such a run passes is known to be good, so that the runs
 * cost no more than the states.
 */
export function explore(world: World, limit = 400_000): Outcome {
  const first = JSON.stringify(world.initial())
  const seen = new Map<string, { readonly from: string | undefined; readonly label: string }>()
  seen.set(first, { from: undefined, label: 'start' })
  const arrives = new Set<string>()
  let atRest = 0
  const traceTo = (key: string): string[] => {
    const trace: string[] = []
    for (let at: string | undefined = key; at !== undefined; at = seen.get(at)?.from) {
      trace.unshift(seen.get(at)?.label ?? '')
    }
    return trace
  }
  const fail = (what: string, key: string, more: readonly string[] = []): Outcome => ({
    states: seen.size,
    atRest,
    finding: { what, trace: [...traceTo(key), ...more] },
  })
  for (const [key] of seen) {
    if (seen.size > limit) return fail(`more than ${limit} states`, first)
    const state = JSON.parse(key) as State
    if (world.atRest(state)) {
      atRest++
      const missed = world.goalMissed(state)
      if (missed !== undefined) return fail(`at rest: ${missed}`, key)
    }
    const run = fairRun(world, key, arrives)
    if (run) return fail(run.what, key, run.trace)
    for (const { label, state: next, violation } of world.successors(state)) {
      const broken = violation ?? world.violation(next)
      if (broken !== undefined) return fail(broken, key, [label])
      const nextKey = JSON.stringify(next)
      if (!seen.has(nextKey)) seen.set(nextKey, { from: key, label })
    }
  }
  return { states: seen.size, atRest }
}

/** Follows one fair schedule without faults. Undefined: it arrives, or meets a state that is known to arrive. */
export function fairRun(world: World, key: string, arrives: Set<string>): Finding | undefined {
  const passed: string[] = []
  const trace: string[] = []
  let state = JSON.parse(key) as State
  let turn = 0
  for (let step = 0; step < longestRun; step++) {
    const at = `${turn}${JSON.stringify(state)}`
    if (arrives.has(at)) break
    passed.push(at)
    if (world.atRest(state)) {
      const missed = world.goalMissed(state)
      if (missed !== undefined) return { what: `a run without faults ends: ${missed}`, trace }
      break
    }
    const next = world.successors(state).filter(({ fault }) => !fault)
    // What is on its way arrives and pending reads end first; then the keys take turns.
    const reads = next.filter(({ label }) => label.startsWith('a pass reads') || label.startsWith('on the cache'))
    const others = next.filter((successor) => !reads.includes(successor))
    const chosen = others[0] ?? reads[turn++ % Math.max(reads.length, 1)]
    if (!chosen) return { what: 'nothing can happen, and the goal is missed', trace }
    turn %= 1_000
    trace.push(chosen.label)
    const broken = chosen.violation ?? world.violation(chosen.state)
    if (broken !== undefined) return { what: broken, trace }
    state = chosen.state
    if (step === longestRun - 1) return { what: `no silence after ${longestRun} steps`, trace }
  }
  for (const at of passed) arrives.add(at)
  return undefined
}

/** One walk through a world that is too large to search: `choose` picks among so many. */
export function walk(world: World, steps: number, choose: (of: number) => number): Finding | undefined {
  const trace: string[] = []
  let state = world.initial()
  for (let step = 0; step < steps; step++) {
    const next = world.successors(state)
    const chosen = next[choose(next.length)]
    if (!chosen) break
    trace.push(chosen.label)
    const broken = chosen.violation ?? world.violation(chosen.state)
    if (broken !== undefined) return { what: broken, trace }
    state = chosen.state
  }
  const run = fairRun(world, JSON.stringify(state), new Set())
  return run && { what: run.what, trace: [...trace, ...run.trace] }
}
