import { pipeline } from 'node:stream/promises'
import type {
  Connection,
  CallOptions as LibvirtCallOptions,
  StoragePool,
  StorageVolume,
  StorageVolumeInfo,
} from 'node-libvirt'
import { ListStoragePoolsFlags } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { DiskSpec, MachineObservation, ObservedVolume } from '../../hypervisor/port.ts'
import { volumePrefix } from '../shared/instance-id.ts'
import { isLibvirtError } from './errors.ts'
import { type Element, element, find, formatXml, parseXml, sizeOf, textOf } from './xml.ts'

/**
 * Volumes, found by name in the list that libvirt keeps of each pool. The list is current for what is made and deleted
 * through libvirt; what is put into a pool by other ways shows after a refresh, which `Session.pool` does. A volume
 * whose file was removed by other ways counts as absent at once, as sizes are read from the file.
 */

/** Rejects with PoolNotFound (by its libvirt error) or PoolInactive. */
export async function activePool(
  connection: Connection,
  name: string,
  options: LibvirtCallOptions,
): Promise<StoragePool> {
  const pool = await connection.lookupStoragePoolByName(name, options)
  if (await pool.isActive(options)) return pool
  throw new BerthError('PoolInactive', `The storage pool '${name}' is on the hypervisor but not started.`)
}

export async function findVolume(
  pool: StoragePool,
  name: string,
  options: LibvirtCallOptions,
): Promise<StorageVolume | undefined> {
  return ifThere(pool.lookupVolume(name, options))
}

/** Path of what a disk is in; rejects with DiskMissing. */
export async function volumePath(
  connection: Connection,
  { name, pool: poolName, volume: volumeName }: DiskSpec,
  options: LibvirtCallOptions,
): Promise<string> {
  const pool = await activePool(connection, poolName, options)
  const volume = await findVolume(pool, volumeName, options)
  if (volume !== undefined) return volume.getPath(options)
  throw new BerthError('DiskMissing', `Disk '${name}': no volume '${volumeName}' is in the pool '${poolName}'.`)
}

/** Pools of libvirt's whose volumes are files. */
const filePools = ['dir', 'fs', 'netfs']

/** Rejects with NotSupported: in any other pool a volume would not have the format that domains are given. */
export async function requireFiles(pool: StoragePool, options: LibvirtCallOptions): Promise<void> {
  const type = parseXml(await pool.getXML(0, options)).attributes['type'] ?? ''
  if (filePools.includes(type)) return
  const words = `its type is '${type}', and Berth makes disks in directories alone (${filePools.join(', ')})`
  throw new BerthError('NotSupported', `No disk is made in the storage pool '${pool.name}': ${words}.`)
}

