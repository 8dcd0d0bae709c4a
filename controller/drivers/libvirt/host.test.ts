import { describe, expect, test } from '@jest/globals'
import { formatVersion, readCapabilities } from './host.ts'

const guest = (arch: string, machines: readonly string[], domains: readonly string[], osType = 'hvm') =>
  `<guest><os_type>${osType}</os_type><arch name="${arch}">
   ${machines.map((machine) => `<machine canonical="${machine}-7.2">${machine}</machine>`).join('')}
   ${domains.map((type) => `<domain type="${type}"/>`).join('')}</arch></guest>`
const capabilities = (...guests: readonly string[]) =>
  `<capabilities><host><uuid>7d1b2c4e-0000-4000-8000-000000000001</uuid></host>${guests.join('')}</capabilities>`

describe('what a host can do', () => {
  test('only architectures that the driver writes machines for', () => {
    const xml = capabilities(guest('x86_64', ['pc', 'q35'], ['qemu']), guest('s390x', ['virt'], ['qemu']))
    const read = readCapabilities(xml)
    expect(read.capabilities.architectures).toEqual(['x86_64'])
    expect(read.guests).toMatchObject([{ architecture: 'x86_64', machineType: 'pc', mode: 'HVM' }])
  })

  test('KVM only where libvirt lists it, and first', () => {
    const accelerators = (...types: readonly string[]) =>
      readCapabilities(capabilities(guest('x86_64', ['pc'], types))).capabilities.accelerators
    expect(accelerators('qemu', 'kvm')).toEqual(['KVM', 'QEMU'])
    expect(accelerators('qemu')).toEqual(['QEMU'])
    expect(accelerators('vz')).toEqual([])
  })

  test('a host without i440fx (RHEL 10) gets q35; one with neither offers nothing', () => {
    expect(readCapabilities(capabilities(guest('x86_64', ['q35'], ['kvm']))).guests[0]?.machineType).toBe('q35')
    expect(readCapabilities(capabilities(guest('x86_64', ['microvm'], ['kvm']))).capabilities).toMatchObject({
      architectures: [],
      accelerators: [],
      modes: [],
    })
  })

  test('containers are no machines, and have no memory to save', () => {
    const containers = guest('x86_64', ['pc'], ['lxc'], 'exe')
    const { architectures, features } = readCapabilities(capabilities(containers)).capabilities
    expect([architectures, features]).toEqual([[], ['LinkedClone', 'Pause']])
  })

  test('Xen: each mode that the host has, HVM first, and neither KVM nor a guest agent', () => {
    const pv = guest('x86_64', ['xenpv'], ['xen'], 'xen')
    const hvm = ['i686', 'x86_64'].map((arch) => guest(arch, ['xenfv'], ['xen']))
    const pvh = guest('x86_64', ['xenpvh'], ['xen'], 'xenpvh')
    const all = readCapabilities(capabilities(pv, ...hvm, pvh))
    expect(all.capabilities).toMatchObject({
      architectures: ['x86_64'],
      accelerators: [],
      modes: ['HVM', 'PV', 'PVH'],
      firmware: ['BIOS'],
      features: ['HotPlugDisk', 'HotPlugNetwork', 'LinkedClone', 'Pause', 'Suspend'],
    })
    expect(all.guests.map(({ machineType }) => machineType)).toEqual(['xenfv', 'xenpv', 'xenpvh'])
    // A CPU without virtualisation.
    expect(readCapabilities(capabilities(pv)).capabilities).toMatchObject({ modes: ['PV'], firmware: [] })
  })

  test('versions as people write them', () => {
    expect([9_000_000, 8_001_002, 10_010_000].map(formatVersion)).toEqual(['9.0.0', '8.1.2', '10.10.0'])
  })
})
