import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { InterfaceSpec } from '../../hypervisor/port.ts'
import {
  type DomainDefinition,
  findMovedDisk,
  formatDomain,
  parkDomain,
  parkedNetwork,
  readDomain,
} from './domain-xml.ts'
import { diskTarget } from './hardware.ts'
import { releaseDomain } from './release.ts'
import { tagNamespace } from './tag.ts'

const text = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .filter((value) => !/[^\t\n\r\u0020-\u{10ffff}]/u.test(value))
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,18}[a-z0-9]$/)
const diskName = name.filter((value) => value !== 'seed')
const uuid = fc.uuid()

const macAddress = fc
  .uint8Array({ minLength: 5, maxLength: 5 })
  .map((bytes) => ['52', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':'))

const interfaces: fc.Arbitrary<readonly InterfaceSpec[]> = fc.uniqueArray(
  fc.record({
    name,
    macAddress,
    attachment: fc.oneof(fc.record({ bridge: name }), fc.record({ libvirtNetwork: name })),
  }),
  { maxLength: 4, selector: (one) => one.macAddress },
)

const hardware: fc.Arbitrary<Pick<DomainDefinition, 'machineType' | 'virtualisation' | 'mode'>> = fc.oneof(
  fc.record({
    machineType: fc.constantFrom('pc', 'q35'),
    virtualisation: fc.constantFrom('KVM', 'QEMU'),
    mode: fc.constant('HVM'),
  }),
  fc.record({
    machineType: fc.constantFrom('xenfv', 'xenpv', 'xenpvh'),
    virtualisation: fc.constant('Xen'),
    mode: fc.constantFrom('HVM', 'PV', 'PVH'),
  }),
)

const common: fc.Arbitrary<Omit<DomainDefinition, 'machineType' | 'virtualisation' | 'mode'>> = fc.record({
  id: uuid,
  name: fc.stringMatching(/^[a-z0-9-]{1,20}_[a-z0-9-]{1,20}$/),
  tag: fc.record({
    schema: fc.constant(1 as const),
    cluster: uuid,
    namespace: name,
    name,
    uid: uuid,
    instanceID: uuid,
    owner: text,
    slot: text,
  }),
  cpus: fc.integer({ min: 1, max: 255 }),
  memory: fc.integer({ min: 1, max: 2 ** 32 }).map((kibibytes) => kibibytes * 1024),
  architecture: fc.constant('x86_64'),
  disks: fc.uniqueArray(fc.record({ name: diskName, pool: text, volume: text, path: text }), {
    maxLength: 30,
    selector: (disk) => disk.name,
  }),
  seed: fc.record({ pool: text, volume: text, path: text }),
  interfaces,
})

/** Room to grow, in CPUs and KiB: guests of QEMU's alone have it. */
const room = fc.record({ cpus: fc.integer({ min: 0, max: 8 }), memory: fc.integer({ min: 0, max: 2 ** 20 }) })

const definition: fc.Arbitrary<DomainDefinition & { maxCpus: number; maxMemory: number }> = fc
  .tuple(common, hardware, room)
  .map(([given, chosen, more]) => {
    const { cpus, memory } = chosen.virtualisation === 'Xen' ? { cpus: 0, memory: 0 } : more
    return { ...given, ...chosen, maxCpus: given.cpus + cpus, maxMemory: given.memory + memory * 1024 }
  })

const example: DomainDefinition = {
  id: '4d1b2c4e-0000-4000-8000-00000000000a',
  name: 'default_web',
  tag: {
    schema: 1,
    cluster: 'c',
    namespace: 'default',
    name: 'web',
    uid: 'u',
    instanceID: '4d1b2c4e-0000-4000-8000-00000000000a',
    owner: 'User:alice',
    slot: 'kvm1-a-1',
  },
  cpus: 2,
  memory: 2 ** 30,
  architecture: 'x86_64',
  machineType: 'pc',
  virtualisation: 'QEMU',
  mode: 'HVM',
  disks: [{ name: 'root', pool: 'default', volume: 'v', path: '/pool/v' }],
  seed: { pool: 'default', volume: 's', path: '/pool/s' },
  interfaces: [{ name: 'main', macAddress: '52:54:00:00:00:01', attachment: { bridge: 'br0' } }],
}

