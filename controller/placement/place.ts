import { compare, comparePreference, findMisfit, type Misfit } from './fit.ts'
import type { Decision, Demand, RejectionCount, SlotOffer } from './types.ts'

const mostRejections = 10

/**
 * Which slot a machine may claim now, or why it waits. Pure: the same input gives the same answer.
 *
 * Machines that wait ahead (older first, then by uid) get their pick before this one, so a machine is passed over only
 * by one that takes a slot which the first could not use. The answer is advice: the claim itself is a compare-and-swap.
 */
export function place(demand: Demand, waiting: readonly Demand[], slots: readonly SlotOffer[]): Decision {
  const free = new FreeSlots(slots)
  const ahead = waiting.filter((other) => other.uid !== demand.uid && isAhead(other, demand)).toSorted(byAge)
  let passed = 0
  for (const other of ahead) {
    if (free.empty) break
    if (free.take(other)) passed++
  }
  const slot = free.take(demand)
  return slot ? { kind: 'Place', slot: slot.name } : explain(demand, slots, passed)
}

type Age = Pick<Demand, 'since' | 'uid'>

export const byAge = (a: Age, b: Age): number => compare(a.since, b.since) || compare(a.uid, b.uid)
const isAhead = (other: Demand, demand: Demand): boolean => byAge(other, demand) < 0

/** The slots that are free, of which one machine after the other takes the one that it prefers. */
class FreeSlots {
  readonly #free: readonly SlotOffer[]
  readonly #taken = new Set<SlotOffer>()
  /** By what is asked for: in a burst many machines ask for the same, and each slot is looked at once for all of them. */
  readonly #choices = new Map<string, { readonly slots: readonly SlotOffer[]; next: number }>()

  constructor(slots: readonly SlotOffer[]) {
    this.#free = slots.filter((slot) => slot.free && !slot.occupied)
  }

  get empty(): boolean {
    return this.#taken.size === this.#free.length
  }

  take(demand: Demand): SlotOffer | undefined {
    const choices = this.#choicesOf(demand)
    while (choices.next < choices.slots.length) {
      const slot = choices.slots[choices.next++]
      if (slot === undefined || this.#taken.has(slot)) continue
      this.#taken.add(slot)
      return slot
    }
    return undefined
  }

  #choicesOf(demand: Demand) {
    const { uid: _uid, since: _since, ...asked } = demand
    const key = JSON.stringify(asked)
    let choices = this.#choices.get(key)
    if (choices === undefined) {
      const slots = this.#free
        .filter((slot) => !findMisfit(demand, slot))
        .toSorted((one, other) => comparePreference(demand, one, other))
      choices = { slots, next: 0 }
      this.#choices.set(key, choices)
    }
    return choices
  }
}

function explain(demand: Demand, slots: readonly SlotOffer[], passed: number): Decision {
  const misfits = slots.map((slot) => findMisfit(demand, slot))
  const rejections = countRejections(misfits.filter((misfit) => misfit !== undefined))
  const wait = (reason: 'WaitingForSlot' | 'DisksElsewhere' | 'NoHypervisorFits', message: string): Decision => ({
    kind: 'Wait',
    reason,
    message,
    rejections,
  })
  if (slots.length === 0)
    return wait('NoHypervisorFits', 'there are no slots: add a Slot, or spec.slots to a Hypervisor')
  if (misfits.every((misfit) => misfit?.lasting)) {
    return wait('NoHypervisorFits', `none of ${slots.length} slots could hold this machine (${summary(rejections)})`)
  }
  if (misfits.some((misfit) => misfit === undefined)) {
    return wait('WaitingForSlot', `${passed} machines that have waited longer get the slots that are free`)
  }
  if (demand.disksOn !== undefined && misfits.some((misfit) => misfit?.reason === 'DisksElsewhere')) {
    return wait('DisksElsewhere', `no slot is free on the hypervisor that has the disks (${summary(rejections)})`)
  }
  return wait('WaitingForSlot', `no slot is free (${summary(rejections)})`)
}

const summary = (rejections: readonly RejectionCount[]): string =>
  rejections.map(({ reason, count }) => `${count} ${reason}`).join(', ')

/** At most ten reasons, the most frequent first; the rarest are put together as Other. */
function countRejections(misfits: readonly Misfit[]): RejectionCount[] {
  const byReason = new Map<Misfit['reason'], { count: number; message: string }>()
  for (const { reason, message } of misfits) {
    const seen = byReason.get(reason)
    if (seen) seen.count++
    else byReason.set(reason, { count: 1, message })
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
