import { type KubeClient, type KubeObject, NotingClient, OverlayCache } from '../../kube/index.ts'
import type { IndexFunctions, Informer } from '../../kube/port.ts'
import type { Informers } from '../informers.ts'
import { addressLeaseIndices, type Caches, slotIndices, storagePoolIndices, virtualMachineIndices } from './caches.ts'

/**
 * Caches that show what `client` wrote before the watches do, for every kind that a reconciler writes
 * (docs/decisions/0009): every write must go through the client that is given back.
 */
export function consistent(informers: Informers, client: KubeClient): { caches: Caches; client: KubeClient } {
  const over = <T extends KubeObject>(informer: Informer<T>, indices?: IndexFunctions<T>) =>
    new OverlayCache(informer, indices)
  const overlays = {
    virtualMachines: over(informers.virtualMachines, virtualMachineIndices),
    slots: over(informers.slots, slotIndices),
    hypervisors: over(informers.hypervisors),
    storagePools: over(informers.storagePools, storagePoolIndices),
    networks: over(informers.networks),
    addressLeases: over(informers.addressLeases, addressLeaseIndices),
    images: over(informers.images),
    clusterImages: over(informers.clusterImages),
  }
  const noting = new NotingClient(client, {
    VirtualMachine: overlays.virtualMachines,
    Slot: overlays.slots,
    Hypervisor: overlays.hypervisors,
    StoragePool: overlays.storagePools,
    Network: overlays.networks,
    AddressLease: overlays.addressLeases,
    Image: overlays.images,
    ClusterImage: overlays.clusterImages,
  })
  return { caches: { ...overlays, sizes: informers.sizes }, client: noting }
}