describe('domain XML', () => {
  test('what is written reads back equal', () => {
    fc.assert(
      fc.property(definition, (given) => {
        const { reading, parked, paths, ...read } = readDomain(formatDomain(given))
        const { tag, ...rest } = given
        const disks = given.disks.map((disk, index) => ({ ...disk, target: diskTarget(given.virtualisation, index) }))
        expect({ tag: reading.tag, ...read }).toEqual({ tag, ...rest, disks })
        expect(parked).toBe(false)
        expect(paths).toEqual([...given.disks, given.seed].map((disk) => disk.path))
      }),
    )
  })

  test('equal definitions give equal XML', () => {
    fc.assert(fc.property(definition, (given) => formatDomain(given) === formatDomain(structuredClone(given))))
  })

  test('off stays off, a reboot is one, and a crash is not restarted behind our back', () => {
    const xml = formatDomain(example)
    expect(xml).toContain('<on_poweroff>destroy</on_poweroff>')
    expect(xml).toContain('<on_reboot>restart</on_reboot>')
    expect(xml).toContain('<on_crash>destroy</on_crash>')
  })

  test('the domain is of the type that was asked for', () => {
    expect(formatDomain(example)).toContain('<domain type="qemu">')
    expect(formatDomain({ ...example, virtualisation: 'KVM' })).toContain('<domain type="kvm">')
    expect(formatDomain({ ...example, virtualisation: 'Xen' })).toContain('<domain type="xen">')
  })

  test('memory that is no whole number of KiB is never less than asked for', () => {
    expect(readDomain(formatDomain({ ...example, memory: 1024 * 1024 + 1 })).memory).toBe(1024 * 1025)
  })

  test('disks beyond the 26th have names of two letters', () => {
    const targets = [0, 25, 26, 27, 701, 702].map((index) => diskTarget('KVM', index))
    expect(targets).toEqual(['vda', 'vdz', 'vdaa', 'vdab', 'vdzz', 'vdaaa'])
  })

  test('what is read of PV is PV, by the name that is written and the one that libvirt gives back', () => {
    const xml = formatDomain({ ...example, virtualisation: 'Xen', mode: 'PV', machineType: 'xenpv' })
    expect(readDomain(xml).mode).toBe('PV')
    expect(readDomain(xml.replace('>linux</type>', '>xen</type>')).mode).toBe('PV')
  })

  test('what is no domain is not read as one', () => {
    expect(() => readDomain('<network/>')).toThrow(SyntaxError)
    expect(() => readDomain('')).toThrow(SyntaxError)
  })
})

describe('guests of Xen', () => {
  const five = ['root', 'a', 'b', 'c', 'd'].map((name) => ({ name, pool: 'p', volume: name, path: `/p/${name}` }))
  const xen = (mode: DomainDefinition['mode']) =>
    formatDomain({ ...example, virtualisation: 'Xen', mode, machineType: `xen${mode}`, disks: five })
  const targets = (xml: string) =>
    [...xml.matchAll(/<target dev="(\w+)" bus="(\w+)"/g)].map(([, dev, bus]) => `${bus}:${dev}`)

  test.each(['HVM', 'PV', 'PVH'] as const)('in mode %s no two disks are the same device', (mode) => {
    const seed = mode === 'HVM' ? 'ide:hdd' : 'xen:xvdd'
    expect(targets(xen(mode))).toEqual(['xen:xvda', 'xen:xvdb', 'xen:xvdc', 'xen:xvde', 'xen:xvdf', seed])
  })

  test.each(['HVM', 'PV', 'PVH'] as const)('in mode %s only a CD-ROM is read-only: other disks may not be', (mode) => {
    const devices = [...xen(mode).matchAll(/<disk type="file" device="(\w+)">(.*?)<\/disk>/gs)]
    const readOnly = devices.filter(([, , inside]) => inside?.includes('<readonly/>'))
    expect(readOnly.map(([, device]) => device)).toEqual(['cdrom'])
    expect(readOnly[0]?.[2]).toContain('file="/pool/s"')
  })

  test('PVH names its boot loader: libxl has one by itself for PV alone', () => {
    expect(xen('PVH')).toContain('<bootloader>pygrub</bootloader>')
    expect(xen('HVM')).not.toContain('bootloader')
  })

  test('have nothing of virtio, parked or not: libxl would refuse it', () => {
    for (const mode of ['HVM', 'PV', 'PVH'] as const) expect(parkDomain(xen(mode))).not.toContain('virtio')
  })

  test('whose disk someone moved are found out without a serial number too', () => {
    const moved = xen('PV').replace('file="/p/c"', 'file="/p/c.copy"').replace('<serial>c</serial>', '')
    expect(findMovedDisk(moved, five)).toEqual({ disk: five[3], path: '/p/c.copy' })
  })
})

describe('parking', () => {
  test('changes nothing but one interface, and keeps tag and disks', () => {
    fc.assert(
      fc.property(definition, (given) => {
        const { parked, ...after } = readDomain(parkDomain(formatDomain(given)))
        const { parked: _, ...before } = readDomain(formatDomain(given))
        expect(parked).toBe(true)
        expect(after).toEqual(before)
      }),
    )
  })

  test('puts the fence among the devices, whatever is in metadata before or after them', () => {
    const foreign = '<x:devices xmlns:x="urn:x"></x:devices>'
    const xml = `<domain><metadata>${foreign}</metadata><devices></devices><seclabel/></domain>`
    const parked = parkDomain(xml)
    expect(parked).toContain(foreign)
    expect(parked.indexOf(parkedNetwork)).toBeGreaterThan(parked.indexOf('<devices>'))
    expect(readDomain(parked).parked).toBe(true)
  })

  test.each([
    '<domain></domain>',
    '<domain><devices/></domain>',
    '<domain><devices></devices><metadata><devices xmlns="urn:x"></devices></metadata></domain>',
  ])('is refused where the fence would not be one: %s', (xml) => {
    expect(() => parkDomain(xml)).toThrow(SyntaxError)
  })
})

