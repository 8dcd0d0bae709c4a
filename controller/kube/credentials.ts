/** Where the API server is, and how to be let in. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { RequestOptions as HTTPSOptions } from 'node:https'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BerthError } from '../errors/index.ts'
import type { Clock } from './clock.ts'

export interface TLSMaterial {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

export interface Access {
  readonly tls: TLSMaterial
  /** Authorization and impersonation. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Credentials {
  readonly server: URL
  /** An HTTP proxy on the way to the server. */
  readonly proxy?: string
  /** Asked before every request; reads files and runs exec plugins at most every few seconds. */
  current(): Promise<Access>
  /** The server refused what `current` said: read anew. */
  invalidate(): void
}

export interface CredentialSource {
  readonly kubeconfig?: string
  readonly context?: string
  readonly clock: Clock
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Tokens are rotated minutes before they end, so that being so late is no harm (ms). */
const readEvery = 10_000
const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'

/** As kubectl and client-go look: the file named, KUBECONFIG, the pod's service account, ~/.kube/config. */
export async function loadCredentials(source: CredentialSource): Promise<Credentials> {
  const env = source.env ?? process.env
  const named = source.kubeconfig ?? env['KUBECONFIG']
  if (named) return fromKubeconfig(named, source)
  const host = env['KUBERNETES_SERVICE_HOST']
  if (host && existsSync(join(accountFolder, 'token'))) {
    return inCluster(host, env['KUBERNETES_SERVICE_PORT'] ?? '443', accountFolder, source.clock)
  }
  const usual = join(homedir(), '.kube', 'config')
  if (existsSync(usual)) return fromKubeconfig(usual, source)
  throw new BerthError('InvalidConfiguration', 'No Kubernetes API server: use --kubeconfig FILE, or run in a pod.')
}

/** The pod's own account: token and CA are read anew, since the kubelet rotates them. */
export function inCluster(host: string, port: string, folder: string, clock: Clock): Credentials {
  const authority = host.includes(':') ? `[${host}]` : host
  return remembered(clock, new URL(`https://${authority}:${port}`), undefined, async () => {
    const [token, ca] = await Promise.all([
      readFile(join(folder, 'token'), 'utf8'),
      readFile(join(folder, 'ca.crt'), 'utf8'),
    ])
    return { tls: { ca }, headers: { authorization: `Bearer ${token.trim()}` } }
  })
}

/**
 * A kubeconfig, by the library that knows all of its ways to log in. It is loaded only here: it costs 80 MB, which a
 * pod need not pay. Several files may be named as KUBECONFIG does. A plugin's credentials are kept until they expire, or
 * are refused: then the files are read and the plugin is run anew.
 */
async function fromKubeconfig(files: string, { context, clock }: CredentialSource): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const load = () => {
    const config = new KubeConfig()
    const [first, ...more] = files.split(':').filter((file) => file !== '')
    if (first === undefined) throw new BerthError('InvalidConfiguration', 'The kubeconfig has no name.')
    try {
      config.loadFromFile(first)
      for (const file of more) {
        const next = new KubeConfig()
        next.loadFromFile(file)
        config.mergeConfig(next)
      }
    } catch (error) {
      throw new BerthError('InvalidConfiguration', `The kubeconfig ${files} cannot be read.`, { cause: error })
    }
    if (context !== undefined) config.setCurrentContext(context)
    return config
  }
  let config = load()
  const cluster = config.getCurrentCluster()
  if (cluster === null) {
    throw new BerthError(
      'InvalidConfiguration',
      `The kubeconfig ${files} has no cluster for context "${config.getCurrentContext()}".`,
    )
  }
  const server = new URL(cluster.server)
  // Without TLS (kubectl proxy) nobody is shown who we are, as with kubectl.
  if (server.protocol === 'http:') {
    return remembered(clock, server, cluster.proxyUrl, async () => ({ tls: {}, headers: {} }))
  }
  return remembered(clock, server, cluster.proxyUrl, async (refused) => {
    if (refused) config = reload(load)
    const options: HTTPSOptions = {}
    await config.applyToHTTPSOptions(options)
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value)
    if (options.auth) headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`
    const { ca, cert, key, servername, rejectUnauthorized } = options
    const tls = { ca, cert, key, servername, rejectUnauthorized }
    return { tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)), headers }
  })
}

/** A file that can't be read now is being written: that passes, unlike one that could not be read at the beginning. */
function reload<T>(load: () => T): T {
  try {
    return load()
  } catch (error) {
    throw new BerthError('APIUnavailable', 'The kubeconfig cannot be read any more.', { cause: error })
  }
}

/** @param read is told whether what it gave last was refused. */
function remembered(
  clock: Clock,
  server: URL,
  proxy: string | undefined,
  read: (refused: boolean) => Promise<Access>,
): Credentials {
  let last: { access: Promise<Access>; at: number } | undefined
  let refused = false
  return {
    server,
    ...(proxy ? { proxy } : {}),
    current() {
      if (last !== undefined && clock.monotonic() - last.at < readEvery) return last.access
      const anew = refused
      const entry = { access: read(anew), at: clock.monotonic() }
      refused = false
      last = entry
      // What failed is not remembered.
      entry.access.catch(() => {
        refused ||= anew
        if (last === entry) last = undefined
      })
      return entry.access
    },
    invalidate() {
      last = undefined
      refused = true
    },
  }
}
