import type { Slot, VirtualMachine } from '../../api/index.ts'
import type { BerthError } from '../../errors/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Caches } from '../shared/caches.ts'

/** The longest that a write may still be on its way to the API server after its answer was given up, ms: its own limit. */
const forgottenAfter = 60_000

interface Claim {
  readonly machine: ReadObject<VirtualMachine>
  readonly slot: ReadObject<Slot>
  /** Monotonic, ms. Absent: the answer is still awaited. */
  unknownSince?: number
}

/**
 * Claims of this process that the caches do not tell of yet: between the decision and the answer the host is looked at,
 * and passes of other machines decide meanwhile.
 */
export class ClaimsUnderWay {
  readonly #claims = new Map<string, Claim>()

  /** The claim of this slot, as it is now, is about to be sent. */
  began(machine: ReadObject<VirtualMachine>, slot: ReadObject<Slot>): void {
    this.#claims.set(keyOf(machine, slot.metadata.name), { machine, slot })
  }

  /** What came of it, as far as the caller knows. `now`: monotonic, ms. */
  ended(machine: ReadObject<VirtualMachine>, slot: string, failure: BerthError | undefined, now: number): void {
    const key = keyOf(machine, slot)
    const claim = this.#claims.get(key)
    if (!claim) return
    // It may be done later, or have been done.
    if (failure?.class === 'Ambiguous' || failure?.code === 'APIUnavailable') claim.unknownSince = now
    else this.#claims.delete(key)
  }

  /** Those of machines of a namespace that may yet be seen. A claim is void once its slot has another version. */
  of(namespace: string, { slots }: Pick<Caches, 'slots'>, now: number): readonly Pick<Claim, 'machine' | 'slot'>[] {
    for (const [key, { slot, unknownSince = now }] of this.#claims) {
      const isOver = slots.get(slot.metadata.name)?.metadata.resourceVersion !== slot.metadata.resourceVersion
      if (isOver || now - unknownSince > forgottenAfter) this.#claims.delete(key)
    }
    return [...this.#claims.values()].filter(({ machine }) => machine.metadata.namespace === namespace)
  }
}

const keyOf = ({ metadata }: ReadObject<VirtualMachine>, slot: string): string => `${slot}/${metadata.uid}`
