/** A libvirt daemon of our own, and the ways to it that are compared. */
import { readFileSync } from 'node:fs'
import { type Hypervisor, startHypervisor } from '../../../hack/hypervisor/index.ts'
import { Connection } from '../../../node-libvirt/index.ts'

export type Way = 'unix' | 'tls'
export const ways: readonly Way[] = ['unix', 'tls']

export interface Host extends AsyncDisposable {
  readonly hypervisor: Hypervisor
  connect(way: Way): Promise<Connection>
  /** As virsh and libvirt's own library want it. */
  uri(way: Way): string
}

export async function startHost(): Promise<Host> {
  const hypervisor = await startHypervisor({ name: 'bench' })
  const { uri, tlsUri, pki } = hypervisor
  const tls = {
    ca: readFileSync(pki.ca),
    cert: readFileSync(pki.clientCertificate),
    key: readFileSync(pki.clientKey),
  }
  return {
    hypervisor,
    connect: (way) => (way === 'unix' ? Connection.open(uri) : Connection.open(tlsUri, { tls })),
    uri: (way) => (way === 'unix' ? uri : `${tlsUri}?pkipath=${pki.directory}`),
    [Symbol.asyncDispose]: () => hypervisor.stop(),
  }
}
