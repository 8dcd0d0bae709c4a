/** Every effect of a workload is the last one once, in every position. */
import { compare } from './oracle.ts'
import { type RunResult, run } from './run.ts'
import type { Workload } from './workloads/workload.ts'
import { type Effect, type Position, positions } from './world/effects.ts'
import type { Fault } from './world/world.ts'

export interface Finding {
  readonly workload: string
  readonly faults: readonly Fault[]
  readonly problems: readonly string[]
  readonly trace: readonly string[]
}

export interface Report {
  readonly workload: string
  readonly effects: number
  /** Runs by position. */
  readonly runs: Readonly<Record<string, number>>
  readonly findings: readonly Finding[]
}

/** The run without faults; it must be free of problems itself. */
export async function learn(workload: Workload): Promise<RunResult> {
  const reference = await run(workload)
  if (reference.problems.length > 0) {
    throw new Error(`${workload.name}, without any fault: ${reference.problems.join('; ')}`)
  }
  return reference
}

export async function tryFaults(
  workload: Workload,
  reference: RunResult,
  faults: readonly Fault[],
): Promise<Finding | undefined> {
  const result = await run(workload, { faults })
  const problems = compare(result, reference)
  if (result.faultsCame === 0) problems.push('the fault never came')
  return problems.length === 0
    ? undefined
    : { workload: workload.name, faults, problems, trace: result.effects.map(lineOf) }
}

/** All single faults, those that a filter lets through. */
export async function explore(
  workload: Workload,
  only: { readonly effect?: number; readonly position?: Position } = {},
): Promise<Report> {
  const reference = await learn(workload)
  const findings: Finding[] = []
  const runs: Record<string, number> = {}
  const faults = reference.effects.flatMap(faultsAt)
  for (const fault of faults) {
    if (fault.effect !== (only.effect ?? fault.effect) || fault.position !== (only.position ?? fault.position)) continue
    const finding = await tryFaults(workload, reference, [fault])
    if (finding) findings.push(finding)
    runs[fault.position] = (runs[fault.position] ?? 0) + 1
  }
  return { workload: workload.name, effects: reference.effects.length, runs, findings }
}

/**
 * A moment within another effect is a place to die, and nothing that could arrive late. Nor does an upload: it is a
 * conversation, and nobody is left to go on with it.
 */
const faultsAt = ({ number, verb, moment }: Effect): Fault[] =>
  positions
    .filter((position) => moment === undefined || position === 'before')
    .filter((position) => position !== 'late' || verb !== 'placeImage')
    .map((position) => ({ effect: number, position }))

export const lineOf = ({ number, at, process, verb, target, outcome = 'unanswered' }: Effect): string =>
  `${String(number).padStart(4)}  ${(at / 1000).toFixed(3).padStart(8)} s  process ${process}  ${verb} ${target}: ${outcome}`
