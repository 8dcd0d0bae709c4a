import { createHash } from 'node:crypto'
import { type Connection, type CallOptions as LibvirtCallOptions, LibvirtError } from 'node-libvirt'
import { parseXml, textOf } from './xml.ts'

/**
 * What tells a host from others: its UUID in libvirt's capabilities. Those of Xen have none: there, the UUID of the
 * computer among the host's devices, which both have from the firmware or from libvirtd.conf; and where libvirt knows
 * no devices either, a UUID made from the host's name, so that a host that takes another's name passes for it.
 */
export async function readHostID(connection: Connection, options: LibvirtCallOptions = {}): Promise<string> {
  const capabilities = await connection.getCapabilities(options)
  return (
    textOf(parseXml(capabilities), 'host', 'uuid') ||
    (await computerID(connection, options)) ||
    nameID(await connection.getHostname(options))
  )
}

/** Empty: libvirt has no list of devices, or does not know the computer's UUID. */
async function computerID(connection: Connection, options: LibvirtCallOptions): Promise<string> {
  try {
    const device = await connection.lookupNodeDeviceByName('computer', options)
    return computerIDIn(await device.getXML(options))
  } catch (error) {
    if (error instanceof LibvirtError) return ''
    throw error
  }
}

export function computerIDIn(xml: string): string {
  return textOf(parseXml(xml), 'capability', 'hardware', 'uuid')
}

/** A name-based UUID (RFC 9562, version 8). */
export function nameID(hostName: string): string {
  const hash = createHash('sha256').update(`berth.dev/host/${hostName}`).digest('hex')
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`
}
