import {
  type Connection,
  type Domain,
  type DomainInterface,
  DomainState,
  DomainXMLFlags,
  InterfaceAddressesSource,
  IPAddressType,
  type CallOptions as LibvirtCallOptions,
  LibvirtError,
  ListDomainsFlags,
} from 'node-libvirt'
import { Limiter } from '../../hypervisor/limiter.ts'
import type {
  AddressSource,
  InventoryEntry,
  MachineObservation,
  ObservedInterface,
  ObservedMachine,
  PowerState,
} from '../../hypervisor/port.ts'
import { observedDisks, readDiskDevices, readLiveDiskDevices } from './disk-devices.ts'
import { type DomainReading, readDomain } from './domain-xml.ts'
import { findDomain, findOwnDomain, ifDefined, powerState, readPauseReason, stopReason, whyForeign } from './domains.ts'
import { readMachineInterfaces } from './interfaces.ts'
import { balloonedSizes, type Sizes } from './resize.ts'
import { parseXml } from './xml.ts'

/** The machine of that id as the host has it now, without its volumes. */
export async function observeMachine(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<Omit<MachineObservation, 'volumes' | 'pools'>> {
  const found = await findDomain(connection, instanceID, options)
  if (found === undefined) return {}
  const { domain, reading } = found
  const foreign = whyForeign(found, instanceID)
  const { tag } = reading.reading
  const wasOurs = tag?.released && tag.instanceID === instanceID
  if (tag === undefined || (foreign !== undefined && !wasOurs)) return { foreign: foreign ?? 'it has no tag' }
  const live = await ifDefined(() =>
    Promise.all([
      domain.getState(options),
      domain.getInfo(options),
      domain.isPersistent(options),
      domain.hasManagedSave(options),
    ]),
  )
  if (live === undefined) return {}
  const [{ state, reason }, info, persistent, hasManagedSave] = live
  const power = powerState(domain, { state, reason }, hasManagedSave)
  const isOn = power === 'Running' || power === 'Paused'
  const xml = isOn ? await ifDefined(() => domain.getXML(0, options)) : found.xml
  if (xml === undefined) return {}
  const machine: ObservedMachine = {
    tag,
    id: domain.uuid,
    hostName: domain.name,
    power,
    ...(power === 'Stopped' ? { stopReason: stopReason(reason) } : {}),
    ...(power === 'Paused' ? { pauseReason: await readPauseReason(domain, { state, reason }, options) } : {}),
    parked: isParked(reading, persistent, hasManagedSave),
    transient: !persistent,
    ...sizesOf(reading, isOn ? readDomain(xml) : reading, info.cpus),
    disks: observedDisks(isOn ? readLiveDiskDevices(xml, found.xml) : [], persistent ? readDiskDevices(found.xml) : []),
    interfaces: readMachineInterfaces(isOn ? parseXml(xml) : undefined, parseXml(found.xml)),
  }
  return foreign === undefined ? { machine } : { foreign, released: machine }
}

/** libxl counts its own needs into what a running guest has at most: there, the definition that runs tells. */
function sizesOf(definition: DomainReading, current: DomainReading, cpus: number): Sizes {
  return definition.virtualisation === 'Xen'
    ? { cpus, memory: current.memory }
    : balloonedSizes(definition, current, cpus)
}

/**
 * Whether the host refuses a start. A saved state starts with the definition inside it, whatever the domain's own says:
 * with one, a machine is never parked.
 */
function isParked(reading: DomainReading, persistent: boolean, hasManagedSave: boolean): boolean {
  return reading.parked && persistent && !hasManagedSave
}

const states = [
  [ListDomainsFlags.RUNNING, DomainState.RUNNING],
  [ListDomainsFlags.PAUSED, DomainState.PAUSED],
  [ListDomainsFlags.SHUTOFF, DomainState.SHUTOFF],
  [ListDomainsFlags.OTHER, DomainState.CRASHED],
] as const

/** Xen's own host system, which libxl lists among its guests. */
const dom0 = '00000000-0000-0000-0000-000000000000'

/** Definitions that a listing reads at once: a connection has more calls than these, for whoever is in a hurry. */
const readsAtOnce = 2

/** All domains: six listings, and one XML each. What cannot be read is not ours. */
export async function listMachines(connection: Connection, options: LibvirtCallOptions): Promise<InventoryEntry[]> {
  const uuids = async (flags: number) =>
    new Set((await connection.listAllDomains(flags, options)).map(({ uuid }) => uuid))
  const [persistent, saved, byState] = await Promise.all([
    uuids(ListDomainsFlags.PERSISTENT),
    uuids(ListDomainsFlags.MANAGEDSAVE),
    Promise.all(
      states.map(async ([flag, state]) => ({ state, domains: await connection.listAllDomains(flag, options) })),
    ),
  ])
  const limiter = new Limiter(readsAtOnce)
  const entries = byState.flatMap(({ state, domains }) =>
    domains.map(async (domain) => {
      if (domain.uuid === dom0) return []
      const release = await limiter.acquire()
      const reading = await readDefinition(domain, options).finally(release)
      if (reading === undefined) return []
      const power = powerState(domain, { state }, saved.has(domain.uuid))
      return [entryOf(domain, reading, power, persistent.has(domain.uuid), saved.has(domain.uuid))]
    }),
  )
  const found = (await Promise.all(entries)).flat()
  // One that changed its state between two listings is in both, or in neither: there, an event follows.
  return [...new Map(found.map((entry) => [entry.id, entry])).values()]
}

async function readDefinition(
  domain: Domain,
  options: LibvirtCallOptions,
): Promise<DomainReading | 'Unreadable' | undefined> {
  const xml = await ifDefined(() => domain.getXML(DomainXMLFlags.INACTIVE, options))
  if (xml === undefined) return undefined
  try {
    return readDomain(xml)
  } catch (error) {
    if (error instanceof SyntaxError) return 'Unreadable'
    throw error
  }
}

function entryOf(
  { uuid, name }: Domain,
  reading: DomainReading | 'Unreadable',
  power: PowerState,
  persistent: boolean,
  hasManagedSave: boolean,
): InventoryEntry {
  if (reading === 'Unreadable') return { id: uuid, hostName: name, power, parked: false }
  const { tag } = reading.reading
  const { maxMemory: memory } = reading
  // A tag that names another id than the domain's own is a copy's (virt-clone): what bears it is not ours.
  const own = tag?.instanceID === uuid ? { tag } : {}
  return { id: uuid, hostName: name, power, parked: isParked(reading, persistent, hasManagedSave), memory, ...own }
}

/**
 * Addresses of the machine's own interfaces (not of what the guest makes inside, such as bridges of containers). One
 * that several sources know is given once, from the best: the agent, then leases, then the host's ARP table.
 */
export async function observeInterfaces(
  connection: Connection,
  instanceID: string,
  fromAgent: (id: string) => Promise<readonly DomainInterface[]>,
  options: LibvirtCallOptions,
): Promise<ObservedInterface[]> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined || (await ifDefined(() => own.domain.isActive(options))) !== true) return []
  // Guests of Xen have no channel for an agent, and libxl does not know ARP: its log would fill with refusals.
  const isXen = own.reading.virtualisation === 'Xen'
  const [agent, leases, arp] = await Promise.all([
    isXen ? [] : fromAgent(own.domain.uuid),
    addressesFrom(own.domain, InterfaceAddressesSource.LEASE, options),
    isXen ? [] : addressesFrom(own.domain, InterfaceAddressesSource.ARP, options),
  ])
  const found: readonly { readonly source: AddressSource; readonly interfaces: readonly DomainInterface[] }[] = [
    { source: 'Agent', interfaces: agent },
    { source: 'Lease', interfaces: leases },
    { source: 'ARP', interfaces: arp },
  ]
  return own.reading.interfaces.map(({ macAddress }) => {
    const addresses = found.flatMap(({ source, interfaces }) =>
      interfaces
        .filter(({ hardwareAddress }) => hardwareAddress?.toLowerCase() === macAddress.toLowerCase())
        .flatMap((device) => device.addresses)
        .map(({ address, prefix, type }) => ({
          address,
          // The ARP table knows no networks.
          prefix: source === 'ARP' ? (type === IPAddressType.IPV6 ? 128 : 32) : prefix,
          source,
        })),
    )
    const best = addresses.filter(
      ({ address }, index) => addresses.findIndex((other) => other.address === address) === index,
    )
    return { macAddress, addresses: best }
  })
}

/** None where the source is not there: no network of libvirt's. */
async function addressesFrom(
  domain: Domain,
  source: number,
  options: LibvirtCallOptions,
): Promise<readonly DomainInterface[]> {
  try {
    return await domain.interfaceAddresses(source, 0, options)
  } catch (error) {
    if (error instanceof LibvirtError) return []
    throw error
  }
}
