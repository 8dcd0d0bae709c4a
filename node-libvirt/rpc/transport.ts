import { connect as connectNet, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTLS, type TLSSocket } from 'node:tls'
import { type ConnectionErrorReason, LibvirtConnectionError } from '../errors.ts'
import type { Target } from '../uri.ts'

/** PEM texts. */
export interface TlsOptions {
  /** Authorities that the server's certificate may come from. */
  readonly ca: string | Buffer
  readonly cert: string | Buffer
  readonly key: string | Buffer
  /** Name that the server's certificate must bear; the URI's host unless given. */
  readonly servername?: string | undefined
}

/** What libvirt's server sends after the handshake when it accepts the client's certificate. */
const accepted = 0x01

export const openError = (reason: ConnectionErrorReason, message: string, cause?: unknown): LibvirtConnectionError =>
  new LibvirtConnectionError(message, { phase: 'open', reason, effectUnknown: false, cause })

/**
 * A connected socket on which the first message can be sent.
 * @param signal Ends the wait; its reason is what the promise rejects with.
 * @throws LibvirtConnectionError of phase `open`.
 */
export const connect = async (
  { address }: Target,
  tls: TlsOptions | undefined,
  signal: AbortSignal,
): Promise<Duplex> => {
  if (address.transport === 'unix') return connectFirst(address.paths, signal)
  if (tls === undefined) throw new TypeError('TLS needs certificates')
  return connectWithTLS(address, tls, signal)
}

const connectFirst = async (paths: readonly string[], signal: AbortSignal): Promise<Socket> => {
  let last: unknown
  for (const path of paths) {
    try {
      return await connectUnix(path, signal)
    } catch (error) {
      if (!(error instanceof LibvirtConnectionError) || error.reason !== 'Refused') throw error
      last ??= error
    }
  }
  throw last
}

const connectUnix = (path: string, signal: AbortSignal): Promise<Socket> =>
  settle(connectNet({ path }), signal, path, (socket, resolve) => {
    socket.once('connect', () => resolve(socket))
  })

const connectWithTLS = async (
  { host, port }: { readonly host: string; readonly port: number },
  { ca, cert, key, servername = host }: TlsOptions,
  signal: AbortSignal,
): Promise<TLSSocket> => {
  let socket: TLSSocket
  try {
    const options = { host, port, ca, cert, key, minVersion: 'TLSv1.2', rejectUnauthorized: true } as const
    // An address is no server name (RFC 6066), but the certificate must bear it all the same: Node checks `host`.
    socket = connectTLS(isAddress(servername) ? options : { ...options, servername })
  } catch (cause) {
    throw openError('TLS', `the certificates given cannot be used: ${(cause as Error).message}`, cause)
  }
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 30_000)
  return settle(socket, signal, `${host}:${port}`, (_socket, resolve, reject) => {
    let secure = false
    socket.once('secureConnect', () => {
      secure = true
    })
    socket.once('data', (data: Buffer) => {
      socket.pause()
      if (data[0] !== accepted) return reject(refused())
      if (data.length > 1) socket.unshift(data.subarray(1))
      resolve(socket)
    })
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (isCertificateAlert(error) || (secure && error.code === 'ECONNRESET')) reject(refused(error))
    })
    socket.once('close', () => {
      if (secure) reject(refused())
    })
  })
}

const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(':')

const refused = (cause?: unknown) =>
  openError('CertificateRefused', 'the server does not accept our certificate', cause)

const isCertificateAlert = ({ code = '' }: NodeJS.ErrnoException): boolean =>
  /ALERT_(CERTIFICATE|NO_CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)

type Resolve<S> = (socket: S) => void
type Reject = (error: unknown) => void

/** Waits for a socket; whatever goes wrong before, it is destroyed. */
const settle = <S extends Socket>(
  socket: S,
  signal: AbortSignal,
  address: string,
  start: (socket: S, resolve: Resolve<S>, reject: Reject) => void,
): Promise<S> =>
  new Promise((resolve, reject) => {
    const onAbort = () => fail(signal.reason)
    const done = () => {
      signal.removeEventListener('abort', onAbort)
    }
    const fail = (error: unknown) => {
      done()
      // A socket that is given up may still report an error, which nobody is to see.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    start(
      socket,
      (connected) => {
        done()
        socket.removeAllListeners('error')
        socket.removeAllListeners('close')
        resolve(connected)
      },
      fail,
    )
    socket.once('error', (error: NodeJS.ErrnoException) => fail(classify(socket, error, address)))
    socket.once('close', () => fail(openError('Lost', `${address} closed the connection`)))
    if (signal.aborted) onAbort()
  })

const reasons: Readonly<Record<string, ConnectionErrorReason>> = {
  ECONNREFUSED: 'Refused',
  ENOENT: 'Refused',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EHOSTUNREACH: 'Unreachable',
  ENETUNREACH: 'Unreachable',
  EHOSTDOWN: 'Unreachable',
  ENOTFOUND: 'Unreachable',
  EAI_AGAIN: 'Unreachable',
  ETIMEDOUT: 'Unreachable',
  EADDRNOTAVAIL: 'Unreachable',
  ECONNRESET: 'Lost',
  EPIPE: 'Lost',
}

const classify = (socket: Socket, error: NodeJS.ErrnoException, address: string): LibvirtConnectionError => {
  const { authorizationError } = socket as Partial<TLSSocket>
  const message = `${address}: ${error.message}`
  if (authorizationError) return openError('CertificateInvalid', message, error)
  const code = error.code ?? ''
  return openError(reasons[code] ?? (code.startsWith('ERR_SSL') ? 'TLS' : 'Lost'), message, error)
}
