import type { BootMode, DiskSpec, InterfaceSpec, Tag } from '../../hypervisor/port.ts'
import { readAntiSpoofing } from './anti-spoofing.ts'
import { entryElement, findDevice, placeDisks, readEntries, seedSerial, sourcePath } from './disk-devices.ts'
import { qemuHardware } from './hardware-qemu.ts'
import { xenHardware } from './hardware-xen.ts'
import { findTagElement, readTag, type TagReading, tagElement } from './tag.ts'
import { type Element, element, find, findAll, formatXml, parseXml, sizeOf, textOf } from './xml.ts'

/** A disk with the path that its volume has on the host. */
export interface PlacedDisk extends DiskSpec {
  readonly path: string
  /** What the guest sees it as. Absent: the first that is free. */
  readonly target?: string
  /** libvirt's element of where it is plugged in. Absent: where there is room. */
  readonly address?: Element
}

/** What runs the machine; with QEMU, whether the CPU is KVM's or emulated. */
export type Virtualisation = 'KVM' | 'QEMU' | 'Xen'

/** What a domain's XML is made of: a MachineSpec, and what the host said about it. */
export interface DomainDefinition {
  /** UUID of the domain: the machine's instance id. */
  readonly id: string
  readonly name: string
  readonly tag: Tag
  readonly cpus: number
  /** Bytes. libvirt counts in KiB, QEMU in MiB once it runs: what is not a multiple is rounded up. */
  readonly memory: number
  /** Up to which they can be changed while it runs; of QEMU's only. Absent: as cpus, memory. */
  readonly maxCpus?: number
  readonly maxMemory?: number
  readonly architecture: string
  readonly machineType: string
  readonly virtualisation: Virtualisation
  readonly mode: BootMode
  /** qcow2, each; the first is the one to boot from. */
  readonly disks: readonly PlacedDisk[]
  readonly seed: Omit<PlacedDisk, 'name'>
  readonly interfaces: readonly InterfaceSpec[]
  /** Devices of others, as the domain has them: they stay. */
  readonly others?: readonly Element[]
}

/** A domain as its XML tells. What is optional is not there in domains that are not ours. */
export interface DomainReading
  extends Omit<DomainDefinition, 'tag' | 'seed' | 'virtualisation' | 'mode' | 'maxCpus' | 'maxMemory' | 'others'> {
  readonly reading: TagReading
  readonly virtualisation?: Virtualisation
  readonly mode?: BootMode
  readonly maxCpus: number
  readonly maxMemory: number
  readonly seed?: DomainDefinition['seed']
  readonly parked: boolean
  /** Sources of all its disks, ours or not. */
  readonly paths: readonly string[]
}

/**
 * A libvirt network that never exists: a domain with an interface on it is refused by the host when it is started,
 * before any process runs (the fence between a stop and a late start).
 */
export const parkedNetwork = 'berth-parked'

const domainTypes = { KVM: 'kvm', QEMU: 'qemu', Xen: 'xen' } as const

/** libvirt's words for the modes. It accepts `xen` for PV, and gives it back as `linux`. */
const osTypes = { HVM: 'hvm', PV: 'linux', PVH: 'xenpvh' } as const

/**
 * XML of a domain. Equal definitions give equal XML. Throws RangeError for text that XML cannot hold.
 *
 * Disks are given by path rather than by pool and volume, because AppArmor's helper cannot resolve pools and would deny
 * the access; pool and volume are kept in the metadata.
 */
export function formatDomain(definition: DomainDefinition): string {
  const domain = placeDisks(definition)
  const details = [
    ...domain.disks.map(({ target = '', ...disk }) => entryElement({ ...disk, target })),
    element('seed', { pool: domain.seed.pool, volume: domain.seed.volume }),
    ...domain.interfaces.map(({ name, macAddress }) => element('interface', { name, macAddress })),
  ]
  const { boot, platform, devices } = (domain.virtualisation === 'Xen' ? xenHardware : qemuHardware)({
    ...domain,
    seed: { ...domain.seed, name: seedSerial },
  })
  const type = { arch: domain.architecture, machine: domain.machineType }
  return formatXml(
    element('domain', { type: domainTypes[domain.virtualisation] }, [
      element('name', {}, domain.name),
      element('uuid', {}, domain.id),
      element('metadata', {}, [tagElement(domain.tag, details)]),
      ...sizeElements(domain),
      element('os', {}, [element('type', type, osTypes[domain.mode]), ...boot]),
      ...platform,
      element('on_poweroff', {}, 'destroy'),
      element('on_reboot', {}, 'restart'),
      element('on_crash', {}, 'destroy'),
      element('devices', {}, [...devices, ...(domain.others ?? [])]),
    ]),
  )
}

function sizeElements({ cpus, memory, maxCpus = cpus, maxMemory = memory }: DomainDefinition): Element[] {
  const kibibytes = (name: string, bytes: number) => element(name, { unit: 'KiB' }, Math.ceil(bytes / 1024))
  return [
    kibibytes('memory', maxMemory),
    ...(maxMemory === memory ? [] : [kibibytes('currentMemory', memory)]),
    element('vcpu', { placement: 'static', current: maxCpus === cpus ? undefined : cpus }, maxCpus),
  ]
}

