/** How the API server addresses each kind. Loads no schema: what runs needs none. */
import type { AddressLease } from './kinds/address-lease.ts'
import type { Hypervisor } from './kinds/hypervisor.ts'
import type { ClusterImage, Image } from './kinds/image.ts'
import type { Network } from './kinds/network.ts'
import type { Slot } from './kinds/slot.ts'
import type { StoragePool } from './kinds/storage-pool.ts'
import type { VirtualMachine } from './kinds/virtual-machine.ts'
import type { VirtualMachineSize } from './kinds/virtual-machine-size.ts'
import { apiVersion } from './names.ts'
import type { ResourceOf } from './object.ts'

const resource = <T extends { readonly kind: string }>(
  kind: T['kind'],
  plural: string,
  scope: 'Namespaced' | 'Cluster',
): ResourceOf<T> => ({ apiVersion, kind, plural, namespaced: scope === 'Namespaced' })

export const hypervisors = resource<Hypervisor>('Hypervisor', 'hypervisors', 'Cluster')
export const slots = resource<Slot>('Slot', 'slots', 'Cluster')
export const storagePools = resource<StoragePool>('StoragePool', 'storagepools', 'Cluster')
export const networks = resource<Network>('Network', 'networks', 'Cluster')
export const addressLeases = resource<AddressLease>('AddressLease', 'addressleases', 'Cluster')
export const virtualMachineSizes = resource<VirtualMachineSize>('VirtualMachineSize', 'virtualmachinesizes', 'Cluster')
export const clusterImages = resource<ClusterImage>('ClusterImage', 'clusterimages', 'Cluster')
export const images = resource<Image>('Image', 'images', 'Namespaced')
export const virtualMachines = resource<VirtualMachine>('VirtualMachine', 'virtualmachines', 'Namespaced')
