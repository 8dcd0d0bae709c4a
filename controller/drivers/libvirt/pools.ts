import type { Connection, CallOptions as LibvirtCallOptions, StoragePool } from 'node-libvirt'
import type { ObservedPool, PoolQuery } from '../../hypervisor/port.ts'
import { isLibvirtError } from './errors.ts'
import { volumesOf } from './volumes.ts'
import { element, formatXml, parseXml, textOf } from './xml.ts'

/** The API's name of libvirt's pool types; others keep libvirt's own. */
const types: Readonly<Record<string, string>> = {
  dir: 'Directory',
  netfs: 'NFS',
  logical: 'LVM',
  zfs: 'ZFS',
  iscsi: 'ISCSI',
  rbd: 'RBD',
}

export async function findPool(
  connection: Connection,
  name: string,
  options: LibvirtCallOptions,
): Promise<StoragePool | undefined> {
  try {
    return await connection.lookupStoragePoolByName(name, options)
  } catch (error) {
    if (isLibvirtError(error, 'NO_STORAGE_POOL')) return undefined
    throw error
  }
}

/** Sizes are as of the pool's last refresh, in bytes. */
export async function observePool(pool: StoragePool, options: LibvirtCallOptions): Promise<ObservedPool> {
  const [active, xml, info] = await Promise.all([
    pool.isActive(options),
    pool.getXML(0, options),
    pool.getInfo(options),
  ])
  const type = parseXml(xml).attributes['type'] ?? ''
  return {
    id: pool.uuid,
    name: pool.name,
    type: types[type] ?? type,
    active,
    capacity: info.capacity,
    allocated: info.allocation,
    free: info.available,
    volumes: active ? (await volumesOf(pool, options)).length : 0,
  }
}

/**
 * Defines, makes the directory, starts, and has it started with the host. What an interrupted call left (defined, not
 * started, the same directory) is gone on with; any other pool of that name is left as it is.
 */
export async function defineDirectoryPool(
  connection: Connection,
  { name, path }: Required<PoolQuery>,
  options: LibvirtCallOptions,
): Promise<void> {
  const existing = await findPool(connection, name, options)
  if (existing !== undefined) {
    if (await existing.isActive(options)) return
    const root = parseXml(await existing.getXML(0, options))
    if (root.attributes['type'] !== 'dir' || textOf(root, 'target', 'path') !== path) return
  }
  const pool = existing ?? (await connection.defineStoragePool(poolXML(name, path), options))
  await pool.build(0, options)
  await pool.create(0, options)
  await pool.setAutostart(true, options)
}

function poolXML(name: string, path: string): string {
  return formatXml(
    element('pool', { type: 'dir' }, [element('name', {}, name), element('target', {}, [element('path', {}, path)])]),
  )
}
