import type { KindDefinition } from '../schema/kind.ts'
import { addressLeaseKind } from './address-lease.ts'
import { hypervisorKind } from './hypervisor.ts'
import { clusterImageKind, imageKind } from './image.ts'
import { networkKind } from './network.ts'
import { slotKind } from './slot.ts'
import { storagePoolKind } from './storage-pool.ts'
import { virtualMachineKind } from './virtual-machine.ts'
import { virtualMachineSizeKind } from './virtual-machine-size.ts'

/** Every kind of this version. */
export const kinds: readonly KindDefinition[] = [
  hypervisorKind,
  slotKind,
  storagePoolKind,
  networkKind,
  addressLeaseKind,
  virtualMachineSizeKind,
  clusterImageKind,
  imageKind,
  virtualMachineKind,
]
