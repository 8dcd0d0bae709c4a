import { addressLeases, virtualMachines } from '../../api/index.ts'
import type { KubeClient } from '../../kube/port.ts'
import type { ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import type { Caches } from '../shared/caches.ts'

export interface AddressLeaseDependencies {
  readonly client: KubeClient
  readonly caches: Pick<Caches, 'addressLeases' | 'slots' | 'virtualMachines'>
}

/** A slot that is given back tells so; in case nobody did. */
const lookAgainAfter = 60_000

/**
 * Takes away leases whose machine is gone: of objects that were removed by force, and such as were on their way when
 * their machine was deleted. A machine gives back its own.
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
    const lease = await client.get(addressLeases, { name: cached.metadata.name }, { signal })
    if (lease?.spec.consumerRef.uid !== uid) return {}
    const { uid: leaseUID, resourceVersion } = lease.metadata
    await client.delete(addressLeases, { name: key }, { uid: leaseUID, resourceVersion }, { signal })
    return {}
  }
}
