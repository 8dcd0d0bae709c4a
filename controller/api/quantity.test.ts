import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { formatBytes, parseBytes } from './quantity.ts'

describe('parseBytes', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['1k', 1000],
    ['1Ki', 1024],
    ['1M', 1e6],
    ['256Mi', 268_435_456],
    ['15G', 15e9],
    ['2Gi', 2 ** 31],
    ['1T', 1e12],
    ['1Ti', 2 ** 40],
    ['1P', 1e15],
    ['1Pi', 2 ** 50],
    ['1.5Gi', 1.5 * 2 ** 30],
    // A double cannot hold 4.1 or 0.1, and the result must be exact all the same.
    ['4.1G', 4_100_000_000],
    ['0.1k', 100],
    ['007Mi', 7 * 2 ** 20],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%s is %d bytes', (quantity, bytes) => {
    expect(parseBytes(quantity)).toBe(bytes)
  })

  test.each([
    ['0.5', 1],
    ['1.0001Ki', 1025],
    ['0.0000001k', 1],
  ])('rounds a fraction of a byte up, as Kubernetes does: %s', (quantity, bytes) => {
    expect(parseBytes(quantity)).toBe(bytes)
  })

  test.each(['', 'Gi', '-1', '+1', '1e3', '100m', '2GB', '2gi', '2 Gi', ' 2Gi', '2Gi\n', '1.', '.5', '1.5.5', '1Ei'])(
    'refuses %j: a mistake must not become a size',
    (quantity) => {
      expect(() => parseBytes(quantity)).toThrow(RangeError)
    },
  )

  test.each(['9007199254740992', '8Pi', '99999P'])('refuses %s, which no safe integer holds', (quantity) => {
    expect(() => parseBytes(quantity)).toThrow('too many bytes')
  })
})

describe('formatBytes', () => {
  test.each([
    [0, '0'],
    [1, '1'],
    [1023, '1023'],
    [1024, '1Ki'],
    [1025, '1025'],
    [1_024_000, '1024k'],
    [1_048_576_000, '1000Mi'],
    [1.5 * 2 ** 30, '1536Mi'],
    [2 ** 31, '2Gi'],
    [15e9, '15G'],
    // Divisible by 1024 too, but shorter so.
    [16e9, '16G'],
    [1e15, '1P'],
    [999, '999'],
    [1000, '1k'],
    [2 ** 50, '1Pi'],
  ])('%d bytes are %s', (bytes, quantity) => {
    expect(formatBytes(bytes)).toBe(quantity)
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %d', (bytes) => {
    expect(() => formatBytes(bytes)).toThrow(RangeError)
  })

  test('loses nothing: what is written is read back as the same number', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(formatBytes(bytes)) === bytes))
  })
})

test('decimals are exact: n.d of a suffix is (10n+d)/10 of it, rounded up', () => {
  const suffixes = { k: 10n ** 3n, Mi: 1n << 20n, G: 10n ** 9n, Ti: 1n << 40n } as const
  fc.assert(
    fc.property(
      fc.nat(8000),
      fc.nat(9),
      fc.constantFrom('k' as const, 'Mi' as const, 'G' as const, 'Ti' as const),
      (whole, tenth, suffix) => {
        const exact = (BigInt(whole * 10 + tenth) * suffixes[suffix] + 9n) / 10n
        expect(parseBytes(`${whole}.${tenth}${suffix}`)).toBe(Number(exact))
      },
    ),
  )
})
