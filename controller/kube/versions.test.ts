import { expect, test } from '@jest/globals'
import { isOlder } from './versions.ts'

test.each<[string | undefined, string | undefined, boolean]>([
  ['9', '10', true],
  ['10', '9', false],
  ['10', '10', false],
  ['123456789012345678901', '123456789012345678902', true],
  ['99999999999999999999', '100000000000000000000', true],
  // Not to be compared: nothing is known.
  ['010', '9', false],
  ['a', 'b', false],
  ['', '1', false],
  ['0', '1', false],
  [undefined, '1', false],
  ['1', undefined, false],
])('%j is older than %j: %j', (version, than, expected) => {
  expect(isOlder(version, than)).toBe(expected)
})