describe('tags', () => {
  const withTag = (attributes: string) =>
    `<domain><metadata><b:machine xmlns:b="${tagNamespace}" ${attributes}/></metadata></domain>`
  const complete = 'cluster="c" namespace="n" name="n" uid="u" instanceID="i" owner="" slot="s"'

  test('any prefix is understood, and none', () => {
    const tag = { schema: 1, cluster: 'c', namespace: 'n', name: 'n', uid: 'u', instanceID: 'i', owner: '', slot: 's' }
    expect(readDomain(withTag(`schema="1" ${complete}`)).reading).toEqual({ tag })
    const unprefixed = `<domain><metadata><machine xmlns="${tagNamespace}" schema="1" ${complete}/></metadata></domain>`
    expect(readDomain(unprefixed).reading).toEqual({ tag })
  })

  test('a domain without one is not ours', () => {
    expect(readDomain('<domain/>').reading).toEqual({})
    expect(readDomain('<domain><metadata><machine xmlns="urn:other" schema="1"/></metadata></domain>').reading).toEqual(
      {},
    )
  })

  test('a schema of another version is not ours, and the reason says so', () => {
    const { reading } = readDomain(withTag(`schema="2" ${complete}`))
    expect(reading).toEqual({ reason: expect.stringContaining("schema '2'") })
  })

  test('half a tag is not ours, and the reason names what is missing', () => {
    const { reading } = readDomain(withTag('schema="1" cluster="c" namespace="n" name="n" uid="u" owner="" slot="s"'))
    expect(reading).toEqual({ reason: 'its tag lacks instanceID' })
  })
})

describe('disks that someone moved to another file', () => {
  const disks = ['root', 'data'].map((name) => ({ name, pool: 'p', volume: name, path: `/p/${name}` }))
  const xml = formatDomain({ ...example, disks })
  const [root, data] = disks

  test('are found by serial number, else by target, and no other disk counts', () => {
    expect(findMovedDisk(xml, disks)).toBeUndefined()
    const moved = xml.replace('/p/data', '/p/data.snapshot')
    expect(findMovedDisk(moved, disks)).toEqual({ disk: data, path: '/p/data.snapshot' })
    const bare = moved.replace('<serial>data</serial>', '')
    expect(findMovedDisk(bare, disks)).toEqual({ disk: data, path: '/p/data.snapshot' })
    expect(findMovedDisk(moved, disks.slice(0, 1))).toBeUndefined()
    expect(findMovedDisk(parkDomain(moved), disks)?.path).toBe('/p/data.snapshot')
  })

  test('include one that is no file any more, but none that the domain does not have yet', () => {
    const network = xml.replace('file="/p/root"', 'protocol="rbd" name="pool/root"')
    expect(findMovedDisk(network, disks)).toEqual({ disk: root, path: '' })
    expect(findMovedDisk(xml, [...disks, { name: 'more', pool: 'p', volume: 'more', path: '/p/more' }])).toBeUndefined()
  })
})

describe('releasing', () => {
  const released = (given: DomainDefinition, slot: string) => ({ ...given.tag, slot, released: true as const })

  test('changes nothing but the tag, parked before or not', () => {
    fc.assert(
      fc.property(definition, fc.boolean(), fc.boolean(), (given, isParked, isOff) => {
        const xml = formatDomain(given)
        const tag = released(given, isOff ? '' : given.tag.slot)
        const { reading, ...after } = readDomain(releaseDomain(isParked ? parkDomain(xml) : xml, tag))
        const { reading: _, ...before } = readDomain(xml)
        expect(reading).toEqual({ tag })
        expect(after).toEqual(before)
      }),
    )
  })

  test('leaves to the byte what others wrote, and interfaces of the same network name in their metadata', () => {
    fc.assert(
      fc.property(definition, (given) => {
        const foreign = `<x:machine xmlns:x="urn:x" slot="s"/><x:interface xmlns:x="urn:x"><source network="${parkedNetwork}"/></x:interface>`
        const xml = formatDomain(given).replace('<metadata>', `<metadata>${foreign}`)
        const text = releaseDomain(parkDomain(xml), released(given, given.tag.slot))
        expect(text).toContain(foreign)
        expect(text.replace(' released="true"', '')).toBe(xml)
      }),
    )
  })

  test('is refused where it would not come out so', () => {
    const [given] = fc.sample(definition, 1)
    if (given === undefined) throw new Error('no sample')
    expect(() => releaseDomain(formatDomain(given), { ...released(given, 's1'), uid: 'another' })).toThrow(SyntaxError)
    expect(() => releaseDomain('<domain><devices></devices></domain>', released(given, 's1'))).toThrow(SyntaxError)
  })
})
