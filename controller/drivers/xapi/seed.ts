import { createHash } from 'node:crypto'
import type { CallOptions, SeedFiles } from '../../hypervisor/port.ts'
import { formatMarker } from '../shared/image-content.ts'
import { seedImage } from '../shared/seed-image.ts'
import { failedWith } from './errors.ts'
import type { PoolView, SR } from './pool.ts'
import { keys } from './tag.ts'
import type { Connector } from './trust.ts'
import { upload } from './upload.ts'
import { beginVolume, destroyVDI, findVDIs, finishVolume, isPartial, isWhole } from './volumes.ts'

/** Writes the seed unless it is there already to the byte: then its marker says so. A new one is another VDI. */
export async function writeSeed(
  view: PoolView,
  sr: SR,
  connector: Connector,
  instanceID: string,
  volume: string,
  files: SeedFiles,
  options: CallOptions,
): Promise<void> {
  const image = seedImage(files)
  const marker = formatMarker(createHash('sha256').update(image).digest('hex'), image.length)
  // A copy that somebody made is theirs.
  const existing = (await findVDIs(view, sr, volume)).filter((vdi) => isWhole(vdi) || isPartial(vdi))
  if (existing.some((vdi) => isWhole(vdi) && vdi.other_config[keys.content] === marker)) return
  for (const { ref, VBDs } of existing) {
    for (const vbd of VBDs) await destroyVBD(view, vbd, options)
    await destroyVDI(view, ref, options)
  }
  const tags = { [keys.instanceID]: instanceID, [keys.content]: marker }
  const description = `cloud-init data of instance ${instanceID}, made by Berth`
  const made = await beginVolume(view, sr, { volume, size: image.length, description, tags }, options)
  const label = `Berth writes the seed of ${instanceID}`
  await upload(view.client, connector, { vdi: made.ref, length: image.length, content: [image], label }, options)
  await finishVolume(view, made, options)
}

/** Gone already: nothing. */
export async function destroyVBD({ client }: PoolView, vbd: string, options: CallOptions): Promise<void> {
  try {
    await client.change('VBD.destroy', [vbd], options)
  } catch (error) {
    if (!failedWith(error, 'HANDLE_INVALID')) throw error
  }
}
