/**
 * Step 15 of the claim protocol: a slot whose consumer no longer exists, because a claim that was on its way arrived
 * after the deletion. It is given back, unless a guest runs there: then a person must look, and nothing is killed.
 */
import { type Slot, type SlotStatus, slots, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import type { Hosts } from '../../hypervisor/hosts.ts'
import type { KubeClient, ReadObject } from '../../kube/port.ts'
import type { Settling } from '../../runtime/settling.ts'
import type { Caches } from '../shared/caches.ts'

export interface OrphanDependencies {
  readonly client: KubeClient
  readonly caches: Caches
  readonly hosts: Hosts
  readonly settling: Settling
  /** The longest that a host itself waits for a job, ms: part of the T rule. */
  readonly hostJobWait: number
}

/**
 * What came of it: no orphan, or nothing can be said of it now; a step was taken, and the slot is looked at again; or its
 * guest runs on, and the slot stays held.
 */
export type OrphanOutcome = 'None' | 'Stepped' | 'Runs'

export async function releaseOrphan(
  cached: ReadObject<Slot>,
  dependencies: OrphanDependencies,
  signal: AbortSignal,
): Promise<OrphanOutcome> {
  const { client, caches, hosts, settling } = dependencies
  const consumer = cached.status?.consumerRef
  if (!consumer || caches.virtualMachines.byIndex('uid', consumer.uid).length > 0) return 'None'
  const { namespace, name, uid } = consumer
  const vm = await client.get(virtualMachines, { namespace, name }, { signal })
  if (vm?.metadata.uid === uid) return 'None'
  const slot = await client.get(slots, { name: cached.metadata.name }, { signal })
  if (slot?.status?.consumerRef?.uid !== uid) return 'None'
  const host = hosts.get(slot.spec.hypervisor)
  if (!host.connected) return 'None'
  const settleTime = host.callTimeout + dependencies.hostJobWait
  // Before the host is looked at: a call that arrives in between is then either seen, or still counted.
  const settled = settling.settled(uid, uid, settleTime)
  const { machine, foreign, released } = await host.session.observe(uid, { signal })
  // What was let go of is as any machine of others' there.
  if (foreign !== undefined && !released) return 'Runs'
  // A saved memory cannot be fenced off, and is somebody's: a person must look there too.
  if (machine && machine.power !== 'Stopped') return 'Runs'
  if (machine && !machine.parked) {
    await host.session.park(uid, { signal })
    return 'Stepped'
  }
  if (!settled) {
    throw new BerthError(
      'InUse',
      `slot ${slot.metadata.name}: its machine is gone; waiting until no call for it can be on its way`,
      {
        retryAfter: settling.waitFor(uid, uid, settleTime) + 10,
      },
    )
  }
  const { consumerRef, ...rest } = slot.status
  const status: SlotStatus =
    slot.status.phase === 'Bound' ? { ...rest, consumerRef, phase: 'Releasing' } : { ...rest, phase: 'Unavailable' }
  await client.applyStatus(slots, slot, status, { signal })
  return 'Stepped'
}
