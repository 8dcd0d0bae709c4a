import { describe, expect, test } from '@jest/globals'
import { contentLength, contentRange, validator } from './headers.ts'

describe('Content-Range', () => {
  test.each([
    ['bytes 5-9/10', { start: 5, end: 9, total: 10 }],
    ['bytes 5-9/*', { start: 5, end: 9, total: undefined }],
  ])('%s', (value, range) => expect(contentRange({ 'content-range': value })).toEqual(range))

  test.each([
    'bytes 9-5/10',
    'bytes 5-10/10',
    'bytes */10',
    'items 1-2/3',
    'bytes -1-2/3',
    '',
    'bytes 1-99999999999999999999/5',
  ])('%s means nothing', (value) => expect(contentRange({ 'content-range': value })).toBeUndefined())
})

test('a length is digits only', () => {
  expect(contentLength({ 'content-length': '12' })).toBe(12)
  for (const value of ['-1', '1e3', '12, 12', '', '0x10'])
    expect(contentLength({ 'content-length': value })).toBeUndefined()
})

describe('what may be resumed (RFC 9110, 8.8 and 13.1.5)', () => {
  const modified = 'Wed, 01 Jan 2020 00:00:00 GMT'

  test.each([
    ['a strong entity tag', { etag: '"a"', 'last-modified': modified }, '"a"'],
    ['a weak entity tag is none', { etag: 'W/"a"' }, undefined],
    ['an unquoted entity tag is none', { etag: 'a' }, undefined],
    ['an old modification', { 'last-modified': modified, date: 'Wed, 01 Jan 2020 00:00:01 GMT' }, modified],
    ['a modification within the last second', { 'last-modified': modified, date: modified }, undefined],
    ['a modification without a date to compare', { 'last-modified': modified }, undefined],
    ['a modification that is no date', { 'last-modified': 'yesterday', date: modified }, undefined],
    ['nothing', {}, undefined],
  ])('%s', (_what, headers, expected) => expect(validator(headers)).toBe(expected))
})
