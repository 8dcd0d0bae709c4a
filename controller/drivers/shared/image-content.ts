import { createHash } from 'node:crypto'
import { BerthError } from '../../errors/index.ts'
import type { ImageContent } from '../../hypervisor/port.ts'

export function requireDigest(digest: string): string {
  if (/^[0-9a-f]{64}$/.test(digest)) return digest
  throw new BerthError('InvalidConfiguration', `'${digest}' is not a sha256 of 64 hexadecimal digits.`)
}

export function formatMarker(digest: string, length: number): string {
  return `${JSON.stringify({ digest: `sha256:${digest}`, length })}\n`
}

/** The length that a marker of this digest names; undefined for anything else, zeros and half a marker included. */
export function parseMarker(content: string, digest: string): number | undefined {
  let marker: unknown
  try {
    marker = JSON.parse(content)
  } catch {
    return undefined
  }
  if (typeof marker !== 'object' || marker === null) return undefined
  const { digest: named, length } = marker as { readonly digest?: unknown; readonly length?: unknown }
  return named === `sha256:${digest}` && typeof length === 'number' && Number.isSafeInteger(length) && length >= 0
    ? length
    : undefined
}

/** The content as it is sent. Throws before its end, so that the transfer is never finished, when it is another one. */
export async function* verified(content: ImageContent, progress: (sent: number) => void): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let sent = 0
  for await (const part of content.open()) {
    sent += part.length
    if (sent > content.length) break
    hash.update(part)
    yield part
    progress(sent)
  }
  if (sent !== content.length) {
    const more = sent > content.length ? 'more' : 'less'
    throw new BerthError('TemporaryFailure', `The image's content is ${more} than the ${content.length} bytes it has.`)
  }
  const digest = hash.digest('hex')
  const expected = content.contentDigest ?? content.digest
  if (digest !== expected) {
    throw new BerthError('TemporaryFailure', `The image's content has sha256 ${digest} instead of ${expected}.`)
  }
}
