/** Which machines are to be kept apart, and where. */
import { matchesSelector } from './labels.ts'
import type { AntiAffinityTerm, Occupant, Party } from './types.ts'

interface Relation {
  readonly keptApart: boolean
  /** How many terms of either ask that the other be avoided. */
  readonly disliked: number
}

const nothing: Relation = { keptApart: false, disliked: 0 }

/** What is known of one party: whom its members would meet on each hypervisor. */
interface Tally {
  /** How far the occupants of its namespace were counted. */
  counted: number
  readonly relations: Map<string, Relation>
  /** By hypervisor: one that it must not share it with. */
  readonly keptApart: Map<string, Occupant>
  readonly disliked: Map<string, number>
}

/**
 * Who is where, and whom that keeps away. Both sides count, as for pods: a term keeps its machine away from those that it
 * selects, and newcomers that it selects away from its machine. Occupants are only ever added, so what keeps a party off
 * a hypervisor stays.
 */
export class Neighbours {
  readonly #occupants = new Map<string, Occupant[]>()
  readonly #tallies = new Map<string, Tally>()

  constructor(occupants: readonly Occupant[] = []) {
    for (const occupant of occupants) this.settle(occupant)
  }

  settle(occupant: Occupant): void {
    const { namespace } = occupant.party
    const there = this.#occupants.get(namespace)
    if (there) there.push(occupant)
    else this.#occupants.set(namespace, [occupant])
  }

  /** One that the party must not share the hypervisor with. */
  keptApartFrom(party: Party | undefined, hypervisor: string): Occupant | undefined {
    return party && this.#tallyOf(party).keptApart.get(hypervisor)
  }

  /** How many wishes not to share it would be broken there. */
  disliked(party: Party | undefined, hypervisor: string): number {
    return (party && this.#tallyOf(party).disliked.get(hypervisor)) ?? 0
  }

  #tallyOf(party: Party): Tally {
    let tally = this.#tallies.get(party.kind)
    if (!tally) {
      tally = { counted: 0, relations: new Map(), keptApart: new Map(), disliked: new Map() }
      this.#tallies.set(party.kind, tally)
    }
    const occupants = this.#occupants.get(party.namespace) ?? []
    for (; tally.counted < occupants.length; tally.counted++) count(occupants[tally.counted] as Occupant, party, tally)
    return tally
  }
}

function count(occupant: Occupant, party: Party, { relations, keptApart, disliked }: Tally): void {
  const { kind } = occupant.party
  let relation = relations.get(kind)
  if (!relation) {
    relation = relationOf(party, occupant.party)
    relations.set(kind, relation)
  }
  const { hypervisor } = occupant
  if (relation.keptApart && !keptApart.has(hypervisor)) keptApart.set(hypervisor, occupant)
  if (relation.disliked > 0) disliked.set(hypervisor, (disliked.get(hypervisor) ?? 0) + relation.disliked)
}

function relationOf(one: Party, other: Party): Relation {
  if (one.antiAffinity.length + other.antiAffinity.length === 0) return nothing
  const terms = [...selecting(one.antiAffinity, other), ...selecting(other.antiAffinity, one)]
  const required = terms.filter(({ strength }) => strength === 'Required').length
  return { keptApart: required > 0, disliked: terms.length - required }
}

const selecting = (terms: readonly AntiAffinityTerm[], { labels }: Party): readonly AntiAffinityTerm[] =>
  terms.filter(({ selector }) => matchesSelector(labels, selector))
