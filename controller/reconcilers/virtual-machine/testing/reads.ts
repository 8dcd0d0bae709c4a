/** What a pass reads of the API: by the cache, which may have stopped following objects, and live, as observe.ts does it. */
import type { Layout, View } from './draft.ts'
import type { Parts } from './parts.ts'
import { type Configuration, type Controller, nameOf, type Slot, type VM } from './state.ts'

export interface Read {
  /** Part of each object, as it was shown. */
  readonly read: readonly number[]
  /** Objects that were shown in a version that is not the newest: bits. */
  readonly written: number
}

export class Reads {
  readonly #configuration: Configuration
  readonly #parts: Parts
  readonly #layout: Layout

  constructor(configuration: Configuration, parts: Parts, layout: Layout) {
    this.#configuration = configuration
    this.#parts = parts
    this.#layout = layout
  }

  cached({ state }: View, { stale }: Controller): Read {
    const read = Array.from({ length: this.#layout.objects }, (_, object) => stale[object]?.part ?? state[object] ?? 0)
    const written = Object.entries(stale).reduce(
      (bits, [object, { fresh }]) => (fresh ? bits : bits | (1 << Number(object))),
      0,
    )
    return { read, written }
  }

  /** The object of the pass, and the Slots that it holds by the cache or has recorded; a Slot's consumer. All else: the cache. */
  live(view: View, controller: Controller, object: number): Read {
    const cached = this.cached(view, controller)
    let { written } = cached
    const read = cached.read.map((part, other) => {
      if (!this.#isReadLive(view, cached.read, object, other)) return part
      written &= ~(1 << other)
      return view.state[other] ?? 0
    })
    return { read, written }
  }

  #isReadLive(view: View, cached: readonly number[], object: number, other: number): boolean {
    const { vms, slots } = this.#configuration
    if (other === object) return true
    if (object >= this.#layout.vms) return other === vms.indexOf(nameOf((view.object(object) as Slot).consumer))
    if (other < this.#layout.vms) return false
    const known = this.#parts.valueOf(cached[object] ?? 0) as VM | null
    const recorded = (view.object(object) as VM | null)?.slot
    const slot = this.#parts.valueOf(cached[other] ?? 0) as Slot
    return slot.consumer === known?.uid || recorded === Object.keys(slots)[other - this.#layout.vms]
  }
}
