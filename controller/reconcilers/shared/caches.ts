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
} from '../../api/index.ts'
import type { Cache, IndexFunctions } from '../../kube/port.ts'

/** What was last seen of every kind, by kind: the reconcilers' view of the API. */
export interface Caches {
  readonly virtualMachines: Cache<VirtualMachine>
  readonly slots: Cache<Slot>
  readonly hypervisors: Cache<Hypervisor>
  readonly storagePools: Cache<StoragePool>
  readonly networks: Cache<Network>
  readonly addressLeases: Cache<AddressLease>
  readonly sizes: Cache<VirtualMachineSize>
  readonly images: Cache<Image>
  readonly clusterImages: Cache<ClusterImage>
}

/** It has a slot and is to stay, and its root disk is not made yet. */
const awaitsImage = ({ metadata, status }: VirtualMachine): boolean =>
  status?.slot !== undefined &&
  metadata.deletionTimestamp === undefined &&
  status.disks?.find(({ name }) => name === 'root')?.state === 'Creating'

const addressReasons: ReadonlySet<string> = new Set([
  'AddressTaken',
  'MACTaken',
  'RangesFull',
  'RangesInvalid',
  'RangesOverlap',
])

/** Index functions that the caches must be made with. */
export const virtualMachineIndices: IndexFunctions<VirtualMachine> = {
  uid: ({ metadata }) => [metadata.uid],
  instanceID: ({ metadata, status }) => [status?.instanceID ?? metadata.uid],
  hypervisor: ({ status }) => (status?.hypervisor === undefined ? [] : [status.hypervisor]),
  /** Namespaces in which machines are to be kept apart. */
  antiAffinity: ({ metadata, spec }) =>
    (spec.placement?.antiAffinity?.length ?? 0) > 0 ? [metadata.namespace ?? ''] : [],
  /** Machines that lack an address, which may be there when a lease goes, or a Network changes. */
  lacksAddress: ({ status }) =>
    status?.conditions?.some(({ type, reason }) => type === 'NetworkReady' && addressReasons.has(reason))
      ? ['true']
      : [],
  slotless: ({ status }) => (status?.slot === undefined ? ['true'] : []),
  imageUID: ({ status }) => (status?.image === undefined ? [] : [status.image.uid]),
  awaitedImage: (vm) => (vm.status?.image !== undefined && awaitsImage(vm) ? [vm.status.image.uid] : []),
  imageName: ({ metadata, spec }) =>
    spec.image === undefined ? [] : [`${metadata.namespace}/${spec.image.name}`, spec.image.name],
}

export const slotIndices: IndexFunctions<Slot> = {
  consumer: ({ status }) => (status?.consumerRef === undefined ? [] : [status.consumerRef.uid]),
  consumerNamespace: ({ status }) => (status?.consumerRef === undefined ? [] : [status.consumerRef.namespace]),
  hypervisor: ({ spec }) => [spec.hypervisor],
}

export const addressLeaseIndices: IndexFunctions<AddressLease> = {
  consumer: ({ spec }) => [spec.consumerRef.uid],
  network: ({ spec }) => [spec.network],
}

export const storagePoolIndices: IndexFunctions<StoragePool> = {
  hypervisor: ({ spec }) => [spec.hypervisor],
}
