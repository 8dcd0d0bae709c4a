/** The packet filters that Berth makes on a host. */
import { type Connection, type CallOptions as LibvirtCallOptions, LibvirtError } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import { type AntiSpoofing, macFilter } from './anti-spoofing.ts'
import { isLibvirtError } from './errors.ts'
import { element, formatXml } from './xml.ts'

/** What it says never changes: another would need another name. libvirt takes it again under the same UUID alone. */
const definition = formatXml(
  element('filter', { name: macFilter, chain: 'root' }, [
    element('uuid', {}, '5b7a1f7c-6f0b-4c3a-9d0a-3c1f6f5d0c01'),
    element('rule', { action: 'drop', direction: 'out', priority: 0 }, [
      element('mac', { match: 'no', srcmacaddr: '$MAC' }),
    ]),
  ]),
)

/** Whether the daemon has packet filters: of those that it offers it tells nothing, so it is asked for the filters. */
export async function hasPacketFilters(connection: Connection, options: LibvirtCallOptions): Promise<boolean> {
  try {
    await connection.listAllNetworkFilters(options)
    return true
  } catch (error) {
    if (error instanceof LibvirtError) return false
    throw error
  }
}

/** A domain that refers to a filter which is not there does not start. Rejects with NotSupported where `canFilter` is false. */
export async function defineFilters(
  connection: Connection,
  interfaces: readonly AntiSpoofing[],
  canFilter: boolean,
  options: LibvirtCallOptions,
): Promise<void> {
  if (!interfaces.some(({ antiSpoofing }) => antiSpoofing !== undefined)) return
  if (!canFilter) throw new BerthError('NotSupported', 'The host has no packet filters of libvirt (nwfilter).')
  try {
    await connection.lookupNetworkFilterByName(macFilter, options)
  } catch (error) {
    if (!isLibvirtError(error, 'NO_NWFILTER')) throw error
    await connection.defineNetworkFilter(definition, options)
  }
}
