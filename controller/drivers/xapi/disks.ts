import { BerthError } from '../../errors/index.ts'
import type { CallOptions, NewDisk } from '../../hypervisor/port.ts'
import { requireOwnName } from '../shared/instance-id.ts'
import { requireUnused } from './disk-changes.ts'
import { placedImage } from './images.ts'
import { requireOwn } from './machines.ts'
import type { PoolView, SR, VDI } from './pool.ts'
import { nullRef } from './records.ts'
import { keys } from './tag.ts'
import {
  beginVolume,
  clearPartial,
  destroyVDI,
  findVDIs,
  findVolume,
  finishVolume,
  isPartial,
  vdisToDelete,
} from './volumes.ts'

/**
 * See `Session.createDisk`. Of an image it is a full copy, which may take longer than a call: its task is written down beside the copy, so
 * that whoever comes next waits for it (HypervisorBusy), and finishes what has been copied meanwhile.
 */
export async function createDisk(
  view: PoolView,
  { instanceID, pool, volume, image: source, capacity }: NewDisk,
  options: CallOptions,
): Promise<void> {
  requireOwnName(instanceID, volume)
  const sr = await view.activeSR(pool)
  const { own } = requireOwn(await view.vms(), instanceID)
  if ((await findVolume(view, sr, volume, own?.vm)) !== undefined) return
  const image = source === undefined ? undefined : await requireImage(view, sr, source.digest, capacity)
  for (const vdi of (await findVDIs(view, sr, volume)).filter(isPartial)) {
    if ((await clearPartial(view, vdi, options)) === 'Finished') return
  }
  const tags = { [keys.instanceID]: instanceID }
  const description = `Disk of instance ${instanceID}, made by Berth`
  const made = await beginVolume(view, sr, { volume, size: capacity, description, tags }, options)
  if (image !== undefined) {
    const { client } = view
    const task = await client.begin('VDI.copy', [image.ref, nullRef, nullRef, made.ref], options)
    await client.change('VDI.add_to_other_config', [made.ref, keys.task, task], options)
    await client.follow(task, options)
  }
  await finishVolume(view, made, options)
}

async function requireImage(view: PoolView, sr: SR, digest: string, capacity: number): Promise<VDI> {
  const { vdi: image, ...placed } = await placedImage(view, sr, digest)
  if (placed.state !== 'Complete' || image === undefined) {
    throw new BerthError('WaitingForImage', `The image ${digest} is not in the SR '${sr.name}' yet.`)
  }
  if (capacity >= placed.length) return image
  throw new BerthError('SmallerThanImage', `The disk has ${capacity} bytes, its image ${placed.length}.`)
}

/** See `Session.deleteVolume`. */
export async function deleteVolume(
  view: PoolView,
  instanceID: string,
  pool: string,
  volume: string,
  options: CallOptions,
): Promise<void> {
  requireOwnName(instanceID, volume)
  const sr = await view.activeSR(pool)
  const { own } = requireOwn(await view.vms(), instanceID)
  const vdis = await vdisToDelete(view, sr, volume, own?.vm)
  if (own !== undefined) await requireUnused(view, own, volume, vdis, options)
  for (const vdi of vdis) {
    if (Object.keys(vdi.current_operations).length > 0) {
      throw new BerthError('HypervisorBusy', `The pool is still at work on VDI '${vdi.name_label}'.`)
    }
    await destroyVDI(view, vdi.ref, options)
  }
}
