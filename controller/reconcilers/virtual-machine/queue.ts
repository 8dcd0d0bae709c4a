/** The order in which machines that wait for slots are served. Pure: the time is given. */
import type { VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Turn } from '../../placement/index.ts'

/** One more of priority for each so long waited, ms: nothing waits for ever behind what is more urgent. */
const agesAfter = 5 * 60_000

/** `now`: ms since 1970. */
export function turnOf(vm: ReadObject<VirtualMachine>, now: number): Turn {
  const since = waitsSince(vm, now)
  const waited = Math.max(0, now - Date.parse(since))
  const priority = (vm.spec.placement?.priority ?? 0) + Math.floor(waited / agesAfter)
  return { uid: vm.metadata.uid, priority, since }
}

/**
 * Its status says so once it has waited a pass. Before, a machine of which no status was written waits since it was made;
 * one that was off until now begins to wait now, however old it is.
 */
function waitsSince({ metadata, status }: ReadObject<VirtualMachine>, now: number): string {
  if (status?.queue !== undefined) return status.queue.since
  const isNew = status?.conditions === undefined
  return (isNew ? metadata.creationTimestamp : undefined) ?? new Date(now).toISOString().replace(/\.\d+Z$/, 'Z')
}
