import type { Connection, CallOptions as LibvirtCallOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { BootMode, Capabilities, HostInformation } from '../../hypervisor/port.ts'
import type { Virtualisation } from './domain-xml.ts'
import { readHostID } from './host-id.ts'
import { hasPacketFilters } from './packet-filters.ts'
import { type Element, findAll, parseXml, textOf } from './xml.ts'

/** libvirt 8.0 (January 2022): Ubuntu 22.04, Debian 12 and RHEL 8.6 have it or newer. */
export const oldestVersion = 8_000_000

/**
 * Guests that `formatDomain` writes XML for: by libvirt's OS type and architecture, the machine types in order of
 * preference, and libvirt's domain types with what they mean.
 */
const known: readonly {
  readonly osType: string
  readonly mode: BootMode
  readonly architecture: string
  readonly machineTypes: readonly string[]
  readonly virtualisations: Readonly<Record<string, Virtualisation>>
}[] = [
  {
    osType: 'hvm',
    mode: 'HVM',
    architecture: 'x86_64',
    // i440fx first: disks and interfaces can be added to it without ports set aside. Hosts without it have q35.
    machineTypes: ['pc', 'q35', 'xenfv'],
    virtualisations: { kvm: 'KVM', qemu: 'QEMU', xen: 'Xen' },
  },
  {
    osType: 'xen',
    mode: 'PV',
    architecture: 'x86_64',
    machineTypes: ['xenpv'],
    virtualisations: { xen: 'Xen' },
  },
  {
    osType: 'xenpvh',
    mode: 'PVH',
    architecture: 'x86_64',
    machineTypes: ['xenpvh'],
    virtualisations: { xen: 'Xen' },
  },
]

/** One kind of guest that the host can run. */
export interface GuestType {
  readonly mode: BootMode
  readonly architecture: string
  readonly machineType: string
  /** In no order. */
  readonly virtualisations: readonly Virtualisation[]
}

/** What the driver needs to know of a host beyond the port's information. */
export interface Host {
  readonly information: HostInformation
  /** The mode that is best where none is asked for comes first. */
  readonly guests: readonly GuestType[]
}

/** Version as libvirt numbers it, in words: 9 000 000 is 9.0.0. */
export function formatVersion(version: number): string {
  return [Math.floor(version / 1e6), Math.floor(version / 1e3) % 1e3, version % 1e3].join('.')
}

/** Asks the host about itself. Rejects with VersionUnsupported, or as node-libvirt does. */
export async function readHost(connection: Connection, options: LibvirtCallOptions): Promise<Host> {
  const [libvirt, hypervisor, type, hostName, capabilitiesXML, node, freeMemory] = await Promise.all([
    connection.getLibVersion(options),
    connection.getVersion(options),
    connection.getType(options),
    connection.getHostname(options),
    connection.getCapabilities(options),
    connection.getNodeInfo(options),
    connection.getFreeMemory(options),
  ])
  if (libvirt < oldestVersion) {
    const versions = `${formatVersion(libvirt)}; Berth needs ${formatVersion(oldestVersion)} or newer`
    throw new BerthError('VersionUnsupported', `The host has libvirt ${versions}.`)
  }
  const { guests, capabilities } = readCapabilities(capabilitiesXML)
  // libxl does not know filters of packets, even where the daemon has them.
  const isQEMU = capabilities.accelerators.length > 0
  const filters = isQEMU && (await hasPacketFilters(connection, options)) ? ['AntiSpoofing'] : []
  return {
    guests,
    information: {
      id: await readHostID(connection, options),
      hostName,
      version: `libvirt ${formatVersion(libvirt)}, ${type} ${formatVersion(hypervisor)}`,
      cpus: node.cpus,
      memory: node.memory * 1024,
      freeMemory,
      capabilities: { ...capabilities, features: [...filters, ...capabilities.features] },
    },
  }
}

/**
 * Reads libvirt's capabilities. `KVM` is there when libvirt lists it for the architecture, which means that the kernel
 * has /dev/kvm and QEMU could open it. Whether a guest then runs cannot be known without running one (nested
 * virtualisation may fail later), which is why Hypervisor.spec.libvirt.domainType can say QEMU.
 */
export function readCapabilities(xml: string): Pick<Host, 'guests'> & { readonly capabilities: Capabilities } {
  const offered = findAll(parseXml(xml), 'guest').flatMap((guest) =>
    findAll(guest, 'arch').map((arch) => ({ osType: textOf(guest, 'os_type'), arch })),
  )
  const guests = known.flatMap((kind): GuestType[] =>
    offered
      .filter(({ osType, arch }) => osType === kind.osType && arch.attributes['name'] === kind.architecture)
      .flatMap(({ arch }) => {
        const machineType = kind.machineTypes.find((wanted) => offers(arch, wanted))
        const virtualisations = domainTypesOf(arch).flatMap((type) => kind.virtualisations[type] ?? [])
        if (machineType === undefined || virtualisations.length === 0) return []
        return [{ mode: kind.mode, architecture: kind.architecture, machineType, virtualisations }]
      }),
  )
  const has = (virtualisation: Virtualisation) =>
    guests.some(({ virtualisations }) => virtualisations.includes(virtualisation))
  // Containers, libvirt's `exe`, have no memory that could be saved.
  const saves = offered.some(({ osType }) => osType !== 'exe')
  const modes = [...new Set(guests.map(({ mode }) => mode))]
  return {
    guests,
    capabilities: {
      architectures: [...new Set(guests.map(({ architecture }) => architecture))],
      // Fastest first: what is used where the machine does not say.
      accelerators: (['KVM', 'QEMU'] as const).filter(has),
      modes,
      firmware: modes.includes('HVM') ? ['BIOS'] : [],
      storageTypes: ['Directory'],
      features: [
        ...(has('KVM') || has('QEMU') ? ['GrowDisk', 'GuestAgent', 'HotPlugCPU', 'HotPlugMemory'] : []),
        ...(guests.length > 0 ? ['HotPlugDisk', 'HotPlugNetwork'] : []),
        'LinkedClone',
        'Pause',
        ...(saves ? ['Suspend'] : []),
      ],
    },
  }
}

function offers(arch: Element, machine: string): boolean {
  const everywhere = [arch, ...findAll(arch, 'domain')].flatMap((parent) => findAll(parent, 'machine'))
  return everywhere.some(({ text }) => text.trim() === machine)
}

function domainTypesOf(arch: Element): string[] {
  return findAll(arch, 'domain').flatMap(({ attributes }) => attributes['type'] ?? [])
}
