import { describe, expect, test } from '@jest/globals'
import { addressPlans, overlaps, parseNetwork, subnetAddresses } from './address.ts'

const first = (taken: readonly string[], subnet?: string) =>
  addressPlans(taken.map(parseNetwork), subnet).next().value?.plan

describe('places for local hypervisors', () => {
  test('the first is at the start of 10.77.0.0/16', () => {
    expect(first([])).toEqual({
      hostAddress: '10.77.0.1',
      address: '10.77.0.2',
      linkPrefix: 30,
      subnet: '10.77.64.0/24',
    })
  })

  test.each([
    ['the link', ['10.77.0.0/30'], '10.77.65.0/24'],
    ['the guests’ subnet', ['10.77.64.128/25'], '10.77.65.0/24'],
    ['one address in it', ['10.77.64.9'], '10.77.65.0/24'],
    ['the whole block', ['10.77.0.0/16'], '10.78.64.0/24'],
    ['a larger network, as of a VPN', ['10.64.0.0/11'], undefined],
  ])('none overlaps what the machine already routes: %s', (_what, taken, subnet) => {
    expect(first(taken)?.subnet).toBe(subnet)
  })

  test('no two overlap each other', () => {
    const networks = [...addressPlans([])].flatMap(({ plan }) => [
      parseNetwork(`${plan.address}/${plan.linkPrefix}`),
      parseNetwork(plan.subnet),
    ])
    networks.sort((one, two) => one.address - two.address)
    const clashes = networks.filter((network, index) => {
      const next = networks[index + 1]
      return next !== undefined && overlaps(network, next)
    })
    expect(networks).toHaveLength(2048)
    expect(clashes).toEqual([])
  })

  test('a subnet asked for is taken as it is', () => {
    expect(first([], '192.168.50.0/26')?.subnet).toBe('192.168.50.0/26')
  })
})

describe('a subnet’s addresses', () => {
  test('leave out the network, the gateway and the broadcast address from DHCP', () => {
    expect(subnetAddresses('192.168.50.64/26')).toEqual({
      gateway: '192.168.50.65',
      netmask: '255.255.255.192',
      dhcpStart: '192.168.50.66',
      dhcpEnd: '192.168.50.126',
    })
  })

  test.each(['10.0.0.0/30', '10.0.0.0/7', '10.0.0.0/33', '300.0.0.0/24', 'fd00::/64', ''])('refuse %j', (cidr) => {
    expect(() => subnetAddresses(cidr)).toThrow(RangeError)
  })
})
