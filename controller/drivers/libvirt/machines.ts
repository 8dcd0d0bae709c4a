import {
  type Connection,
  DomainUndefineFlags,
  type CallOptions as LibvirtCallOptions,
  type StoragePool,
} from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { InterfaceSpec, MachineSpec, NewDisk } from '../../hypervisor/port.ts'
import { requireOwnName, requireUUID } from '../shared/instance-id.ts'
import { requireUnused } from './disk-changes.ts'
import { type DiskDevice, placeDisks, readDiskDevices, readLiveDiskDevices } from './disk-devices.ts'
import { type DomainDefinition, findMovedDisk, formatDomain, type PlacedDisk, parkDomain } from './domain-xml.ts'
import { findOwnDomain, ifDefined, isQEMU, type OwnDomain } from './domains.ts'
import { isLibvirtError } from './errors.ts'
import { isPCIe } from './hardware-qemu.ts'
import type { Host } from './host.ts'
import { placedImage } from './images.ts'
import { findDevice, foreignDevices } from './interfaces.ts'
import { defineFilters } from './packet-filters.ts'
import { followDefinition } from './resize.ts'
import { writeSeed } from './seed.ts'
import {
  activePool,
  deleteVolume,
  diskVolumeXML,
  findVolume,
  overlayVolumeXML,
  requireFiles,
  volumePath,
} from './volumes.ts'
import { type Element, parseXml } from './xml.ts'

/** See `Session.createDisk`. */
export async function createDisk(
  connection: Connection,
  { instanceID, pool: poolName, volume, image, capacity }: NewDisk,
  options: LibvirtCallOptions,
): Promise<void> {
  requireOwnName(instanceID, volume)
  const pool = await activePool(connection, poolName, options)
  if ((await findVolume(pool, volume, options)) !== undefined) return
  // A domain of that id that is not ours keeps its disks for itself.
  await findOwnDomain(connection, instanceID, options)
  const xml =
    image === undefined ? diskVolumeXML(volume, capacity) : await copyXML(pool, { volume, image, capacity }, options)
  if (image === undefined) await requireFiles(pool, options)
  try {
    await pool.createVolume(xml, 0, options)
  } catch (error) {
    if (!isLibvirtError(error, 'STORAGE_VOL_EXIST')) throw error
  }
}

/** XML of a copy-on-write copy of a placed image. */
async function copyXML(
  pool: StoragePool,
  { volume, image, capacity }: Required<Pick<NewDisk, 'volume' | 'image' | 'capacity'>>,
  options: LibvirtCallOptions,
): Promise<string> {
  const { state, details } = await placedImage(pool, image.digest, options)
  if (state !== 'Complete' || details === undefined) {
    throw new BerthError('WaitingForImage', `The image ${image.digest} is not in the storage pool '${pool.name}' yet.`)
  }
  const size = image.format === 'raw' ? details.length : details.capacity
  if (capacity < size) {
    throw new BerthError('SmallerThanImage', `The disk has ${capacity} bytes, its image ${size}.`)
  }
  return overlayVolumeXML(volume, capacity, { path: details.path, format: image.format })
}

/** See `Session.define`. */
export async function define(
  connection: Connection,
  host: Host,
  machine: MachineSpec,
  options: LibvirtCallOptions,
): Promise<void> {
  const { tag, seed } = machine
  requireOwnName(tag.instanceID, seed.volume)
  const hardware = chooseHardware(host, machine)
  const disks: readonly PlacedDisk[] = await Promise.all(
    machine.disks.map(async (disk) => ({ ...disk, path: await volumePath(connection, disk, options) })),
  )
  const before = await findOwnDomain(connection, tag.instanceID, options)
  requireUnmovedDisks(before, disks)
  const canFilter = host.information.capabilities.features.includes('AntiSpoofing')
  await defineFilters(connection, machine.interfaces, canFilter, options)
  const seedPool = await activePool(connection, seed.pool, options)
  // What is in a guest's memory, saved or not, has to fit what it reads.
  if (seed.files !== undefined && (before === undefined || (await isOff(before, options)))) {
    await writeSeed(seedPool, seed.volume, seed.files, options)
  }
  const seedPath = await volumePath(connection, { ...seed, name: 'seed' }, options)
  const definition: Omit<DomainDefinition, 'name'> = {
    id: requireUUID(tag.instanceID),
    tag,
    cpus: machine.cpus,
    memory: machine.memory,
    ...hardware,
    ...(hardware.virtualisation === 'Xen' ? {} : roomOf(machine)),
    disks,
    seed: { pool: seed.pool, volume: seed.volume, path: seedPath },
    interfaces: machine.interfaces,
  }
  await defineUnderFreeName(connection, machine.hostName, definition, options)
  if (before !== undefined) await followDefinition(before, definition, options)
}

