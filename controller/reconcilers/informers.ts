import type {
  AddressLease,
  ClusterImage,
  Hypervisor,
  Image,
  Network,
  Slot,
  StoragePool,
  VirtualMachine,
  VirtualMachineSize,
} from '../api/index.ts'
import type { Informer } from '../kube/port.ts'

/** A watch for each kind; made with the indices of shared/caches.ts. */
export interface Informers {
  readonly virtualMachines: Informer<VirtualMachine>
  readonly slots: Informer<Slot>
  readonly hypervisors: Informer<Hypervisor>
  readonly storagePools: Informer<StoragePool>
  readonly networks: Informer<Network>
  readonly addressLeases: Informer<AddressLease>
  readonly sizes: Informer<VirtualMachineSize>
  readonly images: Informer<Image>
  readonly clusterImages: Informer<ClusterImage>
}
