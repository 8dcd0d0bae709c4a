/** Interfaces of a domain that exists: given, connected otherwise, and taken away. */
import { type Connection, DeviceModifyFlags, type CallOptions as LibvirtCallOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { InterfaceSpec } from '../../hypervisor/port.ts'
import { findOwnDomain, ifDefined, isQEMU, type OwnDomain, writeTag } from './domains.ts'
import { isLibvirtError } from './errors.ts'
import { networkInterface } from './hardware.ts'
import { interfaceDetails } from './hardware-qemu.ts'
import type { Host } from './host.ts'
import { changedDevice, findDevice, isAs, namesOf, tagWithInterface } from './interfaces.ts'
import { defineFilters } from './packet-filters.ts'
import { findRunning, requireNoJob } from './power.ts'
import { type Element, formatXml, parseXml } from './xml.ts'

const { LIVE, CONFIG } = DeviceModifyFlags

/** What runs, or what the next start has. */
interface Side {
  readonly flag: typeof LIVE | typeof CONFIG
  readonly root: Element
}

/**
 * See `Session.attachInterface`. The tag comes first: a device that it does not name would be somebody else's. Then the
 * definition, then what runs: a call that is interrupted is gone on with. A call that comes late cannot give the domain a
 * second interface of that MAC address: libvirt refuses an alias that is taken.
 */
export async function attachInterface(
  connection: Connection,
  { information: { capabilities } }: Host,
  instanceID: string,
  wanted: InterfaceSpec,
  options: LibvirtCallOptions,
): Promise<void> {
  const { own } = await findRunning(connection, instanceID, options)
  const [live, defined] = await readSides(own, options)
  requireOwnDevice([live, defined], wanted.macAddress)
  await defineFilters(connection, [wanted], capabilities.features.includes('AntiSpoofing'), options)
  for (const side of [defined, live]) await nameInterface(own, side, wanted.macAddress, wanted.name, options)
  for (const side of [defined, live]) await setDevice(own, side, wanted, options)
}

/** See `Session.detachInterface`. libvirt gives a guest five seconds to let go. */
export async function detachInterface(
  connection: Connection,
  instanceID: string,
  macAddress: string,
  options: LibvirtCallOptions,
): Promise<void> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) return
  const active = (await ifDefined(() => own.domain.isActive(options))) === true
  if (active) await requireNoJob(own, await own.domain.getState(options), options)
  const sides = active ? await readSides(own, options) : [{ flag: CONFIG, root: parseXml(own.xml) }]
  requireOwnDevice(sides, macAddress)
  const [live, defined] = [sides.find(({ flag }) => flag === LIVE), sides.find(({ flag }) => flag === CONFIG)]
  if (defined) {
    await removeDevice(own, defined, macAddress, options)
    await nameInterface(own, defined, macAddress, undefined, options)
  }
  // What runs keeps the name: until the guest lets go, the device is ours.
  if (live) await removeDevice(own, live, macAddress, options)
}

async function readSides(own: OwnDomain, options: LibvirtCallOptions): Promise<[Side, Side]> {
  const live = await own.domain.getXML(0, options)
  return [
    { flag: LIVE, root: parseXml(live) },
    { flag: CONFIG, root: parseXml(own.xml) },
  ]
}

function requireOwnDevice(sides: readonly Side[], macAddress: string): void {
  const isThere = sides.some(({ root }) => findDevice(root, macAddress))
  const isNamed = sides.some(({ root }) => namesOf(root).has(macAddress.toLowerCase()))
  if (!isThere || isNamed) return
  throw new BerthError('ForeignObject', `Interface ${macAddress} was attached on the host: it is not touched.`)
}

async function nameInterface(
  own: OwnDomain,
  { flag, root }: Side,
  macAddress: string,
  name: string | undefined,
  options: LibvirtCallOptions,
): Promise<void> {
  if (namesOf(root).get(macAddress.toLowerCase()) === name) return
  const tag = tagWithInterface(root, macAddress, name)
  if (tag !== undefined) await writeTag(own, tag, flag === LIVE ? 'LIVE' : 'CONFIG', options)
}

async function setDevice(own: OwnDomain, side: Side, wanted: InterfaceSpec, options: LibvirtCallOptions) {
  const { flag, root } = side
  const device = findDevice(root, wanted.macAddress)
  if (device !== undefined && isAs(device, wanted)) return
  if (device !== undefined && isQEMU(own.reading)) {
    await own.domain.updateDevice(formatXml(changedDevice(device, wanted)), flag, options)
    return
  }
  // libxl changes none in place, and its guests let go at once.
  if (device !== undefined) await removeDevice(own, side, wanted.macAddress, options)
  const details = isQEMU(own.reading) ? interfaceDetails(wanted) : []
  try {
    await own.domain.attachDevice(formatXml(networkInterface(wanted, details)), flag, options)
  } catch (error) {
    // Another call was quicker.
    if (!(isLibvirtError(error, 'CONFIG_UNSUPPORTED') && error.message.includes('non unique alias'))) throw error
  }
}

async function removeDevice(
  { domain }: OwnDomain,
  { flag, root }: Side,
  macAddress: string,
  options: LibvirtCallOptions,
): Promise<void> {
  const device = findDevice(root, macAddress)
  if (device === undefined) return
  try {
    await domain.detachDevice(formatXml(device), flag, options)
  } catch (error) {
    const isAsked = isLibvirtError(error, 'OPERATION_FAILED') && /process of unplug/.test(error.message)
    if (!isAsked && !isLibvirtError(error, 'DEVICE_MISSING')) throw error
  }
}
