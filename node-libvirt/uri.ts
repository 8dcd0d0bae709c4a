/** Where to connect, and what to ask for there. */
export interface Target {
  /** Name for the server's own driver: `qemu:///system`. */
  readonly name: string
  readonly address:
    | {
        readonly transport: 'unix'
        /** Tried in this order, as long as nothing listens. */
        readonly paths: readonly string[]
      }
    | { readonly transport: 'tls'; readonly host: string; readonly port: number }
}

const tlsPort = 16514
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
  if (url.username !== '' || url.password !== '') throw new TypeError('a libvirt URI with a user is not supported')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const name = `${driver}://${url.pathname}`
  const parameters = new Map(url.searchParams)

  switch (transport ?? (host === '' ? 'unix' : 'tls')) {
    case 'unix': {
      if (host !== '') throw new TypeError(`a unix socket is on no other host: ${uri}`)
      const socket = parameters.get('socket')
      parameters.delete('socket')
      refuse(parameters)
      if (socket !== undefined && !socket.startsWith('/')) throw new TypeError(`not an absolute path: ${socket}`)
      if (socket === undefined && url.pathname === '/session') {
        throw new TypeError('the socket of a session daemon has to be given: ?socket=/path')
      }
      return { name, address: { transport: 'unix', paths: socket === undefined ? localSockets(driver) : [socket] } }
    }
    case 'tls': {
      if (host === '') throw new TypeError(`a host is missing: ${uri}`)
      refuse(parameters)
      return { name, address: { transport: 'tls', host, port: url.port === '' ? tlsPort : Number(url.port) } }
    }
    default:
      throw new TypeError(`transport not supported: ${transport}`)
  }
}

const parse = (uri: string): URL => {
  if (!uri.includes('://') || !URL.canParse(uri)) throw new TypeError(`not a libvirt URI: ${uri}`)
  return new URL(uri)
}

const localSockets = (driver: string): readonly string[] => {
  const daemons = ['libvirt', modularDaemons[driver]].filter((daemon) => daemon !== undefined)
  return daemons.map((daemon) => `${socketFolder}/${daemon}-sock`)
}

const refuse = (parameters: ReadonlyMap<string, string>): void => {
  const [parameter] = parameters.keys()
  if (parameter !== undefined) throw new TypeError(`parameter not supported: ${parameter}`)
}
