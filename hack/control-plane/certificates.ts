import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Runs `openssl` in `directory`; rejects with what it said when it fails. */
function openssl(directory: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`openssl ${args[0]} failed: ${said.trim()}`))
    })
  })
}

const validity = ['-days', '365']
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

async function createAuthority(directory: string, name: string): Promise<void> {
  const usage = ['-addext', 'keyUsage=critical,digitalSignature,keyCertSign,cRLSign']
  const output = ['-keyout', `${name}.key`, '-out', `${name}.crt`]
  await openssl(directory, 'req', '-x509', ...newKey, ...validity, '-subj', `/CN=${name}`, ...usage, ...output)
}

/** A character with a meaning in openssl's `-subj` is escaped. */
const escaped = (value: string) => value.replace(/[\\/+]/g, '\\$&')

interface CertificateRequest {
  readonly file: string
  readonly authority: string
  readonly name: string
  readonly groups?: readonly string[]
  readonly extensions: readonly string[]
}

async function issue(directory: string, request: CertificateRequest): Promise<void> {
  const { file, authority, name, groups = [], extensions } = request
  const subject = `${groups.map((group) => `/O=${escaped(group)}`).join('')}/CN=${escaped(name)}`
  // Names of its own: several processes may issue at once in one directory.
  const temporary = `${file}.${randomBytes(4).toString('hex')}`
  writeFileSync(join(directory, `${temporary}.ext`), extensions.join('\n'))
  await openssl(
    ...[directory, 'req', ...newKey, '-utf8', '-subj', subject],
    ...['-keyout', `${file}.key`, '-out', `${temporary}.csr`],
  )
  await openssl(
    ...[directory, 'x509', '-req', '-in', `${temporary}.csr`, '-CA', `${authority}.crt`, '-CAkey', `${authority}.key`],
    ...['-set_serial', `0x${randomBytes(16).toString('hex')}`, ...validity],
    ...['-extfile', `${temporary}.ext`, '-out', `${file}.crt`],
  )
  rmSync(join(directory, `${temporary}.csr`))
  rmSync(join(directory, `${temporary}.ext`))
}

/** Makes in `directory` what a control plane needs: ca, front-ca, apiserver, front (certificates) and sa (a key pair). */
export async function createCertificates(directory: string): Promise<void> {
  if (existsSync(join(directory, 'complete'))) return
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  await Promise.all([createAuthority(directory, 'ca'), createAuthority(directory, 'front-ca')])
  const names = ['IP:127.0.0.1', 'DNS:localhost', 'DNS:kubernetes.default', 'DNS:kubernetes.default.svc']
  await Promise.all([
    issue(directory, {
      file: 'apiserver',
      authority: 'ca',
      name: 'kube-apiserver',
      extensions: ['extendedKeyUsage=serverAuth', `subjectAltName=${names.join(',')}`],
    }),
    issue(directory, {
      file: 'front',
      authority: 'front-ca',
      name: 'front-proxy-client',
      extensions: ['extendedKeyUsage=clientAuth'],
    }),
    (async () => {
      const size = ['-pkeyopt', 'rsa_keygen_bits:2048']
      await openssl(directory, 'genpkey', '-algorithm', 'RSA', ...size, '-out', 'sa.key')
      await openssl(directory, 'pkey', '-in', 'sa.key', '-pubout', '-out', 'sa.pub')
    })(),
  ])
  writeFileSync(join(directory, 'complete'), '')
}

export interface ClientCertificate {
  readonly authority: Buffer
  readonly certificate: Buffer
  readonly key: Buffer
}

/** A client certificate, which is how a user authenticates here: the common name is the user, each O a group. */
export async function issueClientCertificate(
  directory: string,
  name: string,
  groups: readonly string[],
): Promise<ClientCertificate> {
  const file = `user-${encodeURIComponent(name)}-${randomBytes(4).toString('hex')}`
  await issue(directory, { file, authority: 'ca', name, groups, extensions: ['extendedKeyUsage=clientAuth'] })
  const read = (name: string) => readFileSync(join(directory, name))
  return { authority: read('ca.crt'), certificate: read(`${file}.crt`), key: read(`${file}.key`) }
}
