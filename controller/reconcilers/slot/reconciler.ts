import { finalizers, type Slot, slots } from '../../api/index.ts'
import type { InventoryEntry } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Clock, ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import { conditionIs, conditionOf } from '../shared/conditions.ts'
import type { Inventories } from '../shared/inventories.ts'
import { closedBy } from '../shared/scheduling.ts'
import { isUntried } from '../shared/untried.ts'
import { writeStatus } from '../shared/write-status.ts'
import { type OrphanDependencies, releaseOrphan } from './orphan.ts'
import { planSlot, type SlotFacts } from './plan.ts'

export interface SlotDependencies extends OrphanDependencies {
  readonly inventories: Inventories
  readonly clock: Clock
  /** Whose tags count: another cluster's slots may bear the same names. */
  readonly cluster: string
}

/** What occupies a slot without a claim is looked at again so often, in ms. */
const lookAgainAfter = 30_000

/** Says whether a slot can be claimed, and guards it against deletion while it is held. */
export class SlotReconciler implements Reconciler {
  readonly name = 'slot'
  readonly #dependencies: SlotDependencies
  /** Those that were held when they were looked at last. */
  readonly #held = new Set<string>()

  constructor(dependencies: SlotDependencies) {
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Result> {
    const { caches, client, clock } = this.#dependencies
    const slot = caches.slots.get(key)
    if (!slot) return {}
    const deleting = slot.metadata.deletionTimestamp !== undefined
    const held = slot.status?.consumerRef !== undefined
    const guarded = slot.metadata.finalizers?.includes(finalizers.inUse) ?? false
    if (!deleting && !guarded) {
      await client.setFinalizers(slots, slot, [finalizers.inUse], { signal })
      return { requeueAfter: 0 }
    }
    if (deleting && !held) {
      // A compare-and-swap: a claim that comes in between keeps the slot.
      if (guarded) await client.setFinalizers(slots, slot, [], { signal })
      return {}
    }
    // It is looked at again once its host was tried.
    if (isUntried(slot.spec.hypervisor, this.#dependencies)) return {}
    const orphan = held ? await releaseOrphan(slot, this.#dependencies, signal) : 'None'
    if (orphan === 'Stepped') return { requeueAfter: 0 }
    // Given back, but not free: what was left there may be younger than the last listing.
    const isLeft = this.#held.has(key) && slot.status?.phase === 'Unavailable'
    const seen = { ...(await this.#observe(slot, isLeft, signal)), abandoned: orphan === 'Runs' }
    const { phase, facts } = planSlot(seen)
    const { consumerRef } = slot.status ?? {}
    const now = new Date(clock.now()).toISOString()
    await writeStatus(client, slots, slot, { phase, ...(consumerRef ? { consumerRef } : {}) }, facts, { now, signal })
    if (held) this.#held.add(key)
    else this.#held.delete(key)
    // A machine of ours that goes wakes its own object, not this slot.
    return seen.occupants.length > 0 || seen.abandoned ? { requeueAfter: lookAgainAfter } : {}
  }

  async #observe(slot: ReadObject<Slot>, isLeft: boolean, signal: AbortSignal): Promise<Omit<SlotFacts, 'abandoned'>> {
    const { caches, inventories, cluster } = this.#dependencies
    const hypervisor = caches.hypervisors.get(slot.spec.hypervisor)
    const reachable = hypervisor !== undefined && conditionIs(hypervisor, 'Reachable', 'True')
    const list = (anew: boolean) => inventories.of(slot.spec.hypervisor, signal, { anew })
    const inventory = reachable ? await list(isLeft) : undefined
    const consumer = slot.status?.consumerRef
    const [holder] = consumer ? caches.virtualMachines.byIndex('uid', consumer.uid) : []
    const instanceID = holder?.status?.instanceID ?? consumer?.uid
    const occupantsIn = (entries: readonly InventoryEntry[] = []) =>
      entries
        .filter(
          ({ tag, power }) =>
            tag?.cluster === cluster &&
            tag.slot === slot.metadata.name &&
            tag.instanceID !== instanceID &&
            (power === 'Running' || power === 'Paused'),
        )
        .map(({ hostName, tag }) => (tag?.released ? `${hostName} (released)` : hostName))
    // What was listed before this slot was read may be of its last consumer, which is gone.
    const suspects = occupantsIn(inventory)
    const occupants = suspects.length > 0 ? occupantsIn(await list(true)) : suspects
    const message = hypervisor && conditionOf(hypervisor, 'Ready')?.reason
    const closed = closedBy(slot, hypervisor)
    return {
      ...(closed ? { closed } : {}),
      deleting: slot.metadata.deletionTimestamp !== undefined,
      phase: slot.status?.phase,
      hypervisor: hypervisor === undefined ? 'Missing' : inventory ? 'Reachable' : 'Unreachable',
      occupants,
      ...(consumer ? { consumer: { uid: consumer.uid, name: `${consumer.namespace}/${consumer.name}` } } : {}),
      ...(message === undefined ? {} : { hypervisorMessage: `hypervisor ${slot.spec.hypervisor}: ${message}` }),
    }
  }
}
