import { BerthError } from '../../errors/index.ts'
import {
  type ImageFormat,
  type NewDisk,
  type ObservedPool,
  type ObservedVolume,
  type PlacedImage,
  type PoolQuery,
  type SeedFiles,
  volumeNames,
} from '../../hypervisor/port.ts'
import { parseMarker, requireDigest } from '../shared/image-content.ts'
import { requireOwnName, volumePrefix } from '../shared/instance-id.ts'
import { seedImage } from '../shared/seed-image.ts'

/** What is in a volume. Disks hold no bytes: nothing of a guest is kept. */
export type VolumeContent =
  | { readonly type: 'Disk'; readonly image?: string }
  | { readonly type: 'Seed'; readonly files: SeedFiles }
  | { readonly type: 'Bytes'; readonly parts: Uint8Array[] }

export interface FakeVolume {
  /** Size that a guest sees. */
  capacity: number
  /** Space taken in the pool. */
  allocation: number
  content: VolumeContent
}

const seedSize = 2 ** 20
const emptyDiskSize = 200 * 1024
/** What a qcow2 file says of itself: its virtual size is at this place of its header. */
const qcow2 = { magic: 'QFI\u00fb', capacityAt: 24 }

/** A storage pool in memory. */
export class FakePool {
  readonly id: string
  readonly name: string
  readonly path: string
  readonly type: string
  readonly capacity: number
  active = true
  readonly volumes = new Map<string, FakeVolume>()
  /** Names by the instance that they are of, so that looking at one machine costs nothing by the number of others. */
  readonly #byInstance = new Map<string, Set<string>>()
  #allocated = 0

  constructor(options: { id: string; name: string; path: string; type: string; capacity: number }) {
    this.id = options.id
    this.name = options.name
    this.path = options.path
    this.type = options.type
    this.capacity = options.capacity
  }

  get free(): number {
    return this.capacity - this.#allocated
  }

  observe(): ObservedPool {
    const { id, name, type, active, capacity, free } = this
    return {
      id,
      name,
      type,
      active,
      capacity,
      allocated: this.#allocated,
      free,
      volumes: active ? this.volumes.size : 0,
    }
  }

