import type { Duplex } from 'node:stream'
import type { Target } from '../uri.ts'
import { connectTCP, connectUnix, firstThatListens } from './socket.ts'
import { connectWithSSH, type SshOptions } from './ssh.ts'
import { connectWithTLS, type TlsOptions } from './tls.ts'

export interface TransportOptions {
  readonly tls?: TlsOptions | undefined
  readonly ssh?: SshOptions | undefined
}

/**
 * A connected stream on which the first message can be sent.
 * @param signal Ends the wait; its reason is what the promise rejects with.
 * @throws LibvirtConnectionError of phase `open`.
 * @throws TypeError when an option lacks that the transport needs.
 */
export const connect = async (
  { address }: Target,
  { tls, ssh }: TransportOptions,
  signal: AbortSignal,
): Promise<Duplex> => {
  switch (address.transport) {
    case 'unix':
      return firstThatListens(address.paths, (path) => connectUnix(path, signal))
    case 'tcp':
      return connectTCP(address.host, address.port, signal)
    case 'tls':
      if (tls === undefined) throw new TypeError('TLS needs certificates')
      return connectWithTLS(address, tls, signal)
    case 'ssh':
      if (ssh === undefined) throw new TypeError('SSH needs known hosts, and a key or a password')
      return connectWithSSH(address, ssh, signal)
  }
}
