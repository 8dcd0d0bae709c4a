import { describe, expect, test } from '@jest/globals'
import { ImageError } from '../failure.ts'
import { fromStatus, fromTransport } from './failures.ts'

const coded = (code: string, rest: object = {}) => Object.assign(new Error('secret detail'), { code, ...rest })

describe('transport errors', () => {
  test('an untrusted certificate is final, wherever it hides', () => {
    const bare = coded('DEPTH_ZERO_SELF_SIGNED_CERT')
    for (const error of [bare, { cause: bare }, { errors: [coded('ECONNREFUSED'), bare] }]) {
      expect(fromTransport(error, 'host')).toMatchObject({ failure: 'CertificateInvalid' })
    }
  })

  test('a refusal of ours is kept, wherever it hides', () => {
    const ours = new ImageError('SourceForbidden', 'x')
    expect(fromTransport({ cause: { errors: [ours] } }, 'host')).toBe(ours)
  })

  test('the rest passes, and known codes are told in words', () => {
    expect(fromTransport(coded('ENOTFOUND'), 'host')).toMatchObject({
      failure: 'TemporaryFailure',
      message: 'host is a name that cannot be resolved',
    })
    expect(fromTransport(coded('EODD'), 'host').message).toBe('host failed: EODD')
    expect(fromTransport('odd', 'host').message).toBe('host failed: odd')
  })

  test('errors that cause each other end', () => {
    const a: { cause?: unknown } = {}
    a.cause = { cause: a }
    expect(fromTransport(a, 'host').failure).toBe('TemporaryFailure')
  })
})

test('Retry-After is seconds or a date, else ignored', () => {
  const now = Date.parse('Wed, 01 Jan 2020 00:00:00 GMT')
  const retryAfter = (value?: string) => fromStatus(503, 'place', value, now).retryAfter
  expect(retryAfter('7')).toBe(7000)
  expect(retryAfter('Wed, 01 Jan 2020 00:00:09 GMT')).toBe(9000)
  expect(retryAfter('Wed, 01 Jan 2019 00:00:00 GMT')).toBe(0)
  expect(retryAfter('soon')).toBeUndefined()
  expect(retryAfter()).toBeUndefined()
})
