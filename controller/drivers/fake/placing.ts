import { BerthError } from '../../errors/index.ts'
import { type ImageContent, volumeNames } from '../../hypervisor/port.ts'
import { formatMarker, verified } from '../shared/image-content.ts'
import { emptyVolume, type FakePool } from './storage.ts'

/**
 * Writes an image and then its marker; see `Session.placeImage`. Whoever deletes the volume meanwhile has the bytes
 * that follow go nowhere, as with a file that was removed while it is written.
 *
 * @param ready - Resolves when the host takes what comes next; rejects when it never will.
 * @returns whether it changed anything.
 */
export async function placeImage(
  pool: FakePool,
  content: ImageContent,
  progress: (sent: number) => void,
  ready: (sent: number) => Promise<void>,
): Promise<boolean> {
  const { digest, length } = content
  const { state } = pool.placedImage(digest)
  if (state === 'Complete') return false
  if (state === 'Partial') pool.removeImage(digest)
  pool.requireRoom(length)
  const imageName = volumeNames.image(digest)
  const image = emptyVolume()
  pool.write(imageName, image)
  let sent = 0
  for await (const part of verified(content, progress)) {
    await ready(sent)
    pool.append(imageName, image, part)
    sent += part.length
  }
  await ready(sent)
  if (pool.volumes.get(imageName) !== image) {
    throw new BerthError('TemporaryFailure', `The host does not have the image's ${length} bytes: it was replaced.`)
  }
  content.beforeMarker?.()
  const [markerName, marker] = [volumeNames.imageMarker(digest), emptyVolume()]
  pool.write(markerName, marker)
  await ready(sent)
  content.beforeMarker?.()
  pool.append(markerName, marker, Buffer.from(formatMarker(digest, length)))
  return true
}
