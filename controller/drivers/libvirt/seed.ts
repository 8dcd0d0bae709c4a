import type { CallOptions as LibvirtCallOptions, StoragePool } from 'node-libvirt'
import type { SeedFiles } from '../../hypervisor/port.ts'
import { seedImage } from '../shared/seed-image.ts'
import { deleteVolume, findVolume, rawVolumeXML, readVolume, volumeDetails, writeVolume } from './volumes.ts'

/**
 * Writes the seed unless it is there already to the byte. The image is deterministic, so a crash in the middle is
 * mended by the next call.
 */
export async function writeSeed(
  pool: StoragePool,
  name: string,
  files: SeedFiles,
  options: LibvirtCallOptions,
): Promise<void> {
  const image = seedImage(files)
  const existing = await findVolume(pool, name, options)
  const length = existing === undefined ? undefined : (await volumeDetails(existing, options))?.length
  if (existing !== undefined && length === image.length) {
    const content = await readVolume(existing, length, options)
    if (content?.equals(image)) return
    await writeVolume(existing, [image], options)
    return
  }
  await deleteVolume(pool, name, options)
  const volume = await pool.createVolume(rawVolumeXML(name, image.length), 0, options)
  await writeVolume(volume, [image], options)
}