/** Volumes of an instance in every active pool. */
export async function volumesOfInstance(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<Pick<MachineObservation, 'volumes' | 'pools'>> {
  const prefix = volumePrefix(instanceID)
  const pools = await connection.listAllStoragePools(ListStoragePoolsFlags.ACTIVE, options)
  const found = await Promise.all(
    pools.map(async (pool) => {
      const all = await volumesIn(pool, options)
      if (all === undefined) return undefined
      const own = all.filter(({ name }) => name.startsWith(prefix))
      const volumes = await Promise.all(
        own.map(async (volume) => observed(volume, await ifThere(volume.getInfo(options)))),
      )
      return { pool: pool.name, volumes: volumes.flat() }
    }),
  )
  const seen = found.filter((pool) => pool !== undefined)
  return { volumes: seen.flatMap(({ volumes }) => volumes), pools: seen.map(({ pool }) => pool) }
}

function observed(volume: StorageVolume, info: StorageVolumeInfo | undefined): ObservedVolume[] {
  if (info === undefined) return []
  return [{ pool: volume.pool, name: volume.name, capacity: info.capacity, allocation: info.allocation }]
}

/** All volumes of a pool; none of one that was stopped or removed meanwhile. */
export async function volumesOf(pool: StoragePool, options: LibvirtCallOptions): Promise<readonly StorageVolume[]> {
  return (await volumesIn(pool, options)) ?? []
}

/** Undefined: the pool was stopped or removed meanwhile. */
async function volumesIn(
  pool: StoragePool,
  options: LibvirtCallOptions,
): Promise<readonly StorageVolume[] | undefined> {
  try {
    return await pool.listAllVolumes(options)
  } catch (error) {
    if (isLibvirtError(error, 'NO_STORAGE_POOL', 'OPERATION_INVALID')) return undefined
    throw error
  }
}

export interface VolumeDetails {
  readonly path: string
  /** Size that a guest sees, by the content's own header. */
  readonly capacity: number
  /** Bytes of the file. */
  readonly length: number
  readonly backingPath?: string
}

/** Reads the file itself. Undefined: libvirt lists it, but the file is gone. */
export async function volumeDetails(
  volume: StorageVolume,
  options: LibvirtCallOptions,
): Promise<VolumeDetails | undefined> {
  const xml = await ifThere(volume.getXML(0, options))
  if (xml === undefined) return undefined
  const root = parseXml(xml)
  const backingPath = textOf(root, 'backingStore', 'path')
  return {
    path: textOf(root, 'target', 'path'),
    capacity: sizeOf(find(root, 'capacity'), 'bytes'),
    length: sizeOf(find(root, 'physical'), 'bytes'),
    ...(backingPath === '' ? {} : { backingPath }),
  }
}

/** XML of a volume that holds bytes as they are, of this length. Space is taken as it is written. */
export function rawVolumeXML(name: string, length: number): string {
  return formatXml(
    element('volume', {}, [
      element('name', {}, name),
      element('capacity', { unit: 'bytes' }, length),
      element('allocation', { unit: 'bytes' }, 0),
      element('target', {}, [element('format', { type: 'raw' })]),
    ]),
  )
}

/** XML of a copy-on-write disk. The backing format is always named: a guess would let a guest choose it. */
export function overlayVolumeXML(
  name: string,
  capacity: number,
  backing: { readonly path: string; readonly format: 'qcow2' | 'raw' },
): string {
  return diskVolumeXML(
    name,
    capacity,
    element('backingStore', {}, [element('path', {}, backing.path), element('format', { type: backing.format })]),
  )
}

/** XML of a disk, blank unless there is something below it. Space is taken as it is written. */
export function diskVolumeXML(name: string, capacity: number, backing?: Element): string {
  return formatXml(
    element('volume', {}, [
      element('name', {}, name),
      element('capacity', { unit: 'bytes' }, capacity),
      element('target', {}, [element('format', { type: 'qcow2' }), element('compat', {}, '1.1')]),
      backing,
    ]),
  )
}

/** Writes all of the content; resolves when the host has confirmed it. An error of the content ends the transfer. */
export async function writeVolume(
  volume: StorageVolume,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: LibvirtCallOptions,
): Promise<void> {
  const stream = await volume.upload(options)
  await pipeline(content, stream, options.signal === undefined ? {} : { signal: options.signal })
}

/** At most the first `limit` bytes, for small volumes only. Undefined: its file is gone. */
export async function readVolume(
  volume: StorageVolume,
  limit: number,
  options: LibvirtCallOptions,
): Promise<Buffer | undefined> {
  const stream = await ifThere(volume.download({ ...options, length: limit }))
  if (stream === undefined) return undefined
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part as Uint8Array)
  return Buffer.concat(parts)
}

/** Absent already: nothing. */
export async function deleteVolume(pool: StoragePool, name: string, options: LibvirtCallOptions): Promise<void> {
  const volume = await findVolume(pool, name, options)
  if (volume !== undefined) await ifThere(volume.delete(0, options))
}

async function ifThere<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    if (isLibvirtError(error, 'NO_STORAGE_VOL')) return undefined
    throw error
  }
}
