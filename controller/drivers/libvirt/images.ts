import type { CallOptions as LibvirtCallOptions, StoragePool } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import { type ImageContent, type PlacedImage, volumeNames } from '../../hypervisor/port.ts'
import { formatMarker, parseMarker, requireDigest, verified } from '../shared/image-content.ts'
import {
  deleteVolume,
  findVolume,
  rawVolumeXML,
  readVolume,
  type VolumeDetails,
  volumeDetails,
  volumesOf,
  writeVolume,
} from './volumes.ts'

/** More than a marker ever has; what is longer is none. */
const markerLimit = 4096

/**
 * Complete: the marker can be read, names this digest, and the image's file has the length that the marker names. The
 * content is not hashed again.
 */
export async function placedImage(
  pool: StoragePool,
  digest: string,
  options: LibvirtCallOptions,
): Promise<PlacedImage & { readonly details?: VolumeDetails }> {
  const [image, marker] = await Promise.all([
    findVolume(pool, volumeNames.image(requireDigest(digest)), options),
    findVolume(pool, volumeNames.imageMarker(digest), options),
  ])
  if (image === undefined && marker === undefined) return { state: 'Absent' }
  if (image === undefined || marker === undefined) return { state: 'Partial' }
  const [details, content] = await Promise.all([
    volumeDetails(image, options),
    readVolume(marker, markerLimit, options),
  ])
  const length = parseMarker(content?.toString('utf8') ?? '', digest)
  if (details === undefined || length === undefined || details.length !== length) return { state: 'Partial' }
  return { state: 'Complete', length, details }
}

/**
 * Places an image; see `Session.placeImage`. Complete already: nothing, since disks may be copies of it. A crash at any
 * line leaves Absent or Partial until the marker is whole.
 */
export async function placeImage(
  pool: StoragePool,
  content: ImageContent,
  progress: (sent: number) => void,
  options: LibvirtCallOptions,
): Promise<void> {
  const { digest, length } = content
  const { state } = await placedImage(pool, digest, options)
  if (state === 'Complete') return
  if (state === 'Partial') await removeImage(pool, digest, options)
  await requireRoom(pool, length, options)
  // Empty at first and longer with each part, so that the length tells of bytes written, whoever writes them.
  const image = await pool.createVolume(rawVolumeXML(volumeNames.image(digest), 0), 0, options)
  await writeVolume(image, verified(content, progress), options)
  const written = await volumeDetails(image, options)
  if (written?.length !== length) {
    throw new BerthError('TemporaryFailure', `The host has ${written?.length ?? 0} of the image's ${length} bytes.`)
  }
  const marker = Buffer.from(formatMarker(digest, length))
  content.beforeMarker?.()
  const volume = await pool.createVolume(rawVolumeXML(volumeNames.imageMarker(digest), marker.length), 0, options)
  await writeVolume(volume, atLast(marker, content), options)
}

/** The marker, when the host is ready to take it and the caller has nothing against it. */
function* atLast(marker: Uint8Array, content: ImageContent): Generator<Uint8Array> {
  content.beforeMarker?.()
  yield marker
}

async function requireRoom(pool: StoragePool, length: number, options: LibvirtCallOptions): Promise<void> {
  if ((await pool.getInfo(options)).available >= length) return
  // The figure is of the last refresh: space may have become free since.
  await pool.refresh(options)
  const { available } = await pool.getInfo(options)
  if (available >= length) return
  throw new BerthError('StorageFull', `The pool '${pool.name}' has ${available} bytes free; the image needs ${length}.`)
}

/**
 * Removes the marker, then the image. Rejects with InUse when a volume of the pool is a copy-on-write copy of it:
 * without it those disks are lost, so this is asked of the host itself, whatever the caller knows.
 */
export async function removeImage(pool: StoragePool, digest: string, options: LibvirtCallOptions): Promise<void> {
  const name = volumeNames.image(requireDigest(digest))
  const image = await findVolume(pool, name, options)
  const path = await image?.getPath(options)
  if (path !== undefined) {
    const copies = await copiesOf(pool, path, options)
    if (copies.length > 0) {
      const named = copies.slice(0, 10).join(', ')
      throw new BerthError('InUse', `The image ${digest} in pool '${pool.name}' is the base of volumes: ${named}.`)
    }
  }
  await deleteVolume(pool, volumeNames.imageMarker(digest), options)
  await deleteVolume(pool, name, options)
}

async function copiesOf(pool: StoragePool, path: string, options: LibvirtCallOptions): Promise<string[]> {
  const volumes = await volumesOf(pool, options)
  const bases = await Promise.all(
    volumes.map(async (volume) => ({
      name: volume.name,
      base: (await volumeDetails(volume, options))?.backingPath,
    })),
  )
  return bases.filter(({ base }) => base === path).map(({ name }) => name)
}
