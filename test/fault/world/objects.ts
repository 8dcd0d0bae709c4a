/** What an administrator and a user write, as short as it can be. */
import {
  type ClusterImage,
  clusterImages,
  type Hypervisor,
  hypervisors,
  type Network,
  networks,
  type StoragePool,
  storagePools,
  type VirtualMachine,
  type VirtualMachineSize,
  virtualMachineSizes,
  virtualMachines,
} from '../../../controller/api/index.ts'
import type { Resource } from '../../../controller/kube/index.ts'
import type { AnyObject } from './api-server.ts'

export interface Manifest {
  readonly plural: string
  readonly object: AnyObject
}

export const namespace = 'team'

const made = <T extends AnyObject>(resource: Resource<T>, name: string, spec: object): Manifest => ({
  plural: resource.plural,
  object: {
    apiVersion: resource.apiVersion,
    kind: resource.kind,
    metadata: { name, ...(resource.namespaced ? { namespace } : {}) },
    spec,
  },
})

/** With so many slots of size `small`. */
export const aHypervisor = (name: string, slots: number): Manifest =>
  made<Hypervisor>(hypervisors, name, {
    libvirt: { uri: `fake://${name}` },
    slots: [{ name: 'small', count: slots, size: 'small' }],
  })

export const aPool = (name: string, hypervisor: string, spec: object = {}): Manifest =>
  made<StoragePool>(storagePools, name, { hypervisor, type: 'Directory', poolName: 'default', ...spec })

export const aNetwork = (name = 'lan', libvirtNetwork = 'default', spec: object = {}): Manifest =>
  made<Network>(networks, name, { attachments: [{ hypervisor: '*', libvirtNetwork }], ...spec })

export const aSize = (): Manifest => made<VirtualMachineSize>(virtualMachineSizes, 'small', { cpus: 1, memory: '1Gi' })

export const anImage = (name = 'debian'): Manifest =>
  made<ClusterImage>(clusterImages, name, {
    source: { http: { url: `https://images.example/${name}.qcow2`, checksumPolicy: 'Waived' } },
  })

export const aMachine = (name: string, spec: object = {}): Manifest =>
  made<VirtualMachine>(virtualMachines, name, { size: 'small', image: { name: 'debian' }, ...spec })
