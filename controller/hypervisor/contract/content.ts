import { createHash, randomBytes } from 'node:crypto'
import type { ImageContent } from '../port.ts'

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
