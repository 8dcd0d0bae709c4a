import { createHash, randomBytes } from 'node:crypto'
import type { ImageContent } from '../port.ts'
import type { MarkerDamage } from './world.ts'

export const MiB = 2 ** 20

/** Content that no other test has. */
export function randomContent(length = MiB): Buffer {
  return randomBytes(length)
}

export function imageContent(content: Buffer, changes: Partial<ImageContent> = {}): ImageContent {
  return {
    digest: createHash('sha256').update(content).digest('hex'),
    length: content.length,
    format: 'raw',
    async *open() {
      for (let at = 0; at < content.length; at += 64 * 1024) yield content.subarray(at, at + 64 * 1024)
    },
    ...changes,
  }
}

export const ignoreProgress = (): void => undefined

/** What is read where a marker was damaged. */
export function damagedMarker(marker: Buffer, digest: string, damage: MarkerDamage): Buffer {
  switch (damage) {
    case 'CutShort':
      return marker.subarray(0, marker.length - 8)
    case 'Zeroed':
      return Buffer.alloc(marker.length)
    case 'Emptied':
      return Buffer.alloc(0)
    case 'OfAnotherImage':
      return Buffer.from(marker.toString().replace(digest, 'f'.repeat(64)))
  }
}
