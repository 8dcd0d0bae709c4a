import { connect as connectTLS, type TLSSocket } from 'node:tls'
import { noticeLoss, openError, settle } from './socket.ts'

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

export const connectWithTLS = async (
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
  noticeLoss(socket)
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
