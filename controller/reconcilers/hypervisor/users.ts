/** Who needs a Hypervisor, for people. Pure. */
import type { Slot } from '../../api/index.ts'
import { someOf } from './status.ts'

/** Names of what keeps it from being deleted. */
export interface Users {
  readonly machines: readonly string[]
  /** Slots that are held, with their holders. */
  readonly slots: readonly string[]
  readonly pools: readonly string[]
}

/** Who is in the way of its deletion, how many, and what to do; undefined: nobody. */
export function whoNeeds(hypervisor: string, { machines, slots, pools }: Users): string | undefined {
  const counted = (names: readonly string[], kind: string) =>
    names.length === 0 ? [] : [`${names.length} ${kind}${names.length === 1 ? '' : 's'}: ${someOf(names.toSorted())}`]
  const who = [...counted(machines, 'VirtualMachine'), ...counted(slots, 'held Slot'), ...counted(pools, 'StoragePool')]
  if (who.length === 0) return undefined
  const look = `(kubectl get bvm -A --field-selector status.hypervisor=${hypervisor})`
  const mends = [
    ...(machines.length > 0 ? [`delete the machines ${look}`] : []),
    ...(machines.length === 0 && slots.length > 0 ? ['the slots are given back once their machines are off'] : []),
    ...(pools.length > 0 ? ['delete the StoragePools'] : []),
  ]
  return `deletion waits for ${who.join('; ')}. To go on: ${mends.join(', then ')}`
}

/** The machines that hold its slots. */
export const holdersOf = (slots: readonly Slot[]): string[] =>
  slots
    .flatMap(({ status }) =>
      status?.consumerRef ? [`${status.consumerRef.namespace}/${status.consumerRef.name}`] : [],
    )
    .toSorted()
