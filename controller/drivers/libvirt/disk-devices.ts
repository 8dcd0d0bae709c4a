/** The disks of a domain: which of its devices are those that Berth gave it, and where new ones go. */
import type { DiskSpec, ObservedDisk } from '../../hypervisor/port.ts'
import type { DomainDefinition, PlacedDisk, Virtualisation } from './domain-xml.ts'
import { diskTarget } from './hardware.ts'
import { findTagElement } from './tag.ts'
import { type Element, element, find, findAll, parseXml, textOf } from './xml.ts'

/** The serial number of the seed; those of disks are their names. */
export const seedSerial = 'seed'

/** A disk as our metadata have it. */
export type DiskEntry = DiskSpec & { readonly target: string }

/** A disk among the devices of a domain. */
export interface DiskDevice {
  /** Absent: none that Berth gave the domain. */
  readonly entry?: DiskEntry
  readonly isSeed: boolean
  readonly serial: string
  /** Empty: it is neither a file nor a device of the host. */
  readonly path: string
  /** Of all that it is made of, those below a snapshot and those of a copy under way too. */
  readonly paths: readonly string[]
  readonly target: string
  readonly bus: string
  /** Where it is plugged in. */
  readonly address?: Element
}

/** Reads any domain's XML. */
export function readDiskDevices(xml: string): readonly DiskDevice[] {
  const root = parseXml(xml)
  return matchDevices(root, readEntries(root))
}

/**
 * Those of the definition that runs, with what the metadata of either definition say of them: a disk that is on its way
 * out is in that of the run alone, one that a person has plugged in from the definition in the other.
 */
export function readLiveDiskDevices(live: string, defined: string): readonly DiskDevice[] {
  const root = parseXml(live)
  const entries = readEntries(root)
  const more = readEntries(parseXml(defined)).filter(({ name }) => !entries.some((entry) => entry.name === name))
  return matchDevices(root, [...entries, ...more])
}

/** Our metadata's disks. Those of older versions name no target: it was by their order. */
export function readEntries(root: Element): readonly DiskEntry[] {
  const virtualisation = virtualisationOf(root)
  return findAll(findTagElement(root), 'disk').map(({ attributes }, index) => ({
    name: attributes['name'] ?? '',
    pool: attributes['pool'] ?? '',
    volume: attributes['volume'] ?? '',
    target: attributes['target'] ?? diskTarget(virtualisation, index),
  }))
}

export const entryElement = ({ name, pool, volume, target }: DiskEntry): Element =>
  element('disk', { name, pool, volume, target })

/** A device is known by its serial number; by its target where someone took that away. */
export function findDevice(devices: readonly Element[], { name, target }: DiskEntry): Element | undefined {
  const ofSerial = (serial: string) => devices.filter((device) => textOf(device, 'serial') === serial)
  const isAtTarget = (device: Element) => targetOf(device) === target
  const named = ofSerial(name)
  return named.find(isAtTarget) ?? named[0] ?? ofSerial('').find(isAtTarget)
}

/** The file or device of the host that a disk is. */
export function sourcePath(disk: Element | undefined): string | undefined {
  const { file, dev } = find(disk, 'source')?.attributes ?? {}
  return file ?? dev
}

/**
 * Gives each disk what the guest sees it as, and where it is plugged in: as in `known`, the devices that the domain has
 * and had, or else where nothing of those is. So a disk stays where it is while others come and go.
 */
export function placeDisks<T extends Pick<DomainDefinition, 'disks' | 'seed' | 'virtualisation'>>(
  domain: T,
  known: readonly DiskDevice[] = [],
): T {
  const { virtualisation } = domain
  const used = new Set(known.map(({ target }) => target))
  const place = <Disk extends Pick<PlacedDisk, 'target' | 'path'>>(
    disk: Disk,
    before: DiskDevice | undefined,
  ): Disk => {
    const target = disk.target ?? before?.target ?? freeTarget(virtualisation, used)
    used.add(target)
    return { ...disk, target, ...(before?.address === undefined ? {} : { address: before.address }) }
  }
  const disks = domain.disks.map((disk) =>
    place(
      disk,
      known.find(({ entry }) => entry?.name === disk.name),
    ),
  )
  // Xen's seed has a place of its own.
  if (virtualisation === 'Xen') return { ...domain, disks }
  const seed = place(
    domain.seed,
    known.find(({ isSeed }) => isSeed),
  )
  return { ...domain, disks, seed }
}

/** The first that none of these is. On Xen `xvda` and the emulated `hda` are one. */
export function freeTarget(virtualisation: Virtualisation, used: ReadonlySet<string>): string {
  const place = (target: string) => (virtualisation === 'Xen' ? target.replace(/^(xv|h|s)d/, '') : target)
  const taken = new Set([...used].map(place))
  let index = 0
  while (taken.has(place(diskTarget(virtualisation, index)))) index++
  return diskTarget(virtualisation, index)
}

/** What the port tells of them, without the seed. */
export function observedDisks(live: readonly DiskDevice[], defined: readonly DiskDevice[]): readonly ObservedDisk[] {
  const isIn = (devices: readonly DiskDevice[], disk: DiskDevice) => devices.some((device) => isSameDisk(device, disk))
  return [...live, ...defined.filter((disk) => !isIn(live, disk))]
    .filter(({ isSeed }) => !isSeed)
    .map((disk) => {
      const { entry, target } = disk
      const where = entry === undefined ? {} : { name: entry.name, pool: entry.pool, volume: entry.volume }
      return { ...where, target, attached: isIn(live, disk), defined: isIn(defined, disk) }
    })
}

/** Ours by name, others by what they are. */
const isSameDisk = (one: DiskDevice, other: DiskDevice): boolean =>
  one.entry?.name === other.entry?.name &&
  (one.entry !== undefined || (one.target === other.target && one.path === other.path))

function matchDevices(root: Element, entries: readonly DiskEntry[]): readonly DiskDevice[] {
  const devices = findAll(find(root, 'devices'), 'disk')
  const owners = new Map(entries.map((entry) => [findDevice(devices, entry), entry]))
  const seed = devices.find((device) => textOf(device, 'serial') === seedSerial)
  return devices.map((device) => {
    const entry = owners.get(device)
    const address = find(device, 'address')
    return {
      ...(entry === undefined ? {} : { entry }),
      isSeed: device === seed,
      serial: textOf(device, 'serial'),
      path: sourcePath(device) ?? '',
      paths: allPaths(device),
      target: targetOf(device),
      bus: find(device, 'target')?.attributes['bus'] ?? '',
      ...(address === undefined ? {} : { address }),
    }
  })
}

const targetOf = (device: Element): string => find(device, 'target')?.attributes['dev'] ?? ''

const virtualisationOf = (root: Element): Virtualisation => (root.attributes['type'] === 'xen' ? 'Xen' : 'QEMU')

function allPaths(parent: Element): string[] {
  return [sourcePath(parent) ?? [], ...parent.children.map(allPaths)].flat()
}
