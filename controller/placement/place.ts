import { compare, comparePreference, findMisfit, type Misfit } from './fit.ts'
import type { Decision, Demand, RejectionCount, SlotOffer } from './types.ts'

const mostRejections = 10

/**
 * Which slot a machine may claim now, or why it waits. Pure: the same input gives the same answer.
 *
 * Machines that wait ahead (by priority, then the older, then by uid) get their pick before this one, so a machine is
 * passed over only by one that takes a slot which the first could not use. The answer is advice: the claim itself is a compare-and-swap.
 */
export function place(demand: Demand, waiting: readonly Demand[], slots: readonly SlotOffer[]): Decision {
  const free = new FreeSlots(slots)
  const ahead = waiting.filter((other) => other.uid !== demand.uid && isAhead(other, demand)).toSorted(byTurn)
  let passed = 0
  for (const other of ahead) {
    if (free.empty) break
    if (free.take(other)) passed++
  }
  const slot = free.take(demand)
  return slot === undefined ? explain(demand, slots, passed, ahead.length + 1) : { kind: 'Place', slot }
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
  readonly #taken = new Set<string>()
  /** By what is asked for: in a burst many machines ask for the same, and slots are looked at once for all of them. */
  readonly #choices = new Map<string, Iterator<string, undefined>>()

  constructor(slots: readonly SlotOffer[]) {
    this.#free = slots.filter((slot) => slot.free && !slot.occupied)
    this.#count = countOf(this.#free)
  }

  get empty(): boolean {
    return this.#taken.size === this.#count
  }

  /** The name of the slot. */
  take(demand: Demand): string | undefined {
    const choices = this.#choicesOf(demand)
    for (let choice = choices.next(); !choice.done; choice = choices.next()) {
      if (this.#taken.has(choice.value)) continue
      this.#taken.add(choice.value)
      return choice.value
    }
    return undefined
  }

  #choicesOf(demand: Demand) {
    const { uid: _uid, since: _since, priority: _priority, ...asked } = demand
    const key = JSON.stringify(asked)
    let choices = this.#choices.get(key)
    if (choices === undefined) {
      choices = inPreference(
        demand,
        apart(demand, this.#free).filter((slot) => !findMisfit(demand, slot)),
      )
      this.#choices.set(key, choices)
    }
    return choices
  }
}

/** Names of slots that fit, the one liked best first; by name where several are liked as well. */
function* inPreference(demand: Demand, slots: readonly SlotOffer[]): Generator<string, undefined> {
  const sorted = slots.toSorted((one, other) => comparePreference(demand, one, other))
  for (let from = 0; from < sorted.length; ) {
    const first = sorted[from] as SlotOffer
    const end = sorted.findIndex((slot, index) => index > from && comparePreference(demand, first, slot) !== 0)
    const likedAsWell = sorted.slice(from, end < 0 ? undefined : end)
    yield* inOrder(likedAsWell.map(({ names }) => names))
    from += likedAsWell.length
  }
}

/** Merges lists that are in order. */
function* inOrder(lists: readonly (readonly string[])[]): Generator<string, undefined> {
  const rest = lists.map((names) => ({ names, next: 0 }))
  const head = ({ names, next }: (typeof rest)[number]): string => names[next] as string
  while (rest.length > 0) {
    const least = rest.reduce((one, other) => (head(other) < head(one) ? other : one))
    yield head(least)
    least.next++
    if (least.next === least.names.length) rest.splice(rest.indexOf(least), 1)
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

function explain(demand: Demand, slots: readonly SlotOffer[], passed: number, position: number): Decision {
  const found = apart(demand, slots).map((slot) => ({ misfit: findMisfit(demand, slot), count: slot.names.length }))
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
    return wait('WaitingForSlot', `${passed} machines in front get the slots that are free`)
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
