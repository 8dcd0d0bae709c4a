/** What a Slot is, from its claim and its host. Pure. The claim itself is made and given back by the machine's own pass. */
import type { SlotStatus } from '../../api/index.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue, summarize } from '../shared/conditions.ts'
import type { Closed } from '../shared/scheduling.ts'

export interface SlotFacts {
  /** It takes no new machine. */
  readonly closed?: Closed
  readonly deleting: boolean
  readonly phase: SlotStatus['phase'] | undefined
  readonly consumer?: { readonly uid: string; readonly name: string }
  readonly hypervisor: 'Missing' | 'Unreachable' | 'Reachable'
  readonly hypervisorMessage?: string
  /** Names on the host of what runs under this slot's tag and is not what the claim names. */
  readonly occupants: readonly string[]
  /** The object that the claim names is gone, and its guest runs on. */
  readonly abandoned: boolean
}

export interface SlotOutcome {
  readonly phase: NonNullable<SlotStatus['phase']>
  readonly facts: readonly ConditionFact[]
}

export function planSlot(facts: SlotFacts): SlotOutcome {
  const ready = readiness(facts)
  const occupied =
    facts.occupants.length > 0
      ? [
          isTrue(
            'Occupied',
            'ForeignMachine',
            `the host runs ${facts.occupants.slice(0, 5).join(', ')} under this slot's tag: nothing is touched, look there`,
          ),
        ]
      : []
  const held = facts.consumer !== undefined && (facts.phase === 'Bound' || facts.phase === 'Releasing')
  const phase = held && facts.phase ? facts.phase : ready.status === 'True' ? 'Free' : 'Unavailable'
  return { phase, facts: [...summarize(ready), ...occupied] }
}

function readiness({
  closed,
  deleting,
  consumer,
  hypervisor,
  hypervisorMessage,
  occupants,
  abandoned,
}: SlotFacts): ConditionFact {
  if (deleting)
    return isFalse(
      'Ready',
      consumer ? 'InUse' : 'Deleting',
      consumer ? `machine ${consumer.name} holds it` : 'the slot is being removed',
    )
  if (hypervisor === 'Missing')
    return isFalse('Ready', 'HypervisorNotFound', 'spec.hypervisor: there is no Hypervisor of that name')
  if (hypervisor === 'Unreachable')
    return isFalse('Ready', 'HypervisorUnreachable', hypervisorMessage ?? 'the hypervisor cannot be reached')
  if (occupants.length > 0)
    return isFalse('Ready', 'ForeignMachine', `the host runs ${occupants.slice(0, 5).join(', ')} there`)
  if (abandoned) {
    const who = `${consumer?.name} (${consumer?.uid})`
    return isFalse(
      'Ready',
      'ForeignMachine',
      `machine ${who} is gone from the API, but its guest runs on: stop it there`,
    )
  }
  if (closed) return isFalse('Ready', closed.scheduling, whyClosed(closed, consumer?.name))
  return isTrue('Ready', 'Available', consumer ? `held by ${consumer.name}` : 'it can be claimed')
}

function whyClosed({ scheduling, by }: Closed, holder: string | undefined): string {
  const closed = `${by}: spec.scheduling is ${scheduling}: it takes no new machine`
  if (scheduling === 'Cordoned') return closed
  return holder === undefined
    ? `${closed}; it is empty`
    : `${closed}; ${holder} holds it until it is stopped or deleted`
}
