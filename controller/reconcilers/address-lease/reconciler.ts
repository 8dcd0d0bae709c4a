import { addressLeases, virtualMachines } from '../../api/index.ts'
import type { KubeClient } from '../../kube/port.ts'
import type { ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import type { Caches } from '../shared/caches.ts'
import type { Inventories } from '../shared/inventories.ts'

export interface AddressLeaseDependencies {
  readonly client: KubeClient
  readonly caches: Pick<Caches, 'addressLeases' | 'hypervisors' | 'slots' | 'virtualMachines'>
  readonly inventories: Inventories
}

/** A slot that is given back tells so; in case nobody did. */
const lookAgainAfter = 60_000
/** No watch tells when a machine that was let go of is removed from its host. */
const lookForReleasedAfter = 300_000

/**
 * Takes away leases whose machine is gone: of objects that were removed by force, and such as were on their way when
 * their machine was deleted; of machines that were let go of, when no host has them any more: until then their guests may
 * use the addresses. A machine that is removed gives back its own.
 */
export class AddressLeaseReconciler implements Reconciler {
  readonly name = 'addresslease'
  readonly #dependencies: AddressLeaseDependencies

  constructor(dependencies: AddressLeaseDependencies) {
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Result> {
    const { caches, client } = this.#dependencies
    const cached = caches.addressLeases.get(key)
    if (!cached) return {}
    const { namespace, name, uid } = cached.spec.consumerRef
    if (caches.virtualMachines.byIndex('uid', uid).length > 0) return {}
    // Its guest may run on, with this very address: a slot is given back when its host was seen to hold nothing of it.
    if (caches.slots.byIndex('consumer', uid).length > 0) return { requeueAfter: lookAgainAfter }
    const vm = await client.get(virtualMachines, { namespace, name }, { signal })
    if (vm?.metadata.uid === uid) return { requeueAfter: lookAgainAfter }
    if (await this.#mayBeOnHost(uid, signal)) return { requeueAfter: lookForReleasedAfter }
    const lease = await client.get(addressLeases, { name: cached.metadata.name }, { signal })
    if (lease?.spec.consumerRef.uid !== uid) return {}
    const { uid: leaseUID, resourceVersion } = lease.metadata
    await client.delete(addressLeases, { name: key }, { uid: leaseUID, resourceVersion }, { signal })
    return {}
  }

  /** Of a host that cannot be asked nothing is concluded. */
  async #mayBeOnHost(uid: string, signal: AbortSignal): Promise<boolean> {
    const { caches, inventories } = this.#dependencies
    for (const { metadata } of caches.hypervisors.list()) {
      const listing = await inventories.of(metadata.name, signal)
      if (listing === undefined || listing.some(({ tag }) => tag?.uid === uid)) return true
    }
    return false
  }
}
