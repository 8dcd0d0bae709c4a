/** The options of `npm run test:fault`. */
import { parseArgs } from 'node:util'
import { type Mode, modes } from './crash.ts'
import { workloads } from './workloads/all.ts'
import { type Position, positions } from './world/effects.ts'

export interface Options {
  /** Names of workloads; all where none is given. */
  readonly workloads: readonly string[]
  /** Absent: all that the suite tries. */
  readonly mode?: Mode
  readonly effect?: number
  readonly position?: Position
  /** Of second crashes and stopped leaders every so many only; absent: all. */
  readonly sample?: number
  readonly trace: boolean
  readonly help: boolean
}

export const usage = `npm run test:fault -- [options]

Kills the controller at every effect of every workload, in every position, and compares with the run without faults.

  --workload NAME      this one alone; may be given more than once
                       ${workloads.map(({ name }) => name).join('\n                       ')}
  --mode MODE          in this way alone: ${modes.join(', ')}
  --effect N           at this effect alone (numbers are in the trace)
  --position POSITION  in this position alone: ${positions.join(', ')}
  --sample N           of second crashes (twice) and stopped leaders (leaders) every Nth only; single crashes stay complete
  --trace              print the effects of the run without faults, and of runs that fail
  --help
`

/** Throws an Error that tells what is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      workload: { type: 'string', multiple: true },
      mode: { type: 'string' },
      effect: { type: 'string' },
      position: { type: 'string' },
      sample: { type: 'string' },
      trace: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  const { workload = [], mode, effect, position, sample, trace = false, help = false } = values
  const known = new Set(workloads.map(({ name }) => name))
  for (const name of workload) if (!known.has(name)) throw new Error(`--workload: there is no ${name}`)
  if (mode !== undefined && !isOneOf(modes, mode)) throw new Error(`--mode: one of ${modes.join(', ')}`)
  if (effect !== undefined && !/^[1-9]\d*$/.test(effect)) throw new Error('--effect: a number from 1 on')
  if (sample !== undefined && !/^[1-9]\d*$/.test(sample)) throw new Error('--sample: a number from 1 on')
  if (position !== undefined && !isOneOf(positions, position))
    throw new Error(`--position: one of ${positions.join(', ')}`)
  return {
    workloads: workload,
    trace,
    help,
    ...(mode === undefined ? {} : { mode }),
    ...(effect === undefined ? {} : { effect: Number(effect) }),
    ...(position === undefined ? {} : { position }),
    ...(sample === undefined ? {} : { sample: Number(sample) }),
  }
}

const isOneOf = <T extends string>(words: readonly T[], text: string): text is T =>
  (words as readonly string[]).includes(text)
