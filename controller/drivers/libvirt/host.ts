import type { Connection, CallOptions as LibvirtCallOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { Capabilities, HostInformation } from '../../hypervisor/port.ts'
import { type Element, find, findAll, parseXml, textOf } from './xml.ts'

/** libvirt 8.0 (January 2022): Ubuntu 22.04, Debian 12 and RHEL 8.6 have it or newer. */
export const oldestVersion = 8_000_000

/** Architectures that `formatDomain` writes XML for, each with machine types in order of preference. */
const machineTypes: Readonly<Record<string, readonly string[]>> = {
  // i440fx first: disks and interfaces can be added to it without ports set aside. Hosts without it have q35.
  x86_64: ['pc', 'q35'],
}

/** What the driver needs to know of a host beyond the port's information. */
export interface Host {
  readonly information: HostInformation
  /** Machine type by architecture. */
  readonly machineTypes: Readonly<Record<string, string>>
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
  const { id, ...guests } = readCapabilities(capabilitiesXML)
  return {
    machineTypes: guests.machineTypes,
    information: {
      id,
      hostName,
      version: `libvirt ${formatVersion(libvirt)}, ${type} ${formatVersion(hypervisor)}`,
      cpus: node.cpus,
      memory: node.memory * 1024,
      freeMemory,
      capabilities: guests.capabilities,
    },
  }
}

/**
 * Reads libvirt's capabilities. `KVM` is there when libvirt lists it for the architecture, which means that the kernel
 * has /dev/kvm and QEMU could open it. Whether a guest then runs cannot be known without running one (nested
 * virtualisation may fail later), which is why Hypervisor.spec.libvirt.domainType can say QEMU.
 */
export function readCapabilities(
  xml: string,
): Pick<Host, 'machineTypes'> & { readonly id: string; readonly capabilities: Capabilities } {
  const root = parseXml(xml)
  const offered = findAll(root, 'guest')
    .filter((guest) => textOf(guest, 'os_type') === 'hvm')
    .flatMap((guest) => find(guest, 'arch') ?? [])
    .flatMap((arch) => {
      const name = arch.attributes['name'] ?? ''
      const machine = machineTypes[name]?.find((wanted) => offers(arch, wanted))
      return machine === undefined ? [] : [{ name, machine, domainTypes: domainTypesOf(arch) }]
    })
  const has = (domainType: string) => offered.some((arch) => arch.domainTypes.includes(domainType))
  return {
    id: textOf(root, 'host', 'uuid'),
    machineTypes: Object.fromEntries(offered.map(({ name, machine }) => [name, machine])),
    capabilities: {
      architectures: offered.map(({ name }) => name),
      // Fastest first: what is used where the machine does not say.
      accelerators: [...(has('kvm') ? (['KVM'] as const) : []), ...(has('qemu') ? (['QEMU'] as const) : [])],
      modes: has('kvm') || has('qemu') ? ['HVM'] : [],
      firmware: offered.length > 0 ? ['BIOS'] : [],
      storageTypes: ['Directory'],
      features: ['GuestAgent', 'LinkedClone'],
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
