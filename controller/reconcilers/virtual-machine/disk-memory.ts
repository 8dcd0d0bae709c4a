/** What was tried on disks lately, by instance id and disk: in memory only, so that after a crash it is tried once more. */
import type { DiskWork } from './disk-model.ts'
import type { Problem } from './model.ts'

interface Attempt {
  readonly work: DiskWork
  readonly generation: number
  /** The first of the same in a row, and the last. */
  readonly first: number
  readonly last: number
  readonly problem?: Problem
}

/** What was refused, ms: a pool that is full is not asked without pause, and keeps nothing else waiting. */
const retriedAfter = 30_000
/** A guest that keeps a disk, ms: it is asked again so often. */
const askedAgainAfter = 60_000
/** What a host is told of with its answer is seen by then, ms. */
const seenAfter = 5_000

const pauseAfter = ({ work, problem }: Attempt): number =>
  problem ? retriedAfter : work === 'DetachDisk' ? askedAgainAfter : seenAfter

export class DiskAttempts {
  readonly #attempts = new Map<string, Map<string, Attempt>>()

  tried(
    instanceID: string,
    disk: string,
    attempt: Pick<Attempt, 'work' | 'generation' | 'problem'> & { readonly now: number },
  ): void {
    const { now, ...facts } = attempt
    const disks = this.#attempts.get(instanceID) ?? new Map<string, Attempt>()
    const before = disks.get(disk)
    const first = before?.work === facts.work && before.generation === facts.generation ? before.first : now
    disks.set(disk, { ...facts, first, last: now })
    this.#attempts.set(instanceID, disks)
  }

  /** What is not to be tried again yet. A change of the spec asks anew, but for what a guest was asked. */
  held(
    instanceID: string,
    disk: string,
    generation: number,
    now: number,
  ): { readonly held?: DiskWork; readonly problem?: Problem } {
    const attempt = this.#attempts.get(instanceID)?.get(disk)
    if (!attempt || now - attempt.last >= pauseAfter(attempt)) return {}
    if (attempt.problem && attempt.generation !== generation) return {}
    return { held: attempt.work, ...(attempt.problem ? { problem: attempt.problem } : {}) }
  }

  /** Milliseconds until one of the machine's disks is worth a look; undefined: nothing was tried. */
  lookIn(instanceID: string, now: number): number | undefined {
    const attempts = [...(this.#attempts.get(instanceID)?.values() ?? [])]
    const waits = attempts.flatMap((attempt) => {
      const left = attempt.last + pauseAfter(attempt) - now
      if (left <= 0) return []
      // Not every host tells when a guest lets go.
      const soon = attempt.work === 'DetachDisk' && !attempt.problem ? Math.max((now - attempt.first) / 10, 500) : left
      return [Math.min(left, soon) + 10]
    })
    return waits.length === 0 ? undefined : Math.min(...waits)
  }

  /** Of one disk, or of the machine. */
  forget(instanceID: string, disk?: string): void {
    if (disk === undefined) this.#attempts.delete(instanceID)
    else this.#attempts.get(instanceID)?.delete(disk)
  }
}
