import { describe, expect, it, test } from '@jest/globals'
import fc from 'fast-check'
import { formatAddress, isReserved, isWithin, nameOfAddress, parseAddress, parseSubnet } from './ip-address.ts'

describe('addresses', () => {
  test.each([
    ['192.0.2.10', '192.0.2.10', '192-0-2-10'],
    ['0.0.0.0', '0.0.0.0', '0-0-0-0'],
    ['2001:DB8:0:0:0:0:0:10', '2001:db8::10', '2001-0db8-0000-0000-0000-0000-0000-0010'],
    ['::', '::', '0000-0000-0000-0000-0000-0000-0000-0000'],
    ['::1', '::1', '0000-0000-0000-0000-0000-0000-0000-0001'],
    ['fe80::', 'fe80::', 'fe80-0000-0000-0000-0000-0000-0000-0000'],
    ['::1.2.3.4', '::102:304', '0000-0000-0000-0000-0000-0000-0102-0304'],
    // A single group of zeros is written; of two runs that are equally long the first is not.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1', '2001-0db8-0000-0001-0001-0001-0001-0001'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1', '2001-0000-0000-0001-0000-0000-0000-0001'],
    ['2001:0:0:1:2:0:0:1', '2001::1:2:0:0:1', '2001-0000-0000-0001-0002-0000-0000-0001'],
    ['10:0:0:0:0:0:0:100', '10::100', '0010-0000-0000-0000-0000-0000-0000-0100'],
  ])('%s is written %s, and %s as a name', (text, canonical, name) => {
    const address = parseAddress(text)
    if (!address) throw new Error('not read')
    expect(formatAddress(address)).toBe(canonical)
    expect(nameOfAddress(address)).toBe(name)
  })

  test.each(['', 'lan', '192.0.2', '192.0.2.256', '192.0.2.010', '1::2::3', 'fe80::1%eth0', '2001:db8::/64'])(
    '%s is none',
    (text) => expect(parseAddress(text)).toBeUndefined(),
  )

  it('every address is read as it was written', () => {
    const address = fc.oneof(
      fc.record({ family: fc.constant(4 as const), value: fc.bigInt(0n, 2n ** 32n - 1n) }),
      fc.record({ family: fc.constant(6 as const), value: fc.bigInt(0n, 2n ** 128n - 1n) }),
      // Many zeros.
      fc.record({ family: fc.constant(6 as const), value: fc.nat(128).map((shift) => (1n << BigInt(shift)) - 1n) }),
    )
    fc.assert(fc.property(address, (one) => expect(parseAddress(formatAddress(one))).toEqual(one)))
  })
})

describe('subnets', () => {
  it('has what lies in it', () => {
    const subnet = parseSubnet('192.0.2.77/26')
    if (!subnet) throw new Error('not read')
    const inside = (text: string) => isWithin(parseAddress(text) ?? { family: 4, value: -1n }, subnet)
    expect(['192.0.2.63', '192.0.2.64', '192.0.2.127', '192.0.2.128', '::c000:240'].map(inside)).toEqual([
      false,
      true,
      true,
      false,
      false,
    ])
  })

  test.each(['192.0.2.0', '192.0.2.0/33', '192.0.2.0/', 'a/8', '2001:db8::/129', '192.0.2.0/-1'])(
    '%s is none',
    (text) => expect(parseSubnet(text)).toBeUndefined(),
  )

  test.each([
    ['192.0.2.0/24', '192.0.2.0', true],
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.2.1', false],
    ['192.0.2.0/31', '192.0.2.0', false],
    ['192.0.2.1/32', '192.0.2.1', false],
    ['2001:db8::/64', '2001:db8::', true],
    ['2001:db8::/64', '2001:db8::ffff:ffff:ffff:ffff', false],
    ['2001:db8::/127', '2001:db8::', false],
  ])('of %s, %s is reserved: %s', (subnet, address, expected) => {
    const [of, one] = [parseSubnet(subnet), parseAddress(address)]
    expect(of && one && isReserved(of, one.value)).toBe(expected)
  })
})
