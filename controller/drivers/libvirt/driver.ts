import { BerthError } from '../../errors/index.ts'
import type { CallOptions, Driver, LibvirtTarget, Session } from '../../hypervisor/port.ts'
import { Connections } from './connections.ts'
import { mapError } from './errors.ts'
import { readHost } from './host.ts'
import { connectionOptions } from './login.ts'
import { LibvirtSession } from './session.ts'

/** Machines on a libvirt daemon with QEMU or Xen (libxl). URIs are those of node-libvirt's `Connection.open`. */
export const libvirtDriver: Driver<LibvirtTarget> = {
  name: 'libvirt',
  async connect(target: LibvirtTarget, options: CallOptions = {}): Promise<Session> {
    try {
      const connections = await Connections.open(target.uri, connectionOptions(target), options.signal)
      try {
        const host = await readHost(connections.main, options.signal === undefined ? {} : { signal: options.signal })
        return new LibvirtSession(connections, host)
      } catch (error) {
        await connections.close()
        throw error
      }
    } catch (error) {
      if (error instanceof TypeError) {
        throw new BerthError('InvalidConfiguration', `spec.libvirt.uri: ${error.message}`, { cause: error })
      }
      throw mapError(error, 'Read')
    }
  },
}
