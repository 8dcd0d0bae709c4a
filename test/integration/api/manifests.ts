/** The least that each kind needs, and how to change it by path. */
import { apiVersion } from '../../../controller/api/names.ts'

export type Manifest = Record<string, unknown>

const manifest = (kind: string, name: string, spec: object, metadata: object = {}): Manifest => ({
  apiVersion,
  kind,
  metadata: { name, ...metadata },
  spec,
})

export const key = `ssh-ed25519 ${'A'.repeat(68)} alice@example.org`
const checksum = `sha256:${'0'.repeat(64)}`
const source = { http: { url: 'https://images.example.org/a.qcow2', checksum } }

export const least = {
  Hypervisor: manifest('Hypervisor', 'kvm1', { libvirt: { uri: 'qemu+tls://kvm1.example.org/system' } }),
  Slot: manifest('Slot', 'kvm1-small-1', { hypervisor: 'kvm1', cpus: 2, memory: '256Mi' }),
  StoragePool: manifest('StoragePool', 'disks', { hypervisor: 'kvm1', type: 'Directory' }),
  Network: manifest('Network', 'lan', { attachments: [{ hypervisor: '*', bridge: 'br0' }] }),
  AddressLease: manifest('AddressLease', 'lan.192-0-2-10', {
    network: 'lan',
    address: '192.0.2.10',
    consumerRef: { namespace: 'default', name: 'web', uid: 'u' },
    interface: 'eth0',
  }),
  VirtualMachineSize: manifest('VirtualMachineSize', 'small', { cpus: 2, memory: '256Mi' }),
  ClusterImage: manifest('ClusterImage', 'debian-12', { source }),
  Image: manifest('Image', 'debian-12', { source }, { namespace: 'default' }),
  VirtualMachine: manifest(
    'VirtualMachine',
    'web',
    { size: 'small', image: { name: 'debian-12' } },
    { namespace: 'default' },
  ),
} as const

export type Kind = keyof typeof least

/** Path (`spec.disks.0.name`) → value; undefined removes. */
export type Changes = Readonly<Record<string, unknown>>

export function changed(base: Manifest, changes: Changes): Manifest {
  const copy = structuredClone(base)
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    let target = copy
    for (const [index, name] of keys.entries()) {
      target[name] ??= /^[0-9]+$/.test(keys[index + 1] ?? last) ? [] : {}
      target = target[name] as Manifest
    }
    if (value === undefined) delete target[last]
    else target[last] = value
  }
  return copy
}
