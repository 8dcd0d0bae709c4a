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

/** A disk that is a copy of an image. */
export interface ImageDisk {
  readonly imageUID: string
  readonly storagePool: string | undefined
  readonly made: boolean
}

/** Disks of a machine that are recorded, and are copies of images. */
export const imageDisks = ({ status }: VirtualMachine): ImageDisk[] =>
  (status?.disks ?? []).flatMap(({ name, image, storagePool, state }) => {
    const imageUID = name === 'root' ? status?.image?.uid : image?.uid
    return imageUID === undefined ? [] : [{ imageUID, storagePool, made: state !== 'Creating' }]
  })

/** Uids of the images that it cannot be without. */
export const imagesOf = (vm: VirtualMachine): string[] => [
  ...new Set([...(vm.status?.image ? [vm.status.image.uid] : []), ...imageDisks(vm).map(({ imageUID }) => imageUID)]),
]

/** Images that it waits for: it has a slot and is to stay, and a disk is not made yet. */
const awaitedImages = (vm: VirtualMachine): string[] => {
  if (vm.status?.slot === undefined || vm.metadata.deletionTimestamp !== undefined) return []
  return [...new Set(imageDisks(vm).flatMap(({ imageUID, made }) => (made ? [] : [imageUID])))]
}

/** Names of images that its spec speaks of. */
const imageNames = ({ metadata, spec }: VirtualMachine): string[] => {
  const references = [spec.image, ...(spec.disks ?? []).map(({ source }) => source?.image)]
  return [...new Set(references.flatMap((image) => (image ? [`${metadata.namespace}/${image.name}`, image.name] : [])))]
}

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
  imageUID: imagesOf,
  awaitedImage: awaitedImages,
  imageName: imageNames,
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
