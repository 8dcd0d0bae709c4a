import { describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import type { AddressedInterface } from './addressing.ts'
import { networkData } from './network-data.ts'

const plain: AddressedInterface = {
  name: 'eth0',
  network: 'lan',
  macAddress: '52:54:00:00:00:01',
  field: 'spec.networkInterfaces[0]',
  ipv4: { method: 'DHCP', addresses: [] },
  ipv6: { method: 'Automatic', addresses: [] },
  nameservers: [],
  searchDomains: [],
  routes: [],
}
const read = (...interfaces: AddressedInterface[]) => parse(networkData(interfaces) ?? 'null', { version: '1.1' })

describe('network data', () => {
  it('is not made where nothing is said: the guest asks, as it did before', () => {
    expect(networkData([])).toBeUndefined()
    expect(networkData([plain, { ...plain, name: 'eth1' }])).toBeUndefined()
  })

  it('tells a static address, its gateway, and DNS', () => {
    const one: AddressedInterface = {
      ...plain,
      ipv4: { method: 'Static', addresses: ['192.0.2.10/24'], gateway: '192.0.2.1' },
      ipv6: { method: 'Static', addresses: ['2001:db8::10/64'], gateway: '2001:db8::1' },
      nameservers: ['192.0.2.53'],
      searchDomains: ['example.org'],
      routes: [{ to: '10.0.0.0/8', via: '192.0.2.2', metric: 5 }],
    }
    expect(read(one)).toEqual({
      version: 2,
      ethernets: {
        eth0: {
          match: { macaddress: '52:54:00:00:00:01' },
          'set-name': 'eth0',
          dhcp4: false,
          dhcp6: false,
          'accept-ra': false,
          addresses: ['192.0.2.10/24', '2001:db8::10/64'],
          routes: [
            { to: '0.0.0.0/0', via: '192.0.2.1' },
            { to: '::/0', via: '2001:db8::1' },
            { to: '10.0.0.0/8', via: '192.0.2.2', metric: 5 },
          ],
          nameservers: { addresses: ['192.0.2.53'], search: ['example.org'] },
        },
      },
    })
  })

  it('tells all interfaces as soon as one is told of, or the others would get nothing', () => {
    const { ethernets } = read({ ...plain, nameservers: ['192.0.2.53'] }, { ...plain, name: 'eth1' })
    expect(Object.keys(ethernets)).toEqual(['eth0', 'eth1'])
    expect(ethernets.eth1).toMatchObject({ dhcp4: true, 'accept-ra': true })
  })

  it('prefers the way out of the first interface', () => {
    const fixed = (name: string): AddressedInterface => ({
      ...plain,
      name,
      ipv4: { method: 'FromRanges', addresses: ['192.0.2.10/24'], gateway: '192.0.2.1' },
    })
    const { ethernets } = read(fixed('eth0'), fixed('eth1'))
    expect(ethernets.eth0.routes).toEqual([{ to: '0.0.0.0/0', via: '192.0.2.1' }])
    expect(ethernets.eth1.routes).toEqual([{ to: '0.0.0.0/0', via: '192.0.2.1', metric: 100 }])
  })

  it('switches off what is disabled, and listens to routers beside DHCP', () => {
    const off = { method: 'Disabled', addresses: [] } as const
    expect(read({ ...plain, ipv4: off, ipv6: off }).ethernets.eth0).toMatchObject({
      dhcp4: false,
      dhcp6: false,
      'accept-ra': false,
    })
    expect(read({ ...plain, ipv6: { method: 'DHCP', addresses: [] } }).ethernets.eth0).toMatchObject({
      dhcp6: true,
      'accept-ra': true,
    })
  })

  it('has MAC addresses as text, also one that YAML 1.1 would read as a number', () => {
    const { ethernets } = read({ ...plain, macAddress: '52:54:00:12:34:56', nameservers: ['192.0.2.53'] })
    expect(ethernets.eth0.match.macaddress).toBe('52:54:00:12:34:56')
  })
})