  volumesOf(instanceID: string): ObservedVolume[] {
    const names = [...(this.#byInstance.get(instanceID) ?? [])]
    return names.flatMap((name) => {
      const volume = this.volumes.get(name)
      return volume === undefined
        ? []
        : [{ pool: this.name, name, capacity: volume.capacity, allocation: volume.allocation }]
    })
  }

  /** Rejects with StorageFull. */
  write(name: string, volume: FakeVolume): void {
    const more = volume.allocation - (this.volumes.get(name)?.allocation ?? 0)
    this.requireRoom(more)
    this.#allocated += more
    this.volumes.set(name, volume)
    const instanceID = instanceOf(name)
    if (instanceID === undefined) return
    const names = this.#byInstance.get(instanceID)
    if (names === undefined) this.#byInstance.set(instanceID, new Set([name]))
    else names.add(name)
  }

  /** Makes a volume of bytes longer. One that was removed or replaced by name takes no room any more. */
  append(name: string, volume: FakeVolume, part: Uint8Array): void {
    if (this.volumes.get(name) !== volume || volume.content.type !== 'Bytes') return
    this.requireRoom(part.length)
    this.#allocated += part.length
    volume.allocation += part.length
    volume.capacity += part.length
    volume.content.parts.push(part)
  }

  /** Someone writes over a volume, or makes one. */
  setBytes(name: string, bytes: Uint8Array): void {
    this.write(name, { capacity: bytes.length, allocation: bytes.length, content: { type: 'Bytes', parts: [bytes] } })
  }

  /** @returns whether it was there. */
  remove(name: string): boolean {
    const volume = this.volumes.get(name)
    if (volume === undefined) return false
    this.#allocated -= volume.allocation
    this.volumes.delete(name)
    const instanceID = instanceOf(name)
    const names = instanceID === undefined ? undefined : this.#byInstance.get(instanceID)
    names?.delete(name)
    if (instanceID !== undefined && names?.size === 0) this.#byInstance.delete(instanceID)
    return true
  }

  requireRoom(bytes: number): void {
    if (bytes <= this.free) return
    throw new BerthError('StorageFull', `The pool '${this.name}' has ${this.free} bytes free; ${bytes} are needed.`)
  }

  placedImage(digest: string): PlacedImage {
    const image = this.volumes.get(volumeNames.image(requireDigest(digest)))
    const marker = this.volumes.get(volumeNames.imageMarker(digest))
    if (image === undefined && marker === undefined) return { state: 'Absent' }
    if (image === undefined || marker === undefined) return { state: 'Partial' }
    const length = parseMarker(bytesOf(marker).toString('utf8'), digest)
    return length === image.allocation ? { state: 'Complete', length } : { state: 'Partial' }
  }

  /** @returns whether it changed anything. */
  removeImage(digest: string): boolean {
    const name = volumeNames.image(requireDigest(digest))
    const copies = [...this.volumes]
      .filter(([, { content }]) => content.type === 'Disk' && content.image === digest)
      .map(([copy]) => copy)
    if (copies.length > 0) {
      throw new BerthError(
        'InUse',
        `The image ${digest} in pool '${this.name}' is the base of ${copies.slice(0, 10).join(', ')}.`,
      )
    }
    const hadMarker = this.remove(volumeNames.imageMarker(digest))
    return this.remove(name) || hadMarker
  }

  /** @returns whether it changed anything. */
  createDisk({ instanceID, volume, image, capacity }: NewDisk): boolean {
    requireOwnName(instanceID, volume)
    if (this.volumes.has(volume)) return false
    if (image === undefined) {
      this.write(volume, { capacity, allocation: emptyDiskSize, content: { type: 'Disk' } })
      return true
    }
    const base = this.volumes.get(volumeNames.image(image.digest))
    if (this.placedImage(image.digest).state !== 'Complete' || base === undefined) {
      throw new BerthError(
        'WaitingForImage',
        `The image ${image.digest} is not in the storage pool '${this.name}' yet.`,
      )
    }
    const size = guestSize(base, image.format)
    if (capacity < size) throw new BerthError('SmallerThanImage', `The disk has ${capacity} bytes, its image ${size}.`)
    this.write(volume, { capacity, allocation: emptyDiskSize, content: { type: 'Disk', image: image.digest } })
    return true
  }

  /** Rejects with DiskMissing. @returns whether it changed anything. */
  grow(name: string, capacity: number): boolean {
    const volume = this.volumes.get(name)
    if (volume === undefined) {
      throw new BerthError(
        'DiskMissing',
        `No volume '${name}' is in the pool '${this.name}': it cannot be made larger.`,
      )
    }
    if (volume.capacity >= capacity) return false
    volume.capacity = capacity
    return true
  }

  /** @returns whether it changed anything. */
  writeSeed(name: string, files: SeedFiles): boolean {
    const before = this.volumes.get(name)?.content
    if (before?.type === 'Seed' && JSON.stringify(before.files) === JSON.stringify(files)) return false
    this.write(name, { capacity: seedSize, allocation: seedSize, content: { type: 'Seed', files } })
    return true
  }
}

/** All pools of a host. */
export class Storage {
  readonly pools = new Map<string, FakePool>()

  /** Rejects with PoolNotFound or PoolInactive. */
  active(name: string): FakePool {
    const pool = this.pools.get(name)
    if (pool === undefined)
      throw new BerthError('PoolNotFound', `There is no storage pool '${name}' on the hypervisor.`)
    if (pool.active) return pool
    throw new BerthError('PoolInactive', `The storage pool '${name}' is on the hypervisor but not started.`)
  }

  /** Volumes of an instance in every active pool, and the names of those pools. */
  volumesOf(instanceID: string): { readonly volumes: readonly ObservedVolume[]; readonly pools: readonly string[] } {
    const active = [...this.pools.values()].filter((pool) => pool.active)
    return { volumes: active.flatMap((pool) => pool.volumesOf(instanceID)), pools: active.map(({ name }) => name) }
  }

  /** What a machine's disk is in; rejects with DiskMissing. */
  requireVolume(disk: string, poolName: string, volume: string): void {
    if (this.active(poolName).volumes.has(volume)) return
    throw new BerthError('DiskMissing', `Disk '${disk}': no volume '${volume}' is in the pool '${poolName}'.`)
  }

  /** @returns whether it changed anything. */
  definePool({ name, path }: Required<PoolQuery>, id: string, capacity: number): boolean {
    const existing = this.pools.get(name)
    if (existing === undefined) {
      this.pools.set(name, new FakePool({ id, name, path, type: 'Directory', capacity }))
      return true
    }
    if (existing.active || existing.path !== path) return false
    existing.active = true
    return true
  }
}

export function emptyVolume(): FakeVolume {
  return { capacity: 0, allocation: 0, content: { type: 'Bytes', parts: [] } }
}

/** The bytes of a volume; those of a disk are empty. */
export function bytesOf({ content }: FakeVolume): Buffer {
  switch (content.type) {
    case 'Bytes':
      return Buffer.concat(content.parts)
    case 'Seed':
      return seedImage(content.files)
    case 'Disk':
      return Buffer.alloc(0)
  }
}

function guestSize(image: FakeVolume, format: ImageFormat): number {
  if (format === 'raw') return image.allocation
  const bytes = bytesOf(image)
  const isQcow2 = bytes.length >= qcow2.capacityAt + 8 && bytes.toString('latin1', 0, 4) === qcow2.magic
  return isQcow2 ? Number(bytes.readBigUInt64BE(qcow2.capacityAt)) : image.allocation
}

function instanceOf(volume: string): string | undefined {
  const instanceID = /^berth-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-/.exec(volume)?.[1]
  return instanceID !== undefined && volume.startsWith(volumePrefix(instanceID)) ? instanceID : undefined
}
