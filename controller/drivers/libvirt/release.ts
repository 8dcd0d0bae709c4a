import { isDeepStrictEqual } from 'node:util'
import type { Connection, CallOptions as LibvirtCallOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { Tag } from '../../hypervisor/port.ts'
import { parkedNetwork, readDomain } from './domain-xml.ts'
import { findDomain, whyForeign } from './domains.ts'
import { tagNamespace } from './tag.ts'
import { find, parseXml } from './xml.ts'

/** See `Session.release`. One definition: the tag is changed and the fence taken down at once, or neither. */
export async function release(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const found = await findDomain(connection, instanceID, options)
  if (found === undefined) return
  const { domain, xml, reading } = found
  const { tag } = reading.reading
  const foreign = whyForeign(found, instanceID)
  if (tag === undefined || tag.instanceID !== instanceID)
    throw new BerthError('ForeignObject', `Not touched: ${foreign}.`)
  if (tag.released && !reading.parked) return
  const isActive = await domain.isActive(options)
  await connection.defineDomain(
    releaseDomain(xml, { ...tag, slot: isActive ? tag.slot : '', released: true }),
    0,
    options,
  )
}

/**
 * The same domain with that tag, and without what parks it. Everything else stays to the byte, as with `parkDomain`.
 * Throws SyntaxError where it does not come out so.
 */
export function releaseDomain(xml: string, tag: Tag & { readonly released: true }): string {
  const opened = xml.replaceAll(/<interface\b[^>]*[^/]>.*?<\/interface>\n?/gs, (device) =>
    find(parseXml(device), 'source')?.attributes['network'] === parkedNetwork ? '' : device,
  )
  const released = opened.replace(ownElement, (element) =>
    element
      .replace(/\sreleased=("[^"]*"|'[^']*')/, '')
      .replace(/\sslot=("[^"]*"|'[^']*')/, (slot) => `${tag.slot === '' ? ' slot=""' : slot} released="true"`),
  )
  const { reading, parked } = readDomain(released)
  if (parked || !isDeepStrictEqual(reading.tag, tag)) throw new SyntaxError('the domain cannot be released')
  return released
}

/** The beginning of our element; libvirt escapes what could end it too early. */
const ownElement = new RegExp(`<(?:[\\w.-]+:)?machine\\s[^>]*["']${tagNamespace.replaceAll('.', '[.]')}["'][^>]*>`)
