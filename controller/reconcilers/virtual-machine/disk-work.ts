/** One effect on one disk, through a port. */
import { BerthError } from '../../errors/index.ts'
import type { CallOptions, Session } from '../../hypervisor/port.ts'
import type { DiskFacts, DiskWork } from './disk-model.ts'

export async function doDiskWork(
  work: DiskWork,
  disk: DiskFacts,
  instanceID: string,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  const { name, pool, volumeName: volume, capacity } = disk
  if (work === 'DetachDisk') return session.detachDisk(instanceID, name, { signal })
  if (pool === undefined) throw new BerthError('StoragePoolNotFound', 'its StoragePool does not exist')
  if (work === 'DeleteVolume') return session.deleteVolume(instanceID, pool, volume, { signal })
  if (work === 'AttachDisk') return session.attachDisk(instanceID, { name, pool, volume }, { signal })
  if (capacity === undefined) throw new BerthError('InvalidConfiguration', 'its size is not known')
  if (work === 'GrowDisk') return session.growDisk(instanceID, pool, volume, capacity, { signal })
  return createDisk({ ...disk, pool, capacity }, instanceID, session, { signal })
}

async function createDisk(
  { pool, volumeName: volume, capacity, image }: DiskFacts & { readonly pool: string; readonly capacity: number },
  instanceID: string,
  session: Session,
  options: CallOptions,
): Promise<void> {
  const blank = { instanceID, pool, volume, capacity }
  if (!image) return session.createDisk(blank, options)
  const { digest, format } = image
  const placed = await session.placedImage(pool, digest, options)
  if (placed.state !== 'Complete')
    throw new BerthError('WaitingForImage', 'the image is not complete in the storage pool')
  return session.createDisk({ ...blank, image: { digest, format: format === 'QCOW2' ? 'qcow2' : 'raw' } }, options)
}
