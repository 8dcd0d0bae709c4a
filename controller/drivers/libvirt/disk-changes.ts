/** What becomes of the disks of a machine that is defined: see `Session.attachDisk`, `detachDisk` and `growDisk`. */
import { basename } from 'node:path'
import { type Connection, DeviceModifyFlags, type CallOptions as LibvirtCallOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { DiskSpec } from '../../hypervisor/port.ts'
import { requireOwnName } from '../shared/instance-id.ts'
import {
  type DiskDevice,
  type DiskEntry,
  entryElement,
  freeTarget,
  readDiskDevices,
  readEntries,
  readLiveDiskDevices,
} from './disk-devices.ts'
import { findOwnDomain, ifDefined, type OwnDomain, writeTag } from './domains.ts'
import { isLibvirtError } from './errors.ts'
import { qemuDisk } from './hardware-qemu.ts'
import { xenDisk } from './hardware-xen.ts'
import { findPool } from './pools.ts'
import { findRunning } from './power.ts'
import { withDetails } from './tag.ts'
import { activePool, findVolume, volumePath } from './volumes.ts'
import { element, formatXml, parseXml } from './xml.ts'

/** The disks of one of our domains, now and from its next start on. */
interface Disks {
  readonly own: OwnDomain
  readonly isOn: boolean
  /** None of one that is off. */
  readonly live: readonly DiskDevice[]
  readonly defined: readonly DiskDevice[]
  /** Definition that it runs with; that of its next start where it is off. */
  readonly xml: string
}

/**
 * The metadata name a disk before the domain has it, and as long as it has: so it is ours in every definition that a crash
 * leaves, and the same call again does what is missing.
 */
export async function attachDisk(
  connection: Connection,
  instanceID: string,
  disk: DiskSpec,
  options: LibvirtCallOptions,
): Promise<void> {
  await findRunning(connection, instanceID, options)
  const path = await volumePath(connection, disk, options)
  const disks = await readDisks(connection, instanceID, options)
  if (disks === undefined || !disks.isOn) {
    throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} runs.`)
  }
  const { own, live, defined } = disks
  if (!(await own.domain.isPersistent(options))) {
    throw new BerthError('HypervisorRefused', `Domain '${own.domain.name}' is not defined: it has no next start.`)
  }
  const all = [...live, ...defined]
  const known = all.find(({ entry }) => entry?.name === disk.name)
  if (known?.entry !== undefined && (known.entry.pool !== disk.pool || known.entry.volume !== disk.volume)) {
    const words = `is the volume '${known.entry.volume}' in the pool '${known.entry.pool}', not '${disk.volume}'`
    throw new BerthError('HypervisorRefused', `Disk '${disk.name}' of domain '${own.domain.name}' ${words}.`)
  }
  const other = all.find(({ entry, serial }) => entry === undefined && serial === disk.name)
  if (other !== undefined) {
    const words = `has ${other.path || 'a disk'} under the serial number '${disk.name}', which Berth did not attach`
    throw new BerthError('Drifted', `Domain '${own.domain.name}' ${words}: detach it there (virsh detach-disk).`)
  }
  const { virtualisation = 'QEMU' } = own.reading
  const target = known?.target ?? freeTarget(virtualisation, new Set(all.map((device) => device.target)))
  const entry: DiskEntry = { ...disk, target }
  const lacks = (devices: readonly DiskDevice[]) => !devices.some((device) => device.entry?.name === disk.name)
  const [attaches, defines] = [lacks(live), lacks(defined)]
  if (known !== undefined && (attaches || defines)) await requireUnmoved(connection, known, options)
  if (attaches) await setEntries(disks, 'LIVE', [...entriesOf(live), entry], options)
  if (defines) await setEntries(disks, 'CONFIG', [...entriesOf(defined), entry], options)
  const flags = (attaches ? DeviceModifyFlags.LIVE : 0) | (defines ? DeviceModifyFlags.CONFIG : 0)
  if (flags === 0) return
  const device = virtualisation === 'Xen' ? xenDisk({ ...entry, path }) : qemuDisk({ ...entry, path })
  await own.domain.attachDevice(formatXml(device), flags, options)
}

/** First from the definition, then from the run: whatever comes in between, the next start is without it. */
export async function detachDisk(
  connection: Connection,
  instanceID: string,
  name: string,
  options: LibvirtCallOptions,
): Promise<void> {
  const disks = await readDisks(connection, instanceID, options)
  if (disks === undefined) return
  const { own, isOn, live, defined } = disks
  const isIt = ({ entry }: DiskDevice) => entry?.name === name
  const [now, next] = [live.find(isIt), defined.find(isIt)]
  if (next !== undefined && !isOn) await requireNoSavedMemory(own, `disk '${name}'`, options)
  for (const device of [now, next]) if (device !== undefined) await requireUnmoved(connection, device, options)
  if (await own.domain.isPersistent(options)) {
    if (next !== undefined) await detach(own, next, DeviceModifyFlags.CONFIG, options)
    await setEntries(disks, 'CONFIG', entriesOf(defined.filter((device) => device !== next)), options)
  }
  if (now !== undefined) await askToLetGo(own, now, options)
}

/** libvirt waits a few seconds for the guest. That it has been asked before, or wants it not, is for `observe` to tell. */
async function askToLetGo(own: OwnDomain, device: DiskDevice, options: LibvirtCallOptions): Promise<void> {
  try {
    await detach(own, device, DeviceModifyFlags.LIVE, options)
  } catch (error) {
    const isAsked = isLibvirtError(error, 'INTERNAL_ERROR', 'OPERATION_FAILED') && askedWords.test(error.message)
    if (!isAsked) throw error
  }
}

const askedWords = /already in the process of unplug|rejected by the guest/

/** libvirt finds the disk by its target. */
async function detach(
  { domain }: OwnDomain,
  { path, target, bus }: DiskDevice,
  flags: number,
  options: LibvirtCallOptions,
): Promise<void> {
  const device = element('disk', { type: 'file', device: 'disk' }, [
    element('source', { file: path }),
    element('target', { dev: target, bus }),
  ])
  await domain.detachDevice(formatXml(device), flags, options)
}

/** A guest that runs is told by its hypervisor, which alone may write to the volume then. */
export async function growDisk(
  connection: Connection,
  instanceID: string,
  poolName: string,
  volumeName: string,
  capacity: number,
  options: LibvirtCallOptions,
): Promise<void> {
  requireOwnName(instanceID, volumeName)
  const pool = await activePool(connection, poolName, options)
  const disks = await readDisks(connection, instanceID, options)
  const volume = await findVolume(pool, volumeName, options)
  if (volume === undefined) {
    const words = `No volume '${volumeName}' is in the pool '${poolName}': it cannot be made larger.`
    throw new BerthError('DiskMissing', words)
  }
  if ((await volume.getInfo(options)).capacity >= capacity) return
  if (disks !== undefined && !disks.isOn) await requireNoSavedMemory(disks.own, `volume '${volumeName}'`, options)
  const ofVolume = ({ entry }: DiskDevice) => entry?.pool === poolName && entry.volume === volumeName
  const devices = [...(disks?.live ?? []), ...(disks?.defined ?? [])].filter(ofVolume)
  for (const device of devices) await requireUnmoved(connection, device, options)
  const now = disks?.live.find(ofVolume)
  if (disks !== undefined && now !== undefined) await disks.own.domain.blockResize(now.target, capacity, options)
  else await volume.resize(capacity, 0, options)
}

/** Rejects with InUse where a machine that is on has the volume, in whatever way, or a saved memory may. */
export async function requireUnused(
  connection: Connection,
  instanceID: string,
  { pool, volume, path }: { readonly pool: string; readonly volume: string; readonly path: string | undefined },
  options: LibvirtCallOptions,
): Promise<void> {
  const disks = await readDisks(connection, instanceID, options)
  if (disks === undefined) return
  const { own, isOn, live, defined } = disks
  if (!isOn) {
    if (!(await own.domain.hasManagedSave(options))) return
    throw new BerthError('InUse', `Volume '${volume}' is kept: domain '${own.domain.name}' has a saved memory.`)
  }
  const uses = ({ entry, paths }: DiskDevice) =>
    (entry?.pool === pool && entry.volume === volume) || (path !== undefined && paths.includes(path))
  if (![...live, ...defined].some(uses)) return
  throw new BerthError('InUse', `Volume '${volume}' is kept: domain '${own.domain.name}' runs and has it.`)
}

/** Undefined: there is no such domain. */
async function readDisks(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<Disks | undefined> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) return undefined
  const isOn = (await ifDefined(() => own.domain.isActive(options))) === true
  const xml = isOn ? await ifDefined(() => own.domain.getXML(0, options)) : own.xml
  if (xml === undefined) return undefined
  const live = isOn ? readLiveDiskDevices(xml, own.xml) : []
  return { own, isOn, live, defined: readDiskDevices(own.xml), xml }
}

const entriesOf = (devices: readonly DiskDevice[]): readonly DiskEntry[] => devices.flatMap(({ entry }) => entry ?? [])

/** Our element of one of the two definitions, with these disks instead of those that it names. */
async function setEntries(
  { own, xml }: Disks,
  which: 'LIVE' | 'CONFIG',
  entries: readonly DiskEntry[],
  options: LibvirtCallOptions,
): Promise<void> {
  const root = parseXml(which === 'LIVE' ? xml : own.xml)
  const known = readEntries(root)
  const isSame =
    known.length === entries.length && entries.every(({ name }) => known.some((entry) => entry.name === name))
  if (isSame) return
  const tag = withDetails(root, 'disk', entries.map(entryElement))
  if (tag === undefined)
    throw new BerthError(
      'ForeignObject',
      `Domain '${own.domain.name}' runs without the tag of its definition: restart it.`,
    )
  await writeTag(own, tag, which, options)
}

/** libvirt goes on with the definition that is inside it. */
async function requireNoSavedMemory({ domain }: OwnDomain, what: string, options: LibvirtCallOptions): Promise<void> {
  if (!(await domain.hasManagedSave(options))) return
  const words = `Domain '${domain.name}' has a saved memory, which knows ${what}`
  throw new BerthError('HypervisorRefused', `${words}: start it first, or remove it (virsh managedsave-remove).`)
}

/** After an external snapshot or a copy the volume is not what the guest writes to, or what another file builds upon. */
async function requireUnmoved(
  connection: Connection,
  { entry, path }: DiskDevice,
  options: LibvirtCallOptions,
): Promise<void> {
  if (entry === undefined) return
  const pool = await findPool(connection, entry.pool, options)
  const volume =
    pool !== undefined && (await pool.isActive(options)) ? await findVolume(pool, entry.volume, options) : undefined
  const wanted = await volume?.getPath(options)
  // Of a volume that is gone the name is left.
  if (wanted === undefined ? basename(path) === entry.volume : path === wanted) return
  throw new BerthError(
    'Drifted',
    `Disk '${entry.name}' is ${path || 'no file'} on the host, not ${wanted ?? entry.volume}, the volume that Berth made: an external snapshot or a copy was made there. Commit or pivot it back (virsh blockcommit --active --pivot).`,
  )
}
