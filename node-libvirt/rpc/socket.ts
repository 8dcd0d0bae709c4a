import { connect as connectNet, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type ConnectionErrorReason, LibvirtConnectionError } from '../errors.ts'

export const openError = (reason: ConnectionErrorReason, message: string, cause?: unknown): LibvirtConnectionError =>
  new LibvirtConnectionError(message, { phase: 'open', reason, effectUnknown: false, cause })

export const connectUnix = (path: string, signal: AbortSignal): Promise<Socket> =>
  settle(connectNet({ path }), signal, path, (socket, resolve) => {
    socket.once('connect', () => resolve(socket))
  })

export const connectTCP = (host: string, port: number, signal: AbortSignal): Promise<Socket> => {
  const connecting = connectNet({ host, port })
  noticeLoss(connecting)
  return settle(connecting, signal, `${host}:${port}`, (socket, resolve) => {
    socket.once('connect', () => resolve(socket))
  })
}

/** Has messages leave at once, and the kernel notice a peer that vanished. */
export const noticeLoss = (socket: Socket): void => {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 30_000)
}

/**
 * Calls `open` with one path after the other, as long as nothing listens there.
 * @throws what the first path gave when nothing listens anywhere.
 */
export const firstThatListens = async <T>(paths: readonly string[], open: (path: string) => Promise<T>): Promise<T> => {
  let first: unknown
  for (const path of paths) {
    try {
      return await open(path)
    } catch (error) {
      if (!(error instanceof LibvirtConnectionError) || error.reason !== 'Refused') throw error
      first ??= error
    }
  }
  throw first
}

type Resolve<S> = (socket: S) => void
type Reject = (error: unknown) => void

/** Waits for a socket; whatever goes wrong before, it is destroyed. */
export const settle = <S extends Socket>(
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
