/** Manifests for what the lab starts: what an administrator would write for real hosts. */
import { readFileSync } from 'node:fs'
import type { ClientCertificate } from '../hypervisor/index.ts'
import type { ReferenceImage } from '../reference-image/index.ts'

const apiVersion = 'berth.dev/v1alpha1'
type Manifest = Record<string, unknown>

/** What manifests need of a host: one of hack/hypervisor's, or of hack/xen's. */
export interface Host {
  readonly tlsUri: string
  readonly pki: ClientCertificate & { readonly ca: string }
  readonly poolName: string
  readonly networkName: string
}

/** Several objects as one `kubectl apply` takes them. */
export const list = (...items: readonly Manifest[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })

/** Files of the credentials, by the keys that Berth reads. */
export const credentialFiles = ({ pki }: Host): Record<string, string> => ({
  'tls.crt': pki.clientCertificate,
  'tls.key': pki.clientKey,
  'ca.crt': pki.ca,
})

export function hypervisorSecret(name: string, namespace: string, hypervisor: Host): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    data: Object.fromEntries(
      Object.entries(credentialFiles(hypervisor)).map(([key, path]) => [key, readFileSync(path).toString('base64')]),
    ),
  }
}

/** By TLS with the certificates of the Secret. `domainType`: software emulation unless KVM was tried and works; none on Xen. */
export const hypervisor = (
  name: string,
  secret: string,
  { tlsUri }: Host,
  domainType: 'KVM' | 'QEMU' | undefined,
  spec: Manifest = {},
): Manifest => ({
  apiVersion,
  kind: 'Hypervisor',
  metadata: { name },
  spec: {
    libvirt: { uri: tlsUri, ...(domainType && { domainType }) },
    credentials: { secretRef: { name: secret } },
    ...spec,
  },
})

export const storagePool = (name: string, hypervisorName: string, { poolName }: Host): Manifest => ({
  apiVersion,
  kind: 'StoragePool',
  metadata: { name },
  spec: { hypervisor: hypervisorName, type: 'Directory', poolName },
})

export const network = (name: string, hypervisorNames: readonly string[], { networkName }: Host): Manifest => ({
  apiVersion,
  kind: 'Network',
  metadata: { name },
  spec: {
    description: 'Addresses by DHCP',
    attachments: hypervisorNames.map((hypervisorName) => ({ hypervisor: hypervisorName, libvirtNetwork: networkName })),
  },
})

export const size = (name: string, cpus: number, memory: string): Manifest => ({
  apiVersion,
  kind: 'VirtualMachineSize',
  metadata: { name },
  spec: { cpus, memory },
})

export const clusterImage = (
  name: string,
  url: string,
  { sha256 }: Pick<ReferenceImage, 'sha256'>,
  spec: Manifest = {},
): Manifest => ({
  apiVersion,
  kind: 'ClusterImage',
  metadata: { name },
  spec: {
    description: 'The reference machine: SSH, echo service on port 7, guest agent',
    source: { http: { url, checksum: `sha256:${sha256}` } },
    os: { family: 'Linux', name: 'Debian' },
    ...spec,
  },
})

export const virtualMachine = (name: string, spec: Manifest, namespace?: string): Manifest => ({
  apiVersion,
  kind: 'VirtualMachine',
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  spec,
})
