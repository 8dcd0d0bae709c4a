/** The API as the rest of the house uses it: types, names, and how to read its amounts. Schemas: `kinds/all.ts`. */
export { parseDuration } from './duration.ts'
export {
  formatAddress,
  type IPAddress,
  isReserved,
  isWithin,
  nameOfAddress,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './ip-address.ts'
export type { AddressLease, AddressLeaseManifest, AddressLeaseSpec } from './kinds/address-lease.ts'
export type { Hypervisor, HypervisorManifest, HypervisorSpec, HypervisorStatus, SlotSet } from './kinds/hypervisor.ts'
export type {
  ClusterImage,
  ClusterImageManifest,
  Image,
  ImageManifest,
  ImagePlacement,
  ImageSpec,
  ImageStatus,
} from './kinds/image.ts'
export type {
  Network,
  NetworkAttachment,
  NetworkManifest,
  NetworkSpec,
  NetworkStatus,
  ObservedNetworkAttachment,
} from './kinds/network.ts'
export type { ConsumerRef, Slot, SlotManifest, SlotPhase, SlotSpec, SlotStatus, Taint } from './kinds/slot.ts'
export type { StoragePool, StoragePoolManifest, StoragePoolSpec, StoragePoolStatus } from './kinds/storage-pool.ts'
export type {
  Bootstrap,
  Disk,
  ImageRef,
  LabelSelector,
  LastStop,
  NetworkInterface,
  ObservedDisk,
  ObservedInterface,
  PendingChange,
  Placement,
  Progress,
  Queue,
  ResolvedImage,
  ResolvedSize,
  Route,
  SlotRejection,
  Toleration,
  VirtualMachine,
  VirtualMachineManifest,
  VirtualMachineSpec,
  VirtualMachineStatus,
} from './kinds/virtual-machine.ts'
export type {
  VirtualMachineSize,
  VirtualMachineSizeManifest,
  VirtualMachineSizeSpec,
} from './kinds/virtual-machine-size.ts'
export * from './names.ts'
export type { BerthManifest, BerthObject, ObjectMeta, OwnerReference, ResourceOf } from './object.ts'
export { formatBytes, parseBytes } from './quantity.ts'
export {
  addressLeases,
  clusterImages,
  hypervisors,
  images,
  networks,
  slots,
  storagePools,
  virtualMachineSizes,
  virtualMachines,
} from './resources.ts'
export type { Condition } from './schema/conditions.ts'