/**
 * The same domain with an interface on {@link parkedNetwork}. Everything else stays to the byte, whoever wrote it,
 * as libvirt's own XML is taken: the devices come after all metadata in it.
 */
export function parkDomain(xml: string): string {
  const end = xml.lastIndexOf('</devices>')
  if (end === -1) throw new SyntaxError('the domain has no devices')
  // Xen has no virtio, and would refuse the model before it looks for the network.
  const isXen = parseXml(xml).attributes['type'] === domainTypes.Xen
  const model = isXen ? [] : [element('model', { type: 'virtio' }), element('rom', { enabled: 'no' })]
  const parked = `${xml.slice(0, end)}${formatXml(
    element('interface', { type: 'network' }, [
      element('mac', { address: '52:54:00:00:00:00' }),
      element('source', { network: parkedNetwork }),
      ...model,
    ]),
  )}${xml.slice(end)}`
  // Guards the fence itself: what was inserted has to be read as a device.
  if (!readDomain(parked).parked) throw new SyntaxError('the domain cannot be parked')
  return parked
}

/** Reads any domain's XML. Throws SyntaxError for what is not a domain. */
export function readDomain(xml: string): DomainReading {
  const root = parseXml(xml)
  if (root.name !== 'domain') throw new SyntaxError(`a domain's XML begins with <domain>, not <${root.name}>`)
  const own = findTagElement(root)
  const devices = find(root, 'devices')
  const disks = findAll(devices, 'disk')
  const interfaces = findAll(devices, 'interface')
  const paths = disks.flatMap((disk) => sourcePath(disk) ?? [])
  const type = find(root, 'os', 'type')
  const virtualisation = (['KVM', 'QEMU', 'Xen'] as const).find((key) => domainTypes[key] === root.attributes['type'])
  const osType = textOf(type)
  const mode = osType === 'xen' ? 'PV' : (['HVM', 'PV', 'PVH'] as const).find((key) => osTypes[key] === osType)
  const seed = find(own, 'seed')
  const seedDisk = disks.find((disk) => textOf(disk, 'serial') === seedSerial)
  const vcpu = find(root, 'vcpu')
  const maxMemory = sizeOf(find(root, 'memory'), 'KiB')
  // libxl writes there what a guest has, and its own needs.
  const currentMemory = find(root, 'currentMemory')
  return {
    id: textOf(root, 'uuid'),
    name: find(root, 'name')?.text ?? '',
    reading: readTag(root),
    cpus: Number(vcpu?.attributes['current'] ?? textOf(vcpu)),
    memory: currentMemory === undefined || virtualisation === 'Xen' ? maxMemory : sizeOf(currentMemory, 'KiB'),
    maxCpus: Number(textOf(vcpu)),
    maxMemory,
    architecture: type?.attributes['arch'] ?? '',
    machineType: type?.attributes['machine'] ?? '',
    ...(virtualisation === undefined ? {} : { virtualisation }),
    ...(mode === undefined ? {} : { mode }),
    disks: readEntries(root).map((entry) => ({ ...entry, path: pathOf(findDevice(disks, entry)) })),
    ...(seed === undefined
      ? {}
      : {
          seed: {
            pool: seed.attributes['pool'] ?? '',
            volume: seed.attributes['volume'] ?? '',
            path: pathOf(seedDisk),
          },
        }),
    interfaces: findAll(own, 'interface').flatMap(({ attributes }) => readInterface(attributes, interfaces)),
    parked: interfaces.some((device) => find(device, 'source')?.attributes['network'] === parkedNetwork),
    paths,
  }
}

/**
 * The first of the disks that the domain has from elsewhere, with the path it has there (empty: no file or device).
 * A disk that the domain does not have yet is none.
 */
export function findMovedDisk(
  xml: string,
  disks: readonly PlacedDisk[],
): { readonly disk: PlacedDisk; readonly path: string } | undefined {
  const root = parseXml(xml)
  const devices = findAll(find(root, 'devices'), 'disk')
  const entries = readEntries(root)
  return disks
    .map((disk) => {
      const { name, target = '' } = disk
      const device = findDevice(devices, entries.find((entry) => entry.name === name) ?? { ...disk, target })
      return { disk, path: device === undefined ? disk.path : pathOf(device) }
    })
    .find(({ disk, path }) => path !== disk.path)
}

function readInterface(
  { name = '', macAddress = '' }: Readonly<Record<string, string>>,
  devices: readonly Element[],
): InterfaceSpec[] {
  const device = devices.find((candidate) => find(candidate, 'mac')?.attributes['address'] === macAddress.toLowerCase())
  const { bridge, network } = find(device, 'source')?.attributes ?? {}
  const known = { name, macAddress, ...(device ? readAntiSpoofing(device) : {}) }
  if (bridge !== undefined && network === undefined) return [{ ...known, attachment: { bridge } }]
  return network === undefined ? [] : [{ ...known, attachment: { libvirtNetwork: network } }]
}

function pathOf(disk: Element | undefined): string {
  return sourcePath(disk) ?? ''
}
