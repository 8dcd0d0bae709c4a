import { describe, expect, test } from '@jest/globals'
import { formatMarker, parseMarker } from './image-content.ts'

const digest = 'ab'.repeat(32)

describe('completion markers', () => {
  test('what is written is read back', () => {
    for (const length of [0, 1, 2 ** 40]) expect(parseMarker(formatMarker(digest, length), digest)).toBe(length)
  })

  test('no part of a marker is one', () => {
    const marker = formatMarker(digest, 123)
    // But for the line's end, which says nothing.
    for (let end = 0; end < marker.length - 1; end++) expect(parseMarker(marker.slice(0, end), digest)).toBeUndefined()
  })

  test.each([
    ['zeros, which a volume holds before it is written', '\u0000'.repeat(90)],
    ['another digest', formatMarker('cd'.repeat(32), 123)],
    ['no length', JSON.stringify({ digest: `sha256:${digest}` })],
    ['a length that is none', JSON.stringify({ digest: `sha256:${digest}`, length: -1 })],
    ['a length in words', JSON.stringify({ digest: `sha256:${digest}`, length: '1' })],
    ['null', 'null'],
    ['a list', '[]'],
  ])('%s is none', (_, content) => {
    expect(parseMarker(content, digest)).toBeUndefined()
  })
})
