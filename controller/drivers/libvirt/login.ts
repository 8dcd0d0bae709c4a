import type { ConnectionOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { LibvirtTarget } from '../../hypervisor/port.ts'

/** Options of a connection: what the URI's transport needs of the credentials. Rejects with CredentialsInvalid. */
export function connectionOptions({
  uri,
  knownHosts,
  credentials = {},
  callTimeout,
}: LibvirtTarget): ConnectionOptions {
  const { username, password, sshPrivateKey: privateKey } = credentials
  const transport = /^\w+\+(\w+):/.exec(uri)?.[1]
  if (transport === 'ssh') {
    return { callTimeout, ssh: { knownHosts: knownHosts ?? '', username, password, privateKey } }
  }
  const sasl = username === undefined || password === undefined ? {} : { sasl: { username, password } }
  if (transport !== 'tls') return { callTimeout, ...sasl }
  const { certificateAuthority: ca, clientCertificate: cert, clientKey: key } = credentials
  if (ca === undefined || cert === undefined || key === undefined) {
    throw new BerthError('CredentialsInvalid', 'TLS needs ca.crt, tls.crt and tls.key in the credentials.')
  }
  return { callTimeout, tls: { ca, cert, key }, ...sasl }
}
