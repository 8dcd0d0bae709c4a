/** Every effect of a workload is the last one once, in every position; and what else happens to a process. */
import { compare } from './oracle.ts'
import { type RunResult, run } from './run.ts'
import type { Workload } from './workloads/workload.ts'
import { type Effect, type Position, positions } from './world/effects.ts'
import { type Fault, lease, type WorldOptions } from './world/world.ts'

/**
 * - `crash`: killed once, at every effect in every position
 * - `twice`: killed at every effect, and again one, two and four effects later, in the midst of recovery
 * - `loop`: killed twenty times in a minute, from the beginning, and again once everything is quiet
 * - `leaders`: one of two processes is stopped at every effect for a part or several times of the lease, then goes on
 */
export const modes = ['crash', 'twice', 'loop', 'leaders'] as const
export type Mode = (typeof modes)[number]

export interface Finding {
  readonly workload: string
  readonly mode: Mode
  readonly faults: readonly Fault[]
  readonly problems: readonly string[]
  readonly trace: readonly string[]
}

/** A part of what there is to try. */
export interface Only {
  readonly effect?: number
  readonly position?: Position
  /** Every so many of the modes that try several things at each effect. */
  readonly sample?: number
}

export interface Report {
  readonly workload: string
  readonly mode: Mode
  readonly effects: number
  /** Of the run without faults. */
  readonly trace: readonly string[]
  /** Runs by position of the first fault. */
  readonly runs: Readonly<Partial<Record<Position, number>>>
  readonly findings: readonly Finding[]
}

/** The run without faults; it must be free of problems itself. */
export async function learn(workload: Workload, options: WorldOptions = {}): Promise<RunResult> {
  const reference = await run(workload, options)
  if (reference.problems.length > 0) {
    throw new Error(`${workload.name}, without any fault: ${reference.problems.join('; ')}`)
  }
  return reference
}

/** What is wrong with a run that has these faults; nothing where it came to the same as the reference. */
export async function tryFaults(
  workload: Workload,
  reference: RunResult,
  options: WorldOptions,
): Promise<{ readonly problems: readonly string[]; readonly trace: readonly string[] }> {
  const result = await run(workload, options)
  const problems = compare(result, reference)
  const faults = options.faults?.length ?? 0
  if (faults > 0 && result.faultsCame.length === 0) problems.push('the fault never came')
  return { problems, trace: result.effects.map(lineOf) }
}

export async function explore(workload: Workload, mode: Mode, only: Only = {}): Promise<Report> {
  const candidates = mode === 'leaders' ? { candidates: 2 } : {}
  const reference = await learn(workload, candidates)
  const findings: Finding[] = []
  const runs: Partial<Record<Position, number>> = {}
  const every = mode === 'twice' || mode === 'leaders' ? (only.sample ?? 1) : 1
  const tried = variants[mode](reference.effects).filter((_, index) => index % every === 0)
  for (const options of tried) {
    const { faults = [] } = options
    const [first = { effect: 0, position: 'before' as const }] = faults
    if (first.effect !== (only.effect ?? first.effect) || first.position !== (only.position ?? first.position)) continue
    const { problems, trace } = await tryFaults(workload, reference, { ...options, ...candidates })
    if (problems.length > 0) findings.push({ workload: workload.name, mode, faults, problems, trace })
    runs[first.position] = (runs[first.position] ?? 0) + 1
  }
  const { effects } = reference
  return { workload: workload.name, mode, effects: effects.length, trace: effects.map(lineOf), runs, findings }
}

const variants: Readonly<Record<Mode, (effects: readonly Effect[]) => WorldOptions[]>> = {
  crash: (effects) => effects.flatMap(faultsAt).map((fault) => ({ faults: [fault] })),
  twice: (effects) =>
    effects.flatMap(({ number }) =>
      [1, 2, 4].map((later) => ({
        faults: [
          { effect: number, position: 'before' },
          { effect: number + later, position: 'after-effect' },
        ],
      })),
    ),
  loop: () => [{ kills: { times: 20, every: 3_000 } }],
  leaders: (effects) =>
    effects
      .filter(({ moment }) => moment === undefined)
      .flatMap(({ number }) =>
        [0.5, 2, 10].map((leases) => ({
          faults: [{ effect: number, position: 'after-effect', stopFor: leases * lease.leaseDuration }],
        })),
      ),
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
