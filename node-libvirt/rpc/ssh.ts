import { Duplex } from 'node:stream'
import type {
  AnyAuthMethod,
  Client,
  ClientChannel,
  ConnectConfig,
  KeyboardInteractiveAuthMethod,
  ParsedKey,
  ServerHostKeyAlgorithm,
} from 'ssh2'
import type { LibvirtConnectionError } from '../errors.ts'
import type { SSHAddress } from '../uri.ts'
import { type HostKeys, hostKeys } from './known-hosts.ts'
import { connectTCP, firstThatListens, openError } from './socket.ts'

/** How to log in over SSH, and which server to believe. */
export interface SshOptions {
  /**
   * The server's keys, in the format of a known_hosts file. A server that is not in it, or shows another key, is
   * refused: there is no way around it.
   */
  readonly knownHosts: string
  /** Unless the URI names one. */
  readonly username?: string | undefined
  /** Private key: PEM or OpenSSH's format. */
  readonly privateKey?: string | Buffer | undefined
  /** Of the private key, if it is encrypted: unlocking it keeps the process busy for up to a second a connection. */
  readonly passphrase?: string | Buffer | undefined
  readonly password?: string | undefined
  /** Path of an SSH agent's socket. */
  readonly agent?: string | undefined
}

/** Algorithms by which a server proves each type of key. SHA-1 (`ssh-rsa`) and DSA are not among them. */
const proofs: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
}

/**
 * Logs in, and has the server connect to libvirt's socket on its side (`direct-streamlocal@openssh.com`): neither a
 * shell nor a program of the host is used.
 * @throws LibvirtConnectionError of phase `open`.
 */
export const connectWithSSH = async (
  address: SSHAddress,
  options: SshOptions,
  signal: AbortSignal,
): Promise<Duplex> => {
  const { host, port, paths } = address
  const keys = hostKeys(options.knownHosts, host, port)
  const serverHostKey = [...new Set(keys.known.flatMap(({ type }) => proofs[type] ?? []))]
  if (serverHostKey.length === 0) throw hostKeyUnknown(`${host}:${port} is not among the known hosts`)
  // Loaded when it is needed: the other transports have no dependency.
  const { default: ssh } = await import('ssh2')
  const login = loginOf(address, options, ssh.utils.parseKey)
  const sock = await connectTCP(host, port, signal)
  const client = new ssh.Client()
  try {
    const algorithms = { serverHostKey }
    await handshake(client, { ...login, sock, algorithms, readyTimeout: 0 }, keys, signal, `${host}:${port}`)
    return await firstThatListens(paths, async (path) => new Tunnel(client, await forward(client, path, signal)))
  } catch (error) {
    client.destroy()
    sock.destroy()
    throw error
  }
}

const loginOf = (
  { user }: SSHAddress,
  { username, privateKey, passphrase, password, agent }: SshOptions,
  parseKey: (data: string | Buffer, passphrase?: string | Buffer) => ParsedKey | Error,
): ConnectConfig => {
  const name = user ?? username
  if (name === undefined) throw new TypeError('SSH needs a user: ssh://user@host, or options')
  const authHandler: AnyAuthMethod[] = []
  if (privateKey !== undefined) {
    // Once, and the client gets the result: unlocking a key takes a second, during which nothing else runs.
    const key = parseKey(privateKey, passphrase)
    // Its messages tell what is wrong with the key, and nothing of the key.
    if (key instanceof Error || !key.isPrivateKey()) {
      const why = key instanceof Error ? key.message : 'it is a public key'
      throw openError('AuthenticationFailed', `the private key cannot be used: ${why}`)
    }
    authHandler.push({ type: 'publickey', username: name, key })
  }
  if (agent !== undefined) authHandler.push({ type: 'agent', username: name, agent })
  if (password !== undefined) {
    authHandler.push({ type: 'password', username: name, password })
    // How servers with PAM ask for the same password.
    const prompt: KeyboardInteractiveAuthMethod['prompt'] = (_name, _instructions, _language, prompts, finish) =>
      finish(prompts.map(() => password))
    authHandler.push({ type: 'keyboard-interactive', username: name, prompt })
  }
  if (authHandler.length === 0) throw new TypeError('SSH needs a private key, an agent or a password')
  return { username: name, authHandler }
}

