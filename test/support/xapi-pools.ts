/** Simulated XAPI pools on loopback addresses, behind TLS of a private CA. */
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { XAPITarget } from '../../controller/hypervisor/port.ts'
import { run } from '../../hack/hypervisor/process.ts'
import { type PoolDescription, type RunningPool, type Simulator, startSimulator } from '../../xapi-simulator/index.ts'

export const username = 'root'
export const password = 'a password with spaces & <signs>'

export interface XAPIPools {
  readonly simulator: Simulator
  readonly pools: readonly RunningPool[]
  /** PEM. */
  readonly certificateAuthority: string
  /** Of all members: SHA-256, upper case, joined by colons. */
  readonly fingerprint: string
  readonly target: (pool: RunningPool, changes?: Partial<XAPITarget>) => XAPITarget
  stop(): Promise<void>
}

export async function startPools(
  descriptions: readonly Omit<PoolDescription, 'user' | 'password'>[],
  options: { readonly sessionTimeout?: number } = {},
): Promise<XAPIPools> {
  const pki = await createPKI(
    descriptions.flatMap((_, pool) => [1, 2, 3, 4].map((member) => `127.0.${pool}.${member}`)),
  )
  const simulator = await startSimulator({
    ...options,
    pools: descriptions.map((description) => ({ ...description, user: username, password })),
    tls: { certificateAuthority: pki.certificateAuthority, certificateFor: () => pki },
  })
  return {
    simulator,
    pools: simulator.pools,
    certificateAuthority: pki.certificateAuthority,
    fingerprint: new X509Certificate(pki.certificate).fingerprint256,
    target: ({ urls }, changes) => ({
      members: urls,
      credentials: { username, password, certificateAuthority: pki.certificateAuthority },
      callTimeout: 10_000,
      ...changes,
    }),
    stop: () => simulator.stop(),
  }
}

interface PKI {
  readonly certificateAuthority: string
  readonly certificate: string
  readonly key: string
}

/** A CA, and a certificate for these addresses. */
async function createPKI(addresses: readonly string[]): Promise<PKI> {
  const directory = mkdtempSync(join(tmpdir(), 'berth-xapi-'))
  const openssl = async (...args: readonly string[]) => {
    const { code, stderr } = await run('openssl', [...args])
    if (code !== 0) throw new Error(`openssl: ${stderr}`)
  }
  const file = (name: string) => join(directory, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  try {
    const authority = ['-subj', '/CN=XAPI test CA', '-keyout', file('ca.key'), '-out', file('ca.crt')]
    await openssl('req', '-x509', ...key, ...authority)
    writeFileSync(file('names'), `subjectAltName=${addresses.map((address) => `IP:${address}`).join(',')}`)
    await openssl('req', ...key.slice(0, 5), '-subj', '/CN=member', '-keyout', file('key'), '-out', file('csr'))
    const signer = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2']
    await openssl('x509', '-req', '-in', file('csr'), ...signer, '-extfile', file('names'), '-out', file('crt'))
    const read = (name: string) => readFileSync(file(name), 'utf8')
    return { certificateAuthority: read('ca.crt'), certificate: read('crt'), key: read('key') }
  } finally {
    rmSync(directory, { recursive: true })
  }
}
