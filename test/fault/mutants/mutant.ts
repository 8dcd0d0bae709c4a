/** A wrong shortcut, made in the real code while it is loaded; and the run that must find it. */
import type { Position } from '../world/effects.ts'

export interface Patch {
  /** From the root of the repository. */
  readonly file: string
  /** Must be in the file, once. */
  readonly from: string
  readonly to: string
}

export interface Mutant {
  readonly name: string
  /** What is left out or done wrong. */
  readonly title: string
  readonly patches: readonly Patch[]
  readonly foundBy: {
    readonly workload: string
    /** The first effect with this verb, and where the process is then; absent: no fault is needed. */
    readonly effect?: string
    readonly position?: Position
    /** Two processes, of which the one that leads is stopped for so long, ms, instead of killed. */
    readonly stopFor?: number
  }
  /** Must be in what is found. */
  readonly symptom: string
}

/** The row of docs/fault-testing.md. */
export function rowOf({ name, title, foundBy, symptom }: Mutant): string {
  const { workload, effect, position, stopFor } = foundBy
  const where =
    effect === undefined
      ? 'no fault needed'
      : stopFor === undefined
        ? `killed \`${position}\` of \`${effect}\``
        : `stopped for ${stopFor / 1000} s after \`${effect}\``
  return `| \`${name}\` | ${title} | \`${workload}\`, ${where} | "${symptom}" |`
}
