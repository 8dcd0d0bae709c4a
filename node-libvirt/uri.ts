/** Where to connect, and what to ask for there. */
export interface Target {
  /** Name for the server's own driver: `qemu:///system`. */
  readonly name: string
  readonly address: Address
}

export type Address = UnixAddress | NetworkAddress | SSHAddress

export interface UnixAddress {
  readonly transport: 'unix'
  /** Tried in this order, as long as nothing listens. */
  readonly paths: readonly string[]
}

export interface NetworkAddress {
  readonly transport: 'tls' | 'tcp'
  readonly host: string
  readonly port: number
}

export interface SSHAddress {
  readonly transport: 'ssh'
  readonly host: string
  readonly port: number
  readonly user: string | undefined
  /** Sockets on that host, tried in this order, as long as nothing listens. */
  readonly paths: readonly string[]
}

const defaultPorts = { tls: 16514, tcp: 16509, ssh: 22 } as const
const socketFolder = '/var/run/libvirt'

/** The daemon of each driver on hosts that have no libvirtd, but a daemon a driver. */
const modularDaemons: Readonly<Record<string, string>> = { qemu: 'virtqemud', lxc: 'virtlxcd', xen: 'virtxend' }

/**
 * Parses a connection URI (https://libvirt.org/uri.html). Parameters that would change how safe the connection is
 * (`no_verify`), or that are not known, are refused rather than ignored.
 * @throws TypeError
 */
export const parseURI = (uri: string): Target => {
  const url = parse(uri)
  const [driver = '', transport, ...rest] = url.protocol.slice(0, -1).split('+')
  if (driver === '' || rest.length > 0) throw new TypeError(`not a libvirt URI: ${uri}`)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { name: `${driver}://${url.pathname}`, address: addressOf(url, driver, transport, host) }
}

const addressOf = (url: URL, driver: string, transport: string | undefined, host: string): Address => {
  const named = transport ?? (host === '' ? 'unix' : 'tls')
  const parameters = new Map(url.searchParams)
  const socket = parameters.get('socket')
  const throughSocket = named === 'unix' || named === 'ssh'
  if (throughSocket) parameters.delete('socket')
  const [unknown] = parameters.keys()
  if (unknown !== undefined) throw new TypeError(`parameter not supported: ${unknown}`)
  if (named !== 'ssh' && url.username !== '') throw new TypeError(`the transport ${named} has no user`)

  if (named === 'unix') {
    if (host !== '') throw new TypeError(`a unix socket is on no other host: ${url}`)
    return { transport: 'unix', paths: sockets(url, driver, socket) }
  }
  if (named !== 'tls' && named !== 'tcp' && named !== 'ssh') throw new TypeError(`transport not supported: ${named}`)
  if (host === '') throw new TypeError(`a host is missing: ${url}`)
  const port = url.port === '' ? defaultPorts[named] : Number(url.port)
  if (named !== 'ssh') return { transport: named, host, port }
  const user = url.username === '' ? undefined : decodeURIComponent(url.username)
  return { transport: 'ssh', host, port, user, paths: sockets(url, driver, socket) }
}

const parse = (uri: string): URL => {
  if (!uri.includes('://') || !URL.canParse(uri)) throw new TypeError(`not a libvirt URI: ${uri}`)
  const url = new URL(uri)
  // Not shown: errors are logged.
  if (url.password !== '') throw new TypeError('a libvirt URI with a password is not supported')
  return url
}

const sockets = (url: URL, driver: string, socket: string | undefined): readonly string[] => {
  if (socket !== undefined) {
    if (!socket.startsWith('/')) throw new TypeError(`not an absolute path: ${socket}`)
    return [socket]
  }
  if (url.pathname === '/session') {
    throw new TypeError('the socket of a session daemon has to be given: ?socket=/path')
  }
  const daemons = ['libvirt', modularDaemons[driver]].filter((daemon) => daemon !== undefined)
  return daemons.map((daemon) => `${socketFolder}/${daemon}-sock`)
}
