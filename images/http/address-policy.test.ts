import { describe, expect, test } from '@jest/globals'
import { addressPolicy, defaultDenyAddresses, privateAddresses } from './address-policy.ts'

describe('the default policy', () => {
  const policy = addressPolicy(defaultDenyAddresses)

  test.each([
    '169.254.169.254',
    '169.254.0.1',
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '239.255.255.255',
    '255.255.255.255',
    '100.100.100.200',
    '168.63.129.16',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'ff02::1',
    'fd00:ec2::254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::169.254.169.254',
    '2002:a9fe:a9fe::1',
    '[fe80::1]',
    'no address',
    '',
  ])('denies %s', (address) => expect(policy.denies(address)).toBe(true))

  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '192.168.1.1',
    '8.8.8.8',
    '169.253.0.1',
    '::1',
    '2001:db8::1',
    'fd00::1',
    '::ffff:10.0.0.1',
  ])('allows %s', (address) => expect(policy.denies(address)).toBe(false))
})

test('private addresses can be denied besides, in every notation', () => {
  const policy = addressPolicy([...defaultDenyAddresses, ...privateAddresses])
  for (const address of [
    '127.0.0.1',
    '10.0.0.1',
    '172.31.0.1',
    '192.168.0.1',
    '::1',
    'fd12::1',
    '::ffff:127.0.0.1',
    '64:ff9b::10.0.0.1',
  ]) {
    expect([address, policy.denies(address)]).toEqual([address, true])
  }
  expect(policy.denies('172.32.0.1')).toBe(false)
})

test.each(['10.0.0.0', '10.0.0.0/33', 'fe80::/129', 'x/8', '10.0.0.0/8/8', '10.0.0.0/', ''])(
  '%s is no CIDR',
  (cidr) => {
    expect(() => addressPolicy([cidr])).toThrow(RangeError)
  },
)
