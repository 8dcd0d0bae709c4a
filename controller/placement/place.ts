import { Choices } from './choices.ts'
import { compare, findMisfit, type Misfit } from './fit.ts'
import { HostMemory } from './host-memory.ts'
import { Neighbours } from './neighbours.ts'
import type { Decision, Demand, Occupant, RejectionCount, SlotOffer } from './types.ts'

const mostRejections = 10

/**
 * Which slot a machine may claim now, or why it waits. Pure: the same input gives the same answer.
 *
 * Machines that wait ahead (by priority, then the older, then by uid) get their pick before this one, so a machine is
 * passed over only by one that takes a slot which the first could not use. The answer is advice: the claim itself is a compare-and-swap.
 *
 * `occupants`: machines that hold slots, as far as a party among the demands may have to be kept apart from them. Those
 * that wait ahead count where their pick is: of a set that is made in one moment, no two are sent to one host.
 */
export function place(
  demand: Demand,
  waiting: readonly Demand[],
  slots: readonly SlotOffer[],
  occupants: readonly Occupant[] = [],
): Decision {
  const free = new FreeSlots(slots, new Neighbours(occupants))
  const ahead = waiting.filter((other) => other.uid !== demand.uid && isAhead(other, demand)).toSorted(byTurn)
  let passed = 0
  for (const other of ahead) {
    if (free.empty) break
    if (free.take(other)) passed++
  }
  const slot = free.take(demand)
  if (slot !== undefined) return { kind: 'Place', slot }
  return explain(demand, slots, new Neighbours(occupants), passed, ahead.length + 1)
}

/** What decides when a machine that waits is served. */
export type Turn = Pick<Demand, 'priority' | 'since' | 'uid'>

export const byTurn = (a: Turn, b: Turn): number =>
  b.priority - a.priority || compare(a.since, b.since) || compare(a.uid, b.uid)
const isAhead = (other: Demand, demand: Demand): boolean => byTurn(other, demand) < 0

/** The slots that are free, of which one machine after the other takes the one that it prefers. */
class FreeSlots {
  readonly #free: readonly SlotOffer[]
  readonly #count: number
  readonly #neighbours: Neighbours
  readonly #hostMemory = new HostMemory()
  readonly #taken = new Set<string>()
  /** By what is asked for: in a burst many machines ask for the same, and slots are looked at once for all of them. */
  readonly #choices = new Map<string, Choices>()

  constructor(slots: readonly SlotOffer[], neighbours: Neighbours) {
    this.#free = slots.filter((slot) => slot.free && !slot.occupied)
    this.#count = countOf(this.#free)
    this.#neighbours = neighbours
  }

  get empty(): boolean {
    return this.#taken.size === this.#count
  }

  /** The name of the slot. From now on the machine is one that others may have to be kept apart from. */
  take(demand: Demand): string | undefined {
    const taken = this.#choicesOf(demand).take(this.#taken)
    if (!taken) return undefined
    const { name, slots } = taken
    this.#taken.add(name)
    this.#hostMemory.take(slots)
    const { party, uid } = demand
    if (party) this.#neighbours.settle({ name: uid, party, hypervisor: slots.hypervisor.name })
    return name
  }

  #choicesOf(demand: Demand): Choices {
    const { uid: _uid, since: _since, priority: _priority, party, ...asked } = demand
    const key = JSON.stringify([asked, party?.kind])
    let choices = this.#choices.get(key)
    if (choices === undefined) {
      choices = new Choices(demand, apart(demand, this.#free), this.#neighbours, this.#hostMemory)
      this.#choices.set(key, choices)
    }
    return choices
  }
}

/** The slot that is asked for by its name stands for itself. */
const apart = ({ slot: asked }: Demand, slots: readonly SlotOffer[]): readonly SlotOffer[] =>
  asked === undefined
    ? slots
    : slots.flatMap((slot) => {
        if (slot.names.length === 1 || !slot.names.includes(asked)) return [slot]
        return [
          { ...slot, names: [asked] },
          { ...slot, names: slot.names.filter((name) => name !== asked) },
        ]
      })

const countOf = (slots: readonly SlotOffer[]): number => slots.reduce((sum, { names }) => sum + names.length, 0)

function explain(
  demand: Demand,
  slots: readonly SlotOffer[],
  neighbours: Neighbours,
  passed: number,
  position: number,
): Decision {
  const found = apart(demand, slots).map((slot) => ({
    misfit: findMisfit(demand, slot, neighbours),
    count: slot.names.length,
  }))
  const misfits = found.map(({ misfit }) => misfit)
  const rejections = countRejections(found)
  const wait = (reason: 'WaitingForSlot' | 'DisksElsewhere' | 'NoHypervisorFits', message: string): Decision => ({
    kind: 'Wait',
    reason,
    message,
    position,
    rejections,
  })
  if (slots.length === 0)
    return wait('NoHypervisorFits', 'there are no slots: add a Slot, or spec.slots to a Hypervisor')
  if (misfits.every((misfit) => misfit?.lasting)) {
    return wait('NoHypervisorFits', `none of ${countOf(slots)} slots could hold this machine (${summary(rejections)})`)
  }
  if (misfits.some((misfit) => misfit === undefined)) {
    const kept = demand.party === undefined ? '' : ', or are to be kept apart from it there'
    return wait('WaitingForSlot', `${passed} machines in front get the slots that are free${kept}`)
  }
  if (demand.disksOn !== undefined && misfits.some((misfit) => misfit?.reason === 'DisksElsewhere')) {
    return wait('DisksElsewhere', `no slot is free on the hypervisor that has the disks (${summary(rejections)})`)
  }
  return wait('WaitingForSlot', `no slot is free (${summary(rejections)})`)
}

const summary = (rejections: readonly RejectionCount[]): string =>
  rejections.map(({ reason, count }) => `${count} ${reason}`).join(', ')

/** At most ten reasons, the most frequent first; the rarest are put together as Other. */
function countRejections(
  found: readonly { readonly misfit: Misfit | undefined; readonly count: number }[],
): RejectionCount[] {
  const byReason = new Map<Misfit['reason'], { count: number; message: string }>()
  for (const { misfit, count } of found) {
    if (misfit === undefined) continue
    const seen = byReason.get(misfit.reason)
    if (seen) seen.count += count
    else byReason.set(misfit.reason, { count, message: misfit.message })
  }
  const counts: RejectionCount[] = [...byReason]
    .map(([reason, { count, message }]) => ({ reason, count, message }))
    .toSorted((a, b) => b.count - a.count || compare(a.reason, b.reason))
  if (counts.length <= mostRejections) return counts
  const rest = counts.slice(mostRejections - 1)
  const count = rest.reduce((sum, rejection) => sum + rejection.count, 0)
  return [
    ...counts.slice(0, mostRejections - 1),
    { reason: 'Other', count, message: rest.map(({ reason }) => reason).join(', ') },
  ]
}