const handshake = (
  client: Client,
  config: ConnectConfig,
  { known, revoked }: HostKeys,
  signal: AbortSignal,
  address: string,
): Promise<void> =>
  whileOpen(client, signal, address, (resolve, reject) => {
    const hostVerifier = (shown: Buffer): boolean => {
      const isShown = ({ blob }: { readonly blob: Buffer }) => blob.equals(shown)
      if (known.some(isShown) && !revoked.some(isShown)) return true
      const message = `${address} shows another key than the known hosts have: it was changed, or is not that host`
      reject(openError('HostKeyChanged', message))
      return false
    }
    client.once('ready', () => resolve(undefined))
    client.connect({ ...config, hostVerifier })
  })

/** `SSH_OPEN_…` (RFC 4254, section 5.1). */
const ChannelRefusal = { ADMINISTRATIVELY_PROHIBITED: 1, CONNECT_FAILED: 2 } as const

const forward = (client: Client, path: string, signal: AbortSignal): Promise<ClientChannel> =>
  whileOpen(client, signal, path, (resolve, reject) => {
    client.openssh_forwardOutStreamLocal(path, (error, channel) => {
      if (error === undefined) return resolve(channel)
      const { reason } = error as { readonly reason?: number }
      if (reason === ChannelRefusal.CONNECT_FAILED) reject(openError('Refused', `${path}: ${error.message}`, error))
      else if (reason === ChannelRefusal.ADMINISTRATIVELY_PROHIBITED) {
        reject(openError('PermissionDenied', 'the SSH server forbids forwarding to sockets', error))
      } else reject(openError('SSH', `the SSH server does not forward to sockets: ${error.message}`, error))
    })
  })

/** Waits for a step of the opening; ends with the signal, and with whatever goes wrong in the client. */
const whileOpen = async <T>(
  client: Client,
  signal: AbortSignal,
  address: string,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> => {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = () => reject(signal.reason)
  const onError = (error: Error) => reject(classify(error, address))
  const onClose = () => reject(openError('Lost', `${address} closed the connection`))
  signal.addEventListener('abort', onAbort, { once: true })
  client.on('error', onError).once('close', onClose)
  try {
    signal.throwIfAborted()
    start(resolve, reject)
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Errors of a client that was given up are nobody's.
    client
      .on('error', () => {})
      .off('error', onError)
      .off('close', onClose)
  }
}

const hostKeyUnknown = (message: string, cause?: unknown) => openError('HostKeyUnknown', message, cause)

const classify = (error: Error & { readonly level?: string }, address: string): LibvirtConnectionError => {
  const message = `${address}: ${error.message}`
  if (error.level === 'client-authentication' || error.level === 'agent') {
    return openError('AuthenticationFailed', `${address}: the SSH server does not let us in`, error)
  }
  if (/no matching host key format/i.test(error.message)) {
    return hostKeyUnknown(`${address} has no key of the types that are known of it`, error)
  }
  return openError(error.level === 'client-socket' ? 'Lost' : 'SSH', message, error)
}

/** The channel as a stream that lives and dies with its client. */
class Tunnel extends Duplex {
  readonly #client: Client
  readonly #channel: ClientChannel

  constructor(client: Client, channel: ClientChannel) {
    super()
    this.#client = client
    this.#channel = channel
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause()
    })
    channel.on('error', (error: Error) => this.destroy(error)).once('close', () => this.destroy())
    client.on('error', (error) => this.destroy(error)).once('close', () => this.destroy())
  }

  override _read(): void {
    this.#channel.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#channel.write(chunk, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#client.destroy()
    done(error)
  }
}
