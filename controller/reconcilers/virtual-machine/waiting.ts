import type { ErrorCode } from '../../errors/index.ts'
import { conditionOf } from '../shared/conditions.ts'
import type { Problem } from './model.ts'
import type { View } from './view.ts'

/** Milliseconds (design: "waiting says why", rewritten at most so often). */
const rewriteAfter = 30_000
const waitsForSlot: ReadonlySet<ErrorCode> = new Set(['WaitingForSlot', 'DisksElsewhere', 'NoHypervisorFits'])

/**
 * While machines wait for slots, the counts of why not change with every slot, for all of them at once: a status that
 * says the same reason is not written again so soon.
 */
export class SlotWaits {
  readonly #written = new Map<string, number>()

  /** Whether a changed status is to be written now. `now`: monotonic, ms. */
  isDue({ vm, desired }: View, problem: Problem | undefined, now: number): boolean {
    const { uid, generation = 1 } = vm.metadata
    if (!problem || !waitsForSlot.has(problem.code) || desired.deleting) {
      this.#written.delete(uid)
      return true
    }
    const told = conditionOf(vm, 'Placed')?.reason === problem.code && vm.status?.observedGeneration === generation
    const last = this.#written.get(uid)
    if (told && last !== undefined && now - last < rewriteAfter) return false
    this.#written.set(uid, now)
    return true
  }
}
