import { describe, expect, test } from '@jest/globals'
import type { InterfaceSpec, Tag } from '../../hypervisor/port.ts'
import { parkDomain, readDomain } from './domain-xml.ts'
import { changedDevice, findDevice, foreignDevices, readMachineInterfaces, tagWithInterface } from './interfaces.ts'
import { tagElement } from './tag.ts'
import { element, formatXml, parseXml } from './xml.ts'

const mac = '52:54:00:00:00:01'
const other = '52:54:00:00:00:02'
const wanted: InterfaceSpec = { name: 'eth0', macAddress: mac, attachment: { libvirtNetwork: 'lan' } }
const tag: Tag = {
  schema: 1,
  cluster: 'c',
  namespace: 'n',
  name: 'm',
  uid: 'u',
  instanceID: '4d1b2c4e-0000-4000-8000-00000000000a',
  owner: '',
  slot: 's',
}

/** As libvirt gives it back: with what it and others have added. */
const device = (source: string, { address = mac, more = '' } = {}) =>
  `<interface type='network'><mac address='${address}'/>${source}<target dev='vnet0'/><model type='virtio'/>${more}
    <alias name='net0'/><address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/></interface>`
const lan = "<source network='lan'/>"
const running = "<source network='lan' portid='ec7e13c0-dc6e-4ef2-9612-a67e53a40be4' bridge='virbr0'/>"
const filter = "<filterref filter='berth-own-mac'/>"

function domain(names: Readonly<Record<string, string>>, ...devices: string[]) {
  const details = Object.entries(names).map(([name, macAddress]) => element('interface', { name, macAddress }))
  const metadata = formatXml(element('metadata', {}, [tagElement(tag, details)]))
  return `<domain type='qemu'>${metadata}<devices>${devices.join('')}</devices></domain>`
}
const read = (live: string | undefined, defined: string) =>
  readMachineInterfaces(live === undefined ? undefined : parseXml(live), parseXml(defined))
const eth0 = domain({ eth0: mac }, device(lan))

describe('what a domain has', () => {
  test.each<[string, string | undefined, string, Partial<ReturnType<typeof read>[number]>]>([
    ['it is off', undefined, eth0, { attached: false, defined: true }],
    ['it runs', domain({ eth0: mac }, device(running)), eth0, { attached: true, defined: true }],
    [
      'it was moved, but its next start was not told yet',
      domain({ eth0: mac }, device("<source network='dmz' bridge='virbr1'/>")),
      eth0,
      { attachment: { libvirtNetwork: 'dmz' }, attached: true, defined: false },
    ],
    [
      'it is filtered now alone',
      domain({ eth0: mac }, device(running, { more: filter })),
      eth0,
      { antiSpoofing: 'MAC', attached: true, defined: false },
    ],
    [
      'its guest has not let go of it yet: what runs still knows whose it is',
      domain({ eth0: mac }, device(running)),
      domain({}),
      { attached: true, defined: false },
    ],
  ])('%s', (_, live, defined, expected) => {
    expect(read(live, defined)).toEqual([{ ...wanted, ...expected }])
  })

  test('a filter of others is none of ours; what is on no network or bridge has no attachment', () => {
    const foreign = device(lan, { more: "<filterref filter='clean-traffic'/>" })
    expect(read(undefined, domain({ eth0: mac }, foreign))[0]).not.toHaveProperty('antiSpoofing')
    const direct = `<interface type='direct'><mac address='${mac}'/><source dev='eth0'/></interface>`
    expect(read(undefined, domain({ eth0: mac }, direct))[0]).not.toHaveProperty('attachment')
  })

  test('what the tag does not name is somebody else’s; what parks the domain is nobody’s', () => {
    const both = parkDomain(domain({ eth0: mac }, device(lan), device(lan, { address: other })))
    expect(readDomain(both).parked).toBe(true)
    expect(read(undefined, both).map(({ name, macAddress }) => [name, macAddress])).toEqual([
      ['eth0', mac],
      [undefined, other],
    ])
    expect(foreignDevices(parseXml(both))).toEqual([findDevice(parseXml(both), other)])
  })
})

test('a device that is connected elsewhere keeps all else, whoever set it', () => {
  const bandwidth = "<bandwidth><inbound average='1000'/></bandwidth>"
  const before = findDevice(parseXml(domain({}, device(running, { more: `${bandwidth}${filter}` }))), mac)
  if (before === undefined) throw new Error('no device')
  const moved = changedDevice(before, { ...wanted, attachment: { bridge: 'br0' } })
  const xml = formatXml(moved)
  expect(moved.attributes).toEqual({ type: 'bridge' })
  for (const kept of ['average="1000"', 'name="net0"', 'slot="0x02"', 'dev="vnet0"']) expect(xml).toContain(kept)
  expect(xml).toContain('<source bridge="br0"/>')
  expect(xml).not.toMatch(/network=|filterref/)
  expect(formatXml(changedDevice(moved, { ...wanted, antiSpoofing: 'MAC' }))).toContain('berth-own-mac')
})

test('the tag gets an interface, or loses it, and keeps what else it says; without a prefix, as libvirt sets its own', () => {
  const root = parseXml(domain({ eth0: mac }, device(lan)))
  const added = tagWithInterface(root, other, 'side')
  expect(added?.attributes).toEqual({ ...tag, schema: '1' })
  expect(added?.children.map(({ attributes }) => attributes)).toEqual([
    { name: 'eth0', macAddress: mac },
    { name: 'side', macAddress: other },
  ])
  expect(tagWithInterface(root, mac.toUpperCase(), undefined)?.children).toEqual([])
  expect(tagWithInterface(parseXml('<domain/>'), mac, 'eth0')).toBeUndefined()
})
