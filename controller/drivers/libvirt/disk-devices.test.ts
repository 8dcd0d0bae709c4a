import { describe, expect, test } from '@jest/globals'
import { freeTarget, observedDisks, placeDisks, readDiskDevices, readLiveDiskDevices } from './disk-devices.ts'
import type { DomainDefinition, PlacedDisk } from './domain-xml.ts'
import { tagNamespace } from './tag.ts'

/** A domain with these disks in its metadata, and these devices. */
function domain(entries: string, devices: string, type = 'qemu'): string {
  const tag = `<b:machine xmlns:b="${tagNamespace}" schema="1">${entries}</b:machine>`
  return `<domain type="${type}"><metadata>${tag}</metadata><devices>${devices}</devices></domain>`
}

const entry = (name: string, target?: string) =>
  `<b:disk name="${name}" pool="p" volume="v-${name}"${target === undefined ? '' : ` target="${target}"`}/>`
const device = (serial: string, target: string, path = `/p/v-${serial}`) =>
  `<disk type="file"><source file="${path}"/><target dev="${target}" bus="virtio"/><serial>${serial}</serial>` +
  `<address type="pci" slot="0x0${target.charCodeAt(2) - 97}"/></disk>`

const named = (xml: string) => readDiskDevices(xml).map(({ entry: own, target }) => [own?.name, target])

describe('whose a disk is', () => {
  test('ours by its serial number, or its target where someone took that away', () => {
    const bare = device('', 'vdb', '/p/v-data')
    expect(named(domain(entry('root', 'vda') + entry('data', 'vdb'), device('root', 'vda') + bare))).toEqual([
      ['root', 'vda'],
      ['data', 'vdb'],
    ])
  })

  test('of two of one serial number the one that is where ours was put', () => {
    const twice = device('data', 'vdx', '/other') + device('data', 'vdb')
    expect(named(domain(entry('data', 'vdb'), twice))).toEqual([
      [undefined, 'vdx'],
      ['data', 'vdb'],
    ])
  })

  test('one that the metadata do not name is not ours, and the seed is no disk', () => {
    const xml = domain(entry('root'), device('root', 'vda') + device('seed', 'vdb') + device('mine', 'vdc'))
    expect(observedDisks([], readDiskDevices(xml))).toEqual([
      { name: 'root', pool: 'p', volume: 'v-root', target: 'vda', attached: false, defined: true },
      { target: 'vdc', attached: false, defined: true },
    ])
  })

  test('metadata without targets are of an older version: by their order', () => {
    const bare = device('', 'vdb', '/p/v-data')
    expect(named(domain(entry('root') + entry('data'), device('root', 'vda') + bare)).at(-1)).toEqual(['data', 'vdb'])
    const xen = domain(entry('a') + entry('b') + entry('c') + entry('d'), device('', 'xvde'), 'xen')
    expect(named(xen)).toEqual([['d', 'xvde']])
  })

  test('one that is on its way out is told by the metadata of the run, one plugged in from the definition by the other', () => {
    const live = domain(
      entry('root', 'vda') + entry('old', 'vdb'),
      ['root', 'old', 'new'].map((name, index) => device(name, `vd${'abc'[index]}`)).join(''),
    )
    const defined = domain(entry('root', 'vda') + entry('new', 'vdc'), device('root', 'vda') + device('new', 'vdc'))
    const seen = observedDisks(readLiveDiskDevices(live, defined), readDiskDevices(defined))
    expect(seen.map(({ name, attached, defined: next }) => [name, attached, next])).toEqual([
      ['root', true, true],
      ['old', true, false],
      ['new', true, true],
    ])
  })

  test('a disk is of all files below it, too', () => {
    const backing = '<backingStore type="file"><source file="/p/base"/></backingStore>'
    const xml = domain('', `<disk type="file"><source file="/p/top"/>${backing}<target dev="vda"/></disk>`)
    expect(readDiskDevices(xml)[0]?.paths).toEqual(['/p/top', '/p/base'])
  })
})

describe('where a disk goes', () => {
  const disk = (name: string): PlacedDisk => ({ name, pool: 'p', volume: name, path: `/p/${name}` })
  const seed: DomainDefinition['seed'] = { pool: 'p', volume: 's', path: '/p/s' }
  const place = (names: readonly string[], xml?: string, virtualisation: 'QEMU' | 'Xen' = 'QEMU') => {
    const placed = placeDisks(
      { virtualisation, disks: names.map(disk), seed },
      xml === undefined ? [] : readDiskDevices(xml),
    )
    return [...placed.disks.map(({ name, target }) => [name, target]), ['seed', placed.seed.target]]
  }

  test('at first by the order, the seed last', () => {
    expect(place(['root', 'data'])).toEqual([
      ['root', 'vda'],
      ['data', 'vdb'],
      ['seed', 'vdc'],
    ])
  })

  test('then where it is, whatever came before it; a new one where nothing is, and was', () => {
    const xml = domain(
      entry('root', 'vda') + entry('old', 'vdb') + entry('data', 'vdd'),
      device('root', 'vda') + device('old', 'vdb') + device('seed', 'vdc') + device('data', 'vdd'),
    )
    expect(place(['root', 'new', 'data'], xml)).toEqual([
      ['root', 'vda'],
      ['new', 'vde'],
      ['data', 'vdd'],
      ['seed', 'vdc'],
    ])
    const placed = placeDisks(
      { virtualisation: 'QEMU', disks: [disk('data'), disk('new')], seed },
      readDiskDevices(xml),
    )
    expect(placed.disks.map(({ address }) => address?.attributes['slot'])).toEqual(['0x03', undefined])
  })

  test('on Xen never where the seed is, nor where an emulated disk is', () => {
    expect(freeTarget('Xen', new Set(['xvda', 'hdb', 'xvdc']))).toBe('xvde')
    expect(place(['a', 'b', 'c', 'd'], undefined, 'Xen').map(([, target]) => target)).toEqual([
      'xvda',
      'xvdb',
      'xvdc',
      'xvde',
      undefined,
    ])
  })
})
