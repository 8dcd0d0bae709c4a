/** A domain's interfaces as its XML tells: those of its devices, named by its tag. Pure. */
import type { InterfaceSpec, MachineInterface, NetworkAttachment } from '../../hypervisor/port.ts'
import { filterReference, readAntiSpoofing } from './anti-spoofing.ts'
import { parkedNetwork } from './domain-xml.ts'
import { interfaceSource } from './hardware.ts'
import { findTagElement } from './tag.ts'
import { type Element, element, find, findAll } from './xml.ts'

const macOf = (device: Element): string => find(device, 'mac')?.attributes['address']?.toLowerCase() ?? ''

/** But the one that parks. */
function devicesOf(domain: Element | undefined): readonly Element[] {
  return findAll(find(domain, 'devices'), 'interface').filter(
    (device) => find(device, 'source')?.attributes['network'] !== parkedNetwork,
  )
}

export const findDevice = (domain: Element | undefined, macAddress: string): Element | undefined =>
  devicesOf(domain).find((device) => macOf(device) === macAddress.toLowerCase())

/** By MAC address, what the tag calls the domain's interfaces. */
export const namesOf = (domain: Element | undefined): ReadonlyMap<string, string> =>
  new Map(
    findAll(domain && findTagElement(domain), 'interface').map(({ attributes }) => [
      attributes['macAddress']?.toLowerCase() ?? '',
      attributes['name'] ?? '',
    ]),
  )

/** Devices that the tag does not name: somebody else attached them. */
export function foreignDevices(domain: Element): readonly Element[] {
  const names = namesOf(domain)
  return devicesOf(domain).filter((device) => !names.has(macOf(device)))
}

/** `live`: what runs, where it does. One that is being let go of is in its tag alone. */
export function readMachineInterfaces(live: Element | undefined, defined: Element): MachineInterface[] {
  const [liveNames, definedNames] = [namesOf(live), namesOf(defined)]
  const read = (device: Element) => {
    const macAddress = macOf(device)
    const name = definedNames.get(macAddress) ?? liveNames.get(macAddress)
    return {
      ...(name === undefined ? {} : { name }),
      macAddress,
      ...readAttachment(device),
      ...readAntiSpoofing(device),
    }
  }
  const later = devicesOf(defined).filter((device) => findDevice(live, macOf(device)) === undefined)
  return [
    ...devicesOf(live).map((device) => {
      const seen = read(device)
      const other = findDevice(defined, seen.macAddress)
      return { ...seen, attached: true, defined: other !== undefined && isAs(other, seen) }
    }),
    ...later.map((device) => ({ ...read(device), attached: false, defined: true })),
  ]
}

function readAttachment(device: Element): { readonly attachment?: NetworkAttachment } {
  const { bridge, network } = find(device, 'source')?.attributes ?? {}
  // While it runs, one on a network of libvirt's tells of the network's bridge too.
  if (network !== undefined) return { attachment: { libvirtNetwork: network } }
  return bridge === undefined ? {} : { attachment: { bridge } }
}

/** Whether a device is connected and filtered so. */
export function isAs(device: Element, { attachment, antiSpoofing }: Partial<InterfaceSpec>): boolean {
  const seen = readAttachment(device).attachment
  return JSON.stringify(seen) === JSON.stringify(attachment) && readAntiSpoofing(device).antiSpoofing === antiSpoofing
}

/** The same device, connected and filtered as is wanted; all else stays, whoever set it. */
export function changedDevice(device: Element, wanted: InterfaceSpec): Element {
  const [type, source] = interfaceSource(wanted.attachment)
  const kept = device.children.filter(({ name }) => name !== 'source' && name !== 'filterref')
  const filter = filterReference(wanted)
  return {
    ...device,
    attributes: { ...device.attributes, type },
    children: [...kept, element('source', source), ...(filter ? [filter] : [])],
  }
}

/**
 * Our element in a domain's metadata, with this interface under this name, or without it. In the form in which libvirt
 * takes it: without the namespace, which is told beside it.
 */
export function tagWithInterface(domain: Element, macAddress: string, name: string | undefined): Element | undefined {
  const own = findTagElement(domain)
  if (own === undefined) return undefined
  const attributes = Object.entries(own.attributes).filter(([key]) => !/^xmlns(:|$)/.test(key))
  const others = own.children.filter(
    (child) => child.name !== 'interface' || child.attributes['macAddress']?.toLowerCase() !== macAddress.toLowerCase(),
  )
  const added = name === undefined ? undefined : element('interface', { name, macAddress })
  return element('machine', Object.fromEntries(attributes), [...others, added])
}
