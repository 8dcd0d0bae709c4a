/** An image service that has one small image, ready. */
import { createHash } from 'node:crypto'
import type { ImageService, ImageState } from '@berth/images'

const content = Buffer.alloc(64 * 1024)
const ready: ImageState = {
  state: 'Ready',
  image: {
    digest: createHash('sha256').update(content).digest('hex'),
    format: 'qcow2',
    virtualSize: 2 ** 30,
    storedSize: content.length,
    checksum: 'Waived',
  },
}

export const imageService: ImageService = {
  ensure: async () => ready,
  state: async () => ready,
  release: async () => {},
  open: async function* () {
    yield content
  },
  openRaw: async () => {
    throw new Error('the hosts take images as they are')
  },
  onChange: () => () => {},
  close: async () => {},
}
