import { BerthError } from '../../errors/index.ts'
import type { DiskSpec, InterfaceSpec, NetworkAttachment, Tag } from '../../hypervisor/port.ts'
import { findTagElement, readTag, type TagReading, tagElement } from './tag.ts'
import { type Element, element, find, findAll, formatXml, parseXml, sizeOf, textOf } from './xml.ts'

/** A disk with the path that its volume has on the host. */
export interface PlacedDisk extends DiskSpec {
  readonly path: string
}

/** What a domain's XML is made of: a MachineSpec, and what the host said about it. */
export interface DomainDefinition {
  /** UUID of the domain: the machine's instance id. */
  readonly id: string
  readonly name: string
  readonly tag: Tag
  readonly cpus: number
  /** Bytes. libvirt counts in KiB, QEMU in MiB once it runs: what is not a multiple is rounded up. */
  readonly memory: number
  readonly architecture: string
  readonly machineType: string
  readonly accelerator: 'KVM' | 'QEMU'
  /** qcow2, each; the first is the one to boot from. */
  readonly disks: readonly PlacedDisk[]
  readonly seed: Omit<PlacedDisk, 'name'>
  readonly interfaces: readonly InterfaceSpec[]
}

/** A domain as its XML tells. What is optional is not there in domains that are not ours. */
export interface DomainReading extends Omit<DomainDefinition, 'tag' | 'seed' | 'accelerator'> {
  readonly reading: TagReading
  readonly accelerator?: 'KVM' | 'QEMU'
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

/** virtio disks show at most 20 bytes of a serial number. */
const seedDiskName = 'seed'

const domainTypes = { KVM: 'kvm', QEMU: 'qemu' } as const

/**
 * XML of a domain. Equal definitions give equal XML. Throws RangeError for text that XML cannot hold.
 *
 * Disks, seed and interfaces are virtio: what every guest since 2010 has drivers for, and what cloud kernels without
 * AHCI find. The seed is a read-only virtio disk, as NoCloud is found by its label on any block device. Disks are given
 * by path rather than by pool and volume, because AppArmor's helper cannot resolve pools and would deny the access;
 * pool and volume are kept in the metadata.
 */
export function formatDomain(domain: DomainDefinition): string {
  const details = [
    ...domain.disks.map(({ name, pool, volume }) => element('disk', { name, pool, volume })),
    element('seed', { pool: domain.seed.pool, volume: domain.seed.volume }),
    ...domain.interfaces.map(({ name, macAddress }) => element('interface', { name, macAddress })),
  ]
  return formatXml(
    element('domain', { type: domainTypes[domain.accelerator] }, [
      element('name', {}, domain.name),
      element('uuid', {}, domain.id),
      element('metadata', {}, [tagElement(domain.tag, details)]),
      element('memory', { unit: 'KiB' }, Math.ceil(domain.memory / 1024)),
      element('vcpu', { placement: 'static' }, domain.cpus),
      element('os', {}, [element('type', { arch: domain.architecture, machine: domain.machineType }, 'hvm')]),
      element('features', {}, [element('acpi'), element('apic')]),
      processor(domain.accelerator),
      clock(domain.accelerator),
      element('on_poweroff', {}, 'destroy'),
      element('on_reboot', {}, 'restart'),
      element('on_crash', {}, 'destroy'),
      element('devices', {}, devices(domain)),
    ]),
  )
}

function processor(accelerator: 'KVM' | 'QEMU'): Element {
  // TCG's own default is a CPU of 2003, which distributions built for x86-64-v2 refuse to run on.
  if (accelerator === 'QEMU') return element('cpu', { mode: 'maximum' })
  return element('cpu', { mode: 'host-passthrough', check: 'none', migratable: 'on' })
}

function clock(accelerator: 'KVM' | 'QEMU'): Element {
  if (accelerator === 'QEMU') return element('clock', { offset: 'utc' })
  // Lost ticks are caught up with, and guests use kvm-clock instead of the costly HPET.
  return element('clock', { offset: 'utc' }, [
    element('timer', { name: 'rtc', tickpolicy: 'catchup' }),
    element('timer', { name: 'pit', tickpolicy: 'delay' }),
    element('timer', { name: 'hpet', present: 'no' }),
  ])
}

function devices(domain: DomainDefinition): Element[] {
  return [
    ...domain.disks.map((disk, index) =>
      virtioDisk(disk, index, 'qcow2', index === 0 ? element('boot', { order: 1 }) : undefined),
    ),
    virtioDisk({ ...domain.seed, name: seedDiskName }, domain.disks.length, 'raw', element('readonly')),
    ...domain.interfaces.map(virtioInterface),
    element('controller', { type: 'usb', model: 'none' }),
    element('serial', { type: 'pty' }, [element('target', { port: 0 })]),
    element('channel', { type: 'unix' }, [element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' })]),
    element('memballoon', { model: 'virtio' }),
    element('rng', { model: 'virtio' }, [element('backend', { model: 'random' }, '/dev/urandom')]),
  ]
}

function virtioDisk(disk: PlacedDisk, index: number, type: 'qcow2' | 'raw', extra: Element | undefined): Element {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', { name: 'qemu', type, discard: type === 'qcow2' ? 'unmap' : undefined }),
    element('source', { file: disk.path }),
    element('target', { dev: diskTarget(index), bus: 'virtio' }),
    element('serial', {}, disk.name),
    extra,
  ])
}

function interfaceSource(attachment: NetworkAttachment): [string, Record<string, string>] {
  if ('bridge' in attachment) return ['bridge', { bridge: attachment.bridge }]
  if ('libvirtNetwork' in attachment) return ['network', { network: attachment.libvirtNetwork }]
  throw new BerthError('InvalidConfiguration', `Network ${attachment.xapiNetwork} of XAPI is not for libvirt.`)
}

/** `vda` … `vdz`, `vdaa` … */
export function diskTarget(index: number): string {
  const letters = (number: number): string =>
    (number < 26 ? '' : letters(Math.floor(number / 26) - 1)) + String.fromCharCode(97 + (number % 26))
  return `vd${letters(index)}`
}

function virtioInterface({ macAddress, attachment }: InterfaceSpec): Element {
  const [type, source] = interfaceSource(attachment)
  return element('interface', { type }, [
    element('mac', { address: macAddress }),
    element('source', source),
    element('model', { type: 'virtio' }),
    // Without a boot ROM: hosts need no iPXE files, and the firmware does not wait for a network.
    element('rom', { enabled: 'no' }),
  ])
}

/**
 * The same domain with an interface on {@link parkedNetwork}. Everything else stays to the byte, whoever wrote it,
 * as libvirt's own XML is taken: the devices come after all metadata in it.
 */
export function parkDomain(xml: string): string {
  const end = xml.lastIndexOf('</devices>')
  if (end === -1) throw new SyntaxError('the domain has no devices')
  const parked = `${xml.slice(0, end)}${formatXml(
    element('interface', { type: 'network' }, [
      element('mac', { address: '52:54:00:00:00:00' }),
      element('source', { network: parkedNetwork }),
      element('model', { type: 'virtio' }),
      element('rom', { enabled: 'no' }),
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
  const accelerator = (['KVM', 'QEMU'] as const).find((key) => domainTypes[key] === root.attributes['type'])
  const seed = find(own, 'seed')
  const seedDisk = disks.find((disk) => textOf(disk, 'serial') === seedDiskName)
  const vcpu = find(root, 'vcpu')
  return {
    id: textOf(root, 'uuid'),
    name: find(root, 'name')?.text ?? '',
    reading: readTag(root),
    cpus: Number(vcpu?.attributes['current'] ?? textOf(vcpu)),
    memory: sizeOf(find(root, 'memory'), 'KiB'),
    architecture: type?.attributes['arch'] ?? '',
    machineType: type?.attributes['machine'] ?? '',
    ...(accelerator === undefined ? {} : { accelerator }),
    disks: findAll(own, 'disk').map(({ attributes }) => ({
      name: attributes['name'] ?? '',
      pool: attributes['pool'] ?? '',
      volume: attributes['volume'] ?? '',
      path: pathOf(disks.find((disk) => textOf(disk, 'serial') === attributes['name'])),
    })),
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
  const devices = findAll(find(parseXml(xml), 'devices'), 'disk')
  return disks
    .map((disk, index) => {
      // By its target where someone took the serial number away.
      const device =
        devices.find((candidate) => textOf(candidate, 'serial') === disk.name) ??
        devices.find(
          (candidate) =>
            textOf(candidate, 'serial') === '' && find(candidate, 'target')?.attributes['dev'] === diskTarget(index),
        )
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
  if (bridge !== undefined && network === undefined) return [{ name, macAddress, attachment: { bridge } }]
  return network === undefined ? [] : [{ name, macAddress, attachment: { libvirtNetwork: network } }]
}

function sourcePath(disk: Element | undefined): string | undefined {
  const { file, dev } = find(disk, 'source')?.attributes ?? {}
  return file ?? dev
}

function pathOf(disk: Element | undefined): string {
  return sourcePath(disk) ?? ''
}
