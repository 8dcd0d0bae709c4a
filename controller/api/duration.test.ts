import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseDuration } from './duration.ts'

test.each([
  ['0s', 0],
  ['1ms', 1],
  ['90s', 90_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['0.1s', 100],
  ['87600h', 315_360_000_000],
  ['1s1ms', 1001],
])('%s is %d ms', (duration, milliseconds) => {
  expect(parseDuration(duration)).toBe(milliseconds)
})

test.each(['', '5', 's', '1d', '1 s', '-1s', '1us', '1sms', 's1', '1s\n', '1.s', '.5s'])('refuses %j', (duration) => {
  expect(() => parseDuration(duration)).toThrow(RangeError)
})

test('refuses what no safe integer holds', () => {
  expect(() => parseDuration('99999999999999999h')).toThrow('too long')
})

test('the parts add up, in any number and order', () => {
  const unit = fc.constantFrom(
    ['ms', 1] as const,
    ['s', 1000] as const,
    ['m', 60_000] as const,
    ['h', 3_600_000] as const,
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(10_000), unit), { minLength: 1, maxLength: 4 }), (parts) => {
      const text = parts.map(([amount, [name]]) => `${amount}${name}`).join('')
      expect(parseDuration(text)).toBe(parts.reduce((sum, [amount, [, factor]]) => sum + amount * factor, 0))
    }),
  )
})
