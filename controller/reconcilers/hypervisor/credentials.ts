/** Reads how to log in: from a Secret of Berth's own namespace, or from a mounted folder or file. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hypervisor } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import type { Credentials } from '../../hypervisor/port.ts'
import type { KubeClient } from '../../kube/port.ts'
import { secrets } from '../../kube/resources.ts'

/** Keys as Kubernetes' own Secret types name them. */
const keys = {
  username: 'username',
  password: 'password',
  clientCertificate: 'tls.crt',
  clientKey: 'tls.key',
  certificateAuthority: 'ca.crt',
  sshPrivateKey: 'ssh-privatekey',
} as const satisfies Record<keyof Credentials, string>

/** Rejects with SecretNotFound, SecretKeyMissing or FileNotFound; no value is ever in an error. */
export async function readCredentials(
  hypervisor: Hypervisor,
  client: KubeClient,
  namespace: string,
  signal: AbortSignal,
): Promise<Credentials | undefined> {
  const { credentials } = hypervisor.spec
  const required = requiredKeys(hypervisor)
  const anyOf = hypervisor.spec.libvirt?.uri.includes('+ssh:') ? [keys.sshPrivateKey, keys.password] : []
  const needed = [...required, ...(anyOf.length === 0 ? [] : [anyOf.join(' or ')])]
  if (!credentials) {
    if (needed.length === 0) return undefined
    throw new BerthError(
      'SecretNotFound',
      `spec.credentials: ${needed.join(', ')} are needed: name a Secret of namespace ${namespace}, or a mounted folder`,
    )
  }
  const { secretRef, file } = credentials
  const found = secretRef ? await fromSecret(secretRef.name, client, namespace, signal) : await fromFolder(file ?? '')
  const missing = required.filter((key) => found[key] === undefined)
  if (anyOf.length > 0 && anyOf.every((key) => found[key] === undefined)) missing.push(anyOf.join(' or '))
  if (missing.length > 0) {
    const where = secretRef ? `spec.credentials.secretRef: Secret ${secretRef.name}` : `spec.credentials.file: ${file}`
    throw new BerthError('SecretKeyMissing', `${where} lacks ${missing.join(', ')}`)
  }
  return Object.fromEntries(
    Object.entries(keys).flatMap(([field, key]) => (found[key] === undefined ? [] : [[field, found[key]]])),
  )
}

function requiredKeys({ spec: { libvirt, xapi } }: Hypervisor): string[] {
  if (xapi) return [keys.username, keys.password]
  return libvirt?.uri.includes('+tls:') ? [keys.clientCertificate, keys.clientKey, keys.certificateAuthority] : []
}

async function fromSecret(
  name: string,
  client: KubeClient,
  namespace: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const secret = await client.get(secrets, { namespace, name }, { signal })
  if (!secret)
    throw new BerthError(
      'SecretNotFound',
      `spec.credentials.secretRef: there is no Secret ${name} in namespace ${namespace}`,
    )
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  )
}

async function fromFolder(path: string): Promise<Record<string, string>> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => {
      throw new BerthError('FileNotFound', `spec.credentials.file: ${path} is not there, or cannot be read`)
    },
  )
  if (!isFolder)
    throw new BerthError('FileNotFound', `spec.credentials.file: ${path} must be a folder with a file for each key`)
  const known = new Set<string>(Object.values(keys))
  const names = (await readdir(path)).filter((name) => known.has(name))
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(path, name), 'utf8')] as const)),
  )
}