const roomOf = ({ maxCpus, maxMemory }: MachineSpec) => ({
  ...(maxCpus === undefined ? {} : { maxCpus }),
  ...(maxMemory === undefined ? {} : { maxMemory }),
})

/** Without a saved memory, too. */
async function isOff({ domain }: OwnDomain, options: LibvirtCallOptions): Promise<boolean> {
  return !(await domain.isActive(options)) && !(await domain.hasManagedSave(options))
}

/** What the host is to run the machine with; refused where the host does not have what the machine asks for. */
function chooseHardware(
  { guests, information: { capabilities } }: Host,
  { architecture, mode, accelerator }: MachineSpec,
): Pick<DomainDefinition, 'architecture' | 'machineType' | 'mode' | 'virtualisation'> {
  const ofArchitecture = guests.filter((guest) => guest.architecture === architecture)
  if (ofArchitecture.length === 0) {
    const offered = capabilities.architectures.join(', ') || 'none that Berth knows'
    throw new BerthError('ArchitectureMismatch', `The hypervisor offers ${offered}, not ${architecture}.`)
  }
  const guest = ofArchitecture.find((candidate) => mode === undefined || candidate.mode === mode)
  if (guest === undefined) {
    throw new BerthError('ModeMismatch', `The hypervisor offers ${capabilities.modes.join(', ')}, not ${mode}.`)
  }
  const virtualisation = guest.virtualisations.includes('Xen') ? 'Xen' : (accelerator ?? capabilities.accelerators[0])
  if (virtualisation === undefined || (accelerator !== undefined && accelerator !== virtualisation)) {
    throw new BerthError('InvalidConfiguration', `The hypervisor has no ${accelerator}: leave out domainType.`)
  }
  return { architecture, machineType: guest.machineType, mode: guest.mode, virtualisation }
}

/**
 * A name once given stays, as libvirt renames only what is off; for a new machine the wanted name, or one made unique
 * by its id when another domain has it.
 */
async function defineUnderFreeName(
  connection: Connection,
  hostName: string,
  definition: Omit<DomainDefinition, 'name'>,
  options: LibvirtCallOptions,
): Promise<void> {
  const candidates = [hostName, `${hostName}_${definition.id.slice(0, 8)}`, `${hostName}_${definition.id}`]
  for (const candidate of candidates) {
    const holder = await ifDefined(() => connection.lookupDomainByName(candidate, options))
    // Read last before the effect, so that its tag is as fresh as can be.
    const own = await findOwnDomain(connection, definition.id, options)
    requireUnmovedDisks(own, definition.disks)
    const name = own?.domain.name ?? candidate
    if (own === undefined && holder !== undefined && holder.uuid !== definition.id) continue
    const others = own === undefined ? [] : otherInterfaces(own, definition.interfaces)
    const xml = formatDefinition(
      placeDisks({ ...definition, name, others }, await knownDisks(own, definition, options)),
    )
    try {
      const domain = await connection.defineDomain(xml, 0, options)
      // A start without a claim: never wanted, whoever set it.
      if (await domain.getAutostart(options)) await domain.setAutostart(false, options)
      return
    } catch (error) {
      // Someone took the name in between.
      if (!(isLibvirtError(error, 'OPERATION_FAILED') && error.message.includes('already exists with uuid')))
        throw error
    }
  }
  throw new BerthError('ForeignObject', `Other domains have the names ${candidates.join(', ')}.`)
}

