/**
 * Whether a run with faults came to the same as the run without (Sieve's oracles, and ours): the same end on both sides,
 * the same mutations but for those that the fault cut, everything that must hold at every moment, and silence after.
 */
import { isDeepStrictEqual } from 'node:util'
import type { RunResult } from './run.ts'
import type { Effect } from './world/effects.ts'

/** What undoes a call that arrived though nobody waited for it any more. */
const undoing =
  /^(park|shutdown|powerOff|pause|unpause|undefine|deleteVolume|attachDisk|detachDisk|set Releasing|set Free|(delete|set finalizers \[.*\]) slots)/

/** A pass that does more than one thing does the first anew when it dies at the next; repeated, it changes nothing. */
const repeatable = /^removeImage /

/** Statuses are told again after a restart, and waiting says why: so many more for each object and fault. */
const moreStatuses = 4

export function compare(run: RunResult, reference: RunResult): string[] {
  // What did not come to its end is not worth comparing.
  const compared = run.finished ? [...differingEnds(run, reference), ...differingMutations(run, reference)] : []
  return [...run.problems, ...compared]
}

function differingEnds(run: RunResult, reference: RunResult): string[] {
  const names = new Set([...Object.keys(run.end), ...Object.keys(reference.end)])
  return [...names]
    .filter((name) => !isDeepStrictEqual(run.end[name], reference.end[name]))
    .map((name) => {
      if (!(name in run.end)) return `lost at the end: ${name}`
      if (!(name in reference.end)) return `left over at the end: ${name}`
      return `at the end ${name} differs: ${firstDifference(run.end[name], reference.end[name])}`
    })
}

function firstDifference(is: unknown, was: unknown, path = ''): string {
  if (typeof is === 'object' && typeof was === 'object' && is !== null && was !== null) {
    for (const name of new Set([...Object.keys(is), ...Object.keys(was)])) {
      const [a, b] = [Reflect.get(is, name), Reflect.get(was, name)]
      if (!isDeepStrictEqual(a, b)) return firstDifference(a, b, `${path}.${name}`)
    }
  }
  return `${path} is ${JSON.stringify(is)}, without faults ${JSON.stringify(was)}`
}

function differingMutations(run: RunResult, reference: RunResult): string[] {
  const problems: string[] = []
  const wanted = countsOf(reference.effects)
  const seen = countsOf(run.effects)
  const cut = countsOf(run.effects.filter(({ answered }) => answered === undefined))
  const late = run.faultsCame.filter(({ position }) => position === 'late').length
  for (const what of new Set([...wanted.keys(), ...seen.keys()])) {
    const [is, was] = [seen.get(what) ?? 0, wanted.get(what) ?? 0]
    const repeated =
      (cut.get(what) ?? 0) + (undoing.test(what) ? late : 0) + (repeatable.test(what) ? run.faultsCame.length : 0)
    if (what.startsWith('set status')) {
      if (is > was + moreStatuses * run.faultsCame.length) problems.push(`${what}: ${is} times, without faults ${was}`)
    } else if (is < was || is > was + repeated) {
      problems.push(`${what}: ${is} times, without faults ${was}; ${repeated} may be repeated`)
    }
  }
  return problems
}

function countsOf(effects: readonly Effect[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { verb, target, moment, outcome } of effects) {
    // A compare-and-swap that was refused has changed nothing.
    if (moment || outcome === 'Conflict') continue
    const what = `${verb} ${target}`
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
  return counts
}
