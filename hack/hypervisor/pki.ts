import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runOrFail } from './process.ts'

/** A client certificate with its key, as paths of PEM files. */
export interface ClientIdentity {
  readonly certificate: string
  readonly key: string
  /** Holds the same as cacert.pem, clientcert.pem and clientkey.pem: the value for virsh's `pkipath=`. */
  readonly directory: string
}

export interface Pki {
  readonly ca: string
  readonly server: { readonly certificate: string; readonly key: string }
  /** The client that the daemon admits. */
  readonly client: ClientIdentity
  /** Of the same authority, but on no list: the daemon must refuse it. */
  readonly unlistedClient: ClientIdentity
}

/** The distinguished name of the admitted client in both orders: GnuTLS versions differ in which they compare. */
export const allowedNames = ['O=berth,CN=controller', 'CN=controller,O=berth'] as const

/** Makes an authority of P-256 keys in `directory`, valid for 30 days: for tests and demonstrations only. */
export async function createPki(directory: string, serverAddress: string): Promise<Pki> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const ca = join(directory, 'ca.pem')
  const caKey = join(directory, 'ca.key')
  await runOrFail('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
    ...['-subj', '/O=berth/CN=local hypervisor authority', '-keyout', caKey, '-out', ca],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ])

  const issue = async (name: string, commonName: string, extensions: readonly string[]) => {
    const certificate = join(directory, `${name}.pem`)
    const key = join(directory, `${name}.key`)
    const request = join(directory, `${name}.csr`)
    const extensionFile = join(directory, `${name}.ext`)
    // libvirt 9 refuses certificates without keyEncipherment, though an EC key never enciphers a key.
    writeFileSync(extensionFile, ['keyUsage=critical,digitalSignature,keyEncipherment', ...extensions].join('\n'))
    await runOrFail('openssl', [
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', `/O=berth/CN=${commonName}`, '-keyout', key, '-out', request],
    ])
    await runOrFail('openssl', [
      ...['x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-days', '30'],
      ...['-set_serial', `0x${Buffer.from(name).toString('hex')}`, '-extfile', extensionFile, '-out', certificate],
    ])
    return { certificate, key }
  }
  const issueClient = async (name: string, commonName: string): Promise<ClientIdentity> => {
    const { certificate, key } = await issue(name, commonName, ['extendedKeyUsage=clientAuth'])
    const clientDirectory = join(directory, `${name}.d`)
    mkdirSync(clientDirectory)
    symlinkSync(ca, join(clientDirectory, 'cacert.pem'))
    symlinkSync(certificate, join(clientDirectory, 'clientcert.pem'))
    symlinkSync(key, join(clientDirectory, 'clientkey.pem'))
    return { certificate, key, directory: clientDirectory }
  }

  const [server, client, unlistedClient] = await Promise.all([
    issue('server', serverAddress, ['extendedKeyUsage=serverAuth', `subjectAltName=IP:${serverAddress}`]),
    issueClient('client', 'controller'),
    issueClient('unlisted', 'stranger'),
  ])
  return { ca, server, client, unlistedClient }
}