/** Where the disks are that the domain has, or had when it was started: there they stay. */
async function knownDisks(
  own: OwnDomain | undefined,
  { machineType }: Pick<DomainDefinition, 'machineType'>,
  options: LibvirtCallOptions,
): Promise<readonly DiskDevice[]> {
  if (own === undefined) return []
  const live = await ifDefined(() => own.domain.getXML(0, options))
  // What runs is plugged in elsewhere maybe, and so is all on another kind of board.
  const unplugged = ({ address: _, ...device }: DiskDevice): DiskDevice => device
  const defined = readDiskDevices(own.xml)
  return [
    ...(isPCIe(own.reading.machineType) === isPCIe(machineType) ? defined : defined.map(unplugged)),
    ...(live === undefined ? [] : readLiveDiskDevices(live, own.xml).map(unplugged)),
  ]
}

/**
 * After an external snapshot or a copy, what the guest has written is in another file: our own path over it would boot
 * the machine from the past, and a write to it would spoil the file that the other one builds upon.
 */
function requireUnmovedDisks(own: OwnDomain | undefined, disks: readonly PlacedDisk[]): void {
  const moved = own && findMovedDisk(own.xml, disks)
  if (moved === undefined) return
  const { disk, path } = moved
  throw new BerthError(
    'Drifted',
    `Disk '${disk.name}' is ${path || 'no file'} on the host, not ${disk.path}, the volume that Berth made: an external snapshot or a copy was made there. Commit or pivot it back (virsh blockcommit --active --pivot), or give the domain its volume again (virsh edit), which loses what was written since.`,
  )
}

/** Those that somebody else gave the domain. */
function otherInterfaces({ domain, xml }: OwnDomain, wanted: readonly InterfaceSpec[]): readonly Element[] {
  const root = parseXml(xml)
  const others = foreignDevices(root)
  const isOthers = (device: Element | undefined) => device !== undefined && others.includes(device)
  const taken = wanted.find(({ macAddress }) => isOthers(findDevice(root, macAddress)))
  if (taken === undefined) return others
  const words = `Domain '${domain.name}' has another interface ${taken.macAddress}, which was attached on the host`
  throw new BerthError('ForeignObject', `${words}: detach it there (virsh detach-interface --config).`)
}

function formatDefinition(definition: DomainDefinition): string {
  try {
    return formatDomain(definition)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new BerthError('InvalidConfiguration', `The machine cannot be written as XML: ${error.message}.`)
  }
}

/** See `Session.park`. Disks stay as the host has them, even where `define` would refuse. Absent: nothing, as nothing is there that could be started. */
export async function park(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) return
  const [active, hasManagedSave] = await Promise.all([own.domain.isActive(options), own.domain.hasManagedSave(options)])
  // libvirt starts a saved state with the definition inside it: such a machine cannot be fenced off.
  if (hasManagedSave && !active) {
    const words = `Domain '${own.domain.name}' has a saved state, which would start in spite of parking`
    throw new BerthError('HypervisorRefused', `${words}: start it, or remove the state (virsh managedsave-remove).`)
  }
  if (own.reading.parked && (await own.domain.isPersistent(options))) return
  await connection.defineDomain(own.reading.parked ? own.xml : parkDomain(own.xml), 0, options)
}

/** See `Session.undefine`. What libvirt keeps beside the definition goes with it, storage never. */
export async function undefine(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) return
  const active = await ifDefined(() => own.domain.isActive(options))
  if (active === true) {
    throw new BerthError('HypervisorRefused', `Domain '${own.domain.name}' runs: it is not undefined before it is off.`)
  }
  const { MANAGED_SAVE, SNAPSHOTS_METADATA, CHECKPOINTS_METADATA, NVRAM } = DomainUndefineFlags
  // Other drivers of libvirt's keep nothing else, and refuse flags that they do not know.
  const flags = isQEMU(own.reading) ? MANAGED_SAVE | SNAPSHOTS_METADATA | CHECKPOINTS_METADATA | NVRAM : MANAGED_SAVE
  await ifDefined(() => own.domain.undefine(flags, options))
}

/** See `Session.deleteVolume`. */
export async function deleteMachineVolume(
  connection: Connection,
  instanceID: string,
  poolName: string,
  volume: string,
  options: LibvirtCallOptions,
): Promise<void> {
  requireOwnName(instanceID, volume)
  const pool = await activePool(connection, poolName, options)
  const path = await (await findVolume(pool, volume, options))?.getPath(options)
  await requireUnused(connection, instanceID, { pool: poolName, volume, path }, options)
  await deleteVolume(pool, volume, options)
}
