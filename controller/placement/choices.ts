import { compare, findMisfit } from './fit.ts'
import type { HostMemory } from './host-memory.ts'
import { untolerated } from './labels.ts'
import type { Neighbours } from './neighbours.ts'
import type { Demand, SlotOffer } from './types.ts'

/** Slots that differ in nothing but their names, of which those before `next` were given out. */
interface Choice {
  readonly slots: SlotOffer
  /** Taints that ask to be avoided. */
  readonly avoid: number
  readonly memory: number
  readonly cpus: number
  readonly disliked: number
  readonly next: number
}

export interface Taken {
  readonly name: string
  readonly slots: SlotOffer
}

/**
 * Slots for machines that ask for the same, given out in order of preference: fewest taints that ask to be avoided,
 * fewest wishes not to share a hypervisor broken, least left over, name.
 */
export class Choices {
  readonly #neighbours: Neighbours
  readonly #hostMemory: HostMemory
  readonly #party: Demand['party']
  readonly #memory: number
  /**
   * The one liked best at the end. How many wishes are broken can have grown since one was put in its place, and never
   * shrinks: it is asked again when its turn comes.
   */
  readonly #left: Choice[]

  constructor(demand: Demand, slots: readonly SlotOffer[], neighbours: Neighbours, hostMemory: HostMemory) {
    this.#neighbours = neighbours
    this.#hostMemory = hostMemory
    this.#party = demand.party
    this.#memory = demand.memory
    this.#left = slots
      .filter((offer) => !findMisfit(demand, offer, neighbours))
      .map((offer) => this.#choice(demand, offer))
      .toSorted(lastFirst)
  }

  #choice({ tolerations }: Demand, slots: SlotOffer): Choice {
    const { memory, cpus, taints } = slots
    const avoid = untolerated(taints, tolerations).length
    return { slots, avoid, memory, cpus, disliked: this.#dislikedOn(slots), next: 0 }
  }

  #dislikedOn({ hypervisor }: SlotOffer): number {
    return this.#neighbours.disliked(this.#party, hypervisor.name)
  }

  /** The best that is not among `taken`; undefined: none is left. */
  take(taken: ReadonlySet<string>): Taken | undefined {
    for (let choice = this.#left.pop(); choice; choice = this.#left.pop()) {
      const { slots } = choice
      // Neither passes while machines only come.
      if (this.#neighbours.keptApartFrom(this.#party, slots.hypervisor.name)) continue
      if (!this.#hostMemory.hasRoom(this.#memory, slots.hypervisor)) continue
      const disliked = this.#dislikedOn(slots)
      if (disliked !== choice.disliked) {
        this.#putBack({ ...choice, disliked })
        continue
      }
      const name = headOf(choice)
      this.#putBack({ ...choice, next: choice.next + 1 })
      if (!taken.has(name)) return { name, slots }
    }
    return undefined
  }

  #putBack(choice: Choice): void {
    if (choice.next === choice.slots.names.length) return
    let [from, to] = [0, this.#left.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (lastFirst(this.#left[middle] as Choice, choice) < 0) from = middle + 1
      else to = middle
    }
    this.#left.splice(from, 0, choice)
  }
}

const headOf = ({ slots, next }: Choice): string => slots.names[next] as string

const lastFirst = (a: Choice, b: Choice): number =>
  b.avoid - a.avoid ||
  b.disliked - a.disliked ||
  b.memory - a.memory ||
  b.cpus - a.cpus ||
  compare(headOf(b), headOf(a))
