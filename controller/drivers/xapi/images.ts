/** Images are VDIs with the bytes of a raw disk, made whole by their marker. */
import { BerthError, isBerthError } from '../../errors/index.ts'
import { type CallOptions, type ImageContent, type PlacedImage, volumeNames } from '../../hypervisor/port.ts'
import { formatMarker, parseMarker, requireDigest, verified } from '../shared/image-content.ts'
import type { PoolView, SR, VDI } from './pool.ts'
import { keys } from './tag.ts'
import type { Connector } from './trust.ts'
import { upload } from './upload.ts'
import { beginVolume, clearPartial, destroyVDI, findVDIs, finishVolume, isPartial, isWhole } from './volumes.ts'

/** Complete: whole, with a marker of this digest, and not shorter than the length that the marker names. */
export async function placedImage(
  view: PoolView,
  sr: SR,
  digest: string,
): Promise<PlacedImage & { readonly vdi?: VDI }> {
  const vdis = (await findVDIs(view, sr, volumeNames.image(requireDigest(digest)))).filter(
    (vdi) => isWhole(vdi) || isPartial(vdi),
  )
  for (const vdi of vdis) {
    const length = parseMarker(vdi.other_config[keys.content] ?? '', digest)
    if (isWhole(vdi) && length !== undefined && Number(vdi.virtual_size) >= length) {
      return { state: 'Complete', length, vdi }
    }
  }
  return { state: vdis.length > 0 ? 'Partial' : 'Absent' }
}

/**
 * Places an image; see `Session.placeImage`. Each placing makes a VDI of its own, so that none vouches for what another
 * one wrote; what an earlier one left is removed first, unless it is still being written.
 */
export async function placeImage(
  view: PoolView,
  sr: SR,
  connector: Connector,
  content: ImageContent,
  progress: (sent: number) => void,
  options: CallOptions,
): Promise<void> {
  const { digest, length } = content
  if (content.format !== 'raw') {
    throw new BerthError('InvalidConfiguration', `XAPI takes raw disks, not ${content.format}.`)
  }
  if ((await placedImage(view, sr, digest)).state === 'Complete') return
  await unlessWritten(removeImage(view, sr, digest, options))
  const free = Number(sr.physical_size) - Number(sr.physical_utilisation)
  if (free < length) {
    throw new BerthError('StorageFull', `The SR '${sr.name}' has ${free} bytes free; the image needs ${length}.`)
  }
  const made = await beginVolume(
    view,
    sr,
    {
      volume: volumeNames.image(digest),
      size: length,
      description: `Image sha256:${digest}, placed by Berth`,
      tags: {},
    },
    options,
  )
  const label = `Berth places the image ${digest.slice(0, 12)}`
  const sent = { vdi: made.ref, length, content: verified(content, progress), label }
  await upload(view.client, connector, sent, options)
  content.beforeMarker?.()
  await view.client.change('VDI.add_to_other_config', [made.ref, keys.content, formatMarker(digest, length)], options)
  content.beforeMarker?.()
  await finishVolume(view, made, options)
}

async function unlessWritten(removal: Promise<void>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if (!isBerthError(error, 'HypervisorBusy')) throw error
  }
}

/** Removes whatever bears the image's name. Disks are full copies, so none needs it. */
export async function removeImage(view: PoolView, sr: SR, digest: string, options: CallOptions): Promise<void> {
  for (const vdi of await findVDIs(view, sr, volumeNames.image(requireDigest(digest)))) {
    if (isPartial(vdi)) await clearPartial(view, vdi, options)
    else if (isWhole(vdi)) {
      // Worth nothing before it goes: a crash in between leaves no image that is half gone.
      await view.client.change('VDI.remove_from_other_config', [vdi.ref, keys.self], options)
      await destroyVDI(view, vdi.ref, options)
    }
  }
}
