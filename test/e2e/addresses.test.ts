/** Addresses that Berth gives, on guests that answer at them; and those that it cannot give: E14, H5. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { AddressLease, Network, VirtualMachine } from '../../controller/api/index.ts'
import { echo } from '../../hack/lab/guest.ts'
import { until } from '../../hack/lab/wait.ts'
import { Lab, login, namespace, patience } from './lab.ts'

let lab: Lab

/** An address of the guests' subnet by its last number. */
const at = (last: number) => lab.hypervisor.subnet.replace(/\d+\/\d+$/, String(last))
const ipv6 = { subnet: 'fd77:1::/64', ranges: [{ first: 'fd77:1::10', last: 'fd77:1::1f' }] }

const network = (name: string, spec: object) =>
  lab.apply(
    JSON.stringify({
      apiVersion: 'berth.dev/v1alpha1',
      kind: 'Network',
      metadata: { name },
      spec: { attachments: [{ hypervisor: '*', libvirtNetwork: lab.hypervisor.networkName }], ...spec },
    }),
  )
/** Two addresses, at the end of the subnet. */
const twoAddresses = () => ({
  ipv4: {
    method: 'FromRanges',
    subnet: lab.hypervisor.subnet,
    gateway: at(1),
    ranges: [{ first: at(240), last: at(241) }],
  },
  ipv6,
  nameservers: [at(1)],
  searchDomains: ['lab.example'],
})
const machine = (name: string, fields: object = {}, spec: object = {}) =>
  lab.apply(
    lab.machine(name, {
      shutdownMode: 'Hard',
      networkInterfaces: [{ name: 'eth0', network: 'given', ...fields }],
      ...spec,
    }),
  )
const messageOf = (vm: VirtualMachine, type = 'NetworkReady') =>
  vm.status?.conditions?.find((condition) => condition.type === type)?.message
const addresses = (vm: VirtualMachine) => vm.status?.networkInterfaces?.[0]?.addresses
const stopsAt = (name: string, reason: string) =>
  lab.condition<VirtualMachine>('virtualmachines', name, 'NetworkReady', 'False', reason)
const leases = () => lab.list<AddressLease>('addressleases')
const leaseNames = async () => (await leases()).map(({ metadata }) => metadata.name)
const nameOf = (address: string) => `given.${address.replaceAll('.', '-')}`
const expectAnswer = async (address: string) => {
  const [line] = await until(`echo at ${address}`, () => echo(address, ['there']), patience)
  expect(line).toContain(` ${address} there`)
}
const inGuest = async (address: string, command: string) => {
  const { code, stdout, stderr } = await login(address, lab.key, command)
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout
}
const domains = async () => (await lab.hypervisor.virsh(['list', '--all', '--name'])).stdout

beforeAll(async () => {
  lab = await Lab.start(1)
  lab.startController()
  await lab.declare(3)
  await network('given', twoAddresses())
  await lab.condition('networks', 'given', 'Ready', 'True')
  await lab.condition('clusterimages', 'reference', 'Ready', 'True')
})
afterAll(() => lab?.stop())

describe('an address from the ranges of a network', () => {
  let one: string
  let two: string

  test('is what the guest has: each machine another, with gateway and DNS, and no DHCP', async () => {
    await machine('one')
    await machine('two')
    one = await lab.address('one')
    two = await lab.address('two')
    expect([one, two].toSorted()).toEqual([at(240), at(241)])
    await Promise.all([one, two].map(expectAnswer))
    expect(await inGuest(one, 'ip route show default')).toContain(`default via ${at(1)}`)
    expect(await inGuest(one, 'cat /etc/resolv.conf')).toBe(`nameserver ${at(1)}\nsearch lab.example \n`)
    const held = await lab.hypervisor.virsh(['net-dhcp-leases', lab.hypervisor.networkName])
    expect(held.stdout).not.toContain('ipv4')
  })

  test('is leased, as its MAC is, and the network counts what it gave', async () => {
    const vm = await lab.get<VirtualMachine>('virtualmachines', 'one')
    const lease = await lab.get<AddressLease>('addressleases', nameOf(one))
    expect(lease?.spec).toEqual({
      network: 'given',
      address: one,
      consumerRef: { namespace, name: 'one', uid: vm?.metadata.uid },
      interface: 'eth0',
    })
    expect(addresses(vm as VirtualMachine)?.[0]).toEqual({ address: one, source: 'Static' })
    const mac = vm?.status?.networkInterfaces?.[0]?.macAddress ?? ''
    expect(await leaseNames()).toContain(`mac.${mac.replaceAll(':', '-')}`)
    // Two of IPv4, and sixteen of IPv6, which nobody has.
    await until(
      'the network counts',
      async () => {
        const { status } = (await lab.get<Network>('networks', 'given')) ?? {}
        expect(status?.addresses).toEqual({ total: 18, used: 2 })
        return true
      },
      patience,
    )
  })

  test('runs out: a third machine is told so, and gets that of one that is deleted', async () => {
    await machine('three')
    const full = await stopsAt('three', 'RangesFull')
    expect(messageOf(full)).toMatch(/^spec\.networkInterfaces\[0\]\.ipv4: no address is left.*add a range there/)
    expect(await domains()).not.toContain('three')
    await lab.remove('virtualmachines', 'one')
    expect(await lab.address('three')).toBe(one)
    await expectAnswer(one)
  })

  test('comes back to the machine that has it, when its lease is deleted by hand', async () => {
    const before = await lab.get<VirtualMachine>('virtualmachines', 'three')
    await lab.kubectl('delete', 'blease', nameOf(one))
    await until('the lease is back', async () => (await leaseNames()).includes(nameOf(one)), patience)
    const after = await lab.running('three')
    expect(after.status?.startTime).toBe(before?.status?.startTime)
  })

  test('that is taken is waited for by who declares it, and given when the other is deleted', async () => {
    await machine('fixed', { ipv4: { addresses: [`${two}/24`] }, ipv6: { addresses: ['fd77:1::10/64'] } })
    const taken = await stopsAt('fixed', 'AddressTaken')
    expect(messageOf(taken)).toContain(
      `VirtualMachine two has ${two} on Network given: choose another address, or wait`,
    )
    expect(await domains()).not.toContain('fixed')
    await lab.remove('virtualmachines', 'two')
    expect(await lab.address('fixed')).toBe(two)
    await expectAnswer(two)
  })

  test('may be of IPv6, and answers', async () => {
    expect(await leaseNames()).toContain('given.fd77-0001-0000-0000-0000-0000-0000-0010')
    expect(addresses((await lab.get<VirtualMachine>('virtualmachines', 'fixed')) as VirtualMachine)).toContainEqual({
      address: 'fd77:1::10',
      source: 'Static',
    })
    // libvirt switches IPv6 off on a bridge that it gave no such address.
    const bridge = 'echo 0 >/proc/sys/net/ipv6/conf/virbr0/disable_ipv6 && ip address add fd77:1::1/64 dev virbr0 nodad'
    expect((await lab.hypervisor.run('bash', ['-c', bridge])).stderr).toBe('')
    await until(
      'SSH by IPv6',
      async () => {
        const greeting = 'exec 3<>/dev/tcp/fd77:1::10/22 && head -c 7 <&3'
        const { stdout, stderr } = await lab.hypervisor.run('timeout', ['10', 'bash', '-c', greeting])
        if (stdout !== 'SSH-2.0') throw new Error(stderr)
        return true
      },
      patience,
    )
  })
})

describe('what cannot be given', () => {
  const wrong = (name: string, fields: object, spec?: object) => machine(`bad-${name}`, fields, spec)
  const refused = async (name: string, reason: string, message: string) => {
    const vm = await lab.condition<VirtualMachine>('virtualmachines', `bad-${name}`, 'Ready', 'False', reason)
    expect(messageOf(vm, 'Ready')).toContain(message)
    expect(await domains()).not.toContain(`bad-${name}`)
    await lab.remove('virtualmachines', `bad-${name}`)
  }

  test('an address outside of the network’s subnet', async () => {
    await wrong('outside', { ipv4: { addresses: ['192.0.2.10/24'] } })
    await refused('outside', 'InvalidConfiguration', '192.0.2.10/24 is not in')
  })

  test('the gateway’s address', async () => {
    await wrong('gateway', { ipv4: { addresses: [`${at(1)}/24`] } })
    await refused('gateway', 'InvalidConfiguration', `${at(1)} is the gateway`)
  })

  test('network data that is no YAML, which is not repeated', async () => {
    await wrong('data', {}, { bootstrap: { cloudInit: { networkData: 'version: 2\n\thunter2' } } })
    await refused('data', 'InvalidConfiguration', 'spec.bootstrap.cloudInit.networkData: is not YAML')
  })

  test('a MAC address that another machine has', async () => {
    const { status } = (await lab.get<VirtualMachine>('virtualmachines', 'three')) ?? {}
    const macAddress = status?.networkInterfaces?.[0]?.macAddress
    await wrong('mac', { network: 'lan', macAddress })
    await refused('mac', 'MACTaken', `VirtualMachine three has ${macAddress}`)
  })

  test('anything from ranges that are backwards, or another network’s, until that is mended', async () => {
    const backwards = { ...twoAddresses().ipv4, ranges: [{ first: at(239), last: at(230) }] }
    await network('crossed', { ipv4: backwards })
    await lab.condition('networks', 'crossed', 'Ready', 'False', 'RangesInvalid')
    await network('crossed', { ipv4: { ...backwards, ranges: [{ first: at(230), last: at(240) }] } })
    for (const name of ['crossed', 'given']) await lab.condition('networks', name, 'Ready', 'False', 'RangesOverlap')
    await wrong('crossed', { network: 'crossed' })
    await stopsAt('bad-crossed', 'RangesOverlap')
    await network('crossed', { ipv4: { ...backwards, ranges: [{ first: at(230), last: at(230) }] } })
    for (const name of ['crossed', 'given']) await lab.condition('networks', name, 'Ready', 'True')
    expect(await lab.address('bad-crossed')).toBe(at(230))
    await lab.remove('virtualmachines', 'bad-crossed')
  })
})

test('a Secret with network data may vanish after first boot: the machine is started again without it', async () => {
  const data = `network: {version: 2, ethernets: {eth0: {match: {macaddress: "52:54:00:77:00:01"}, addresses: [${at(235)}/24], routes: [{to: 0.0.0.0/0, via: ${at(1)}}]}}}`
  await lab.kubectl('create', 'secret', 'generic', 'net', '-n', namespace, `--from-literal=data=${data}`)
  const bootstrap = {
    sshAuthorizedKeys: [lab.publicKey],
    cloudInit: { networkDataSecretRef: { name: 'net', key: 'data' } },
  }
  await machine('own', { network: 'lan', macAddress: '52:54:00:77:00:01' }, { bootstrap })
  await lab.running('own')
  await expectAnswer(at(235))
  await lab.kubectl('delete', 'secret', 'net', '-n', namespace)
  await lab.patch('own', { restart: { token: 'again', mode: 'Cold' } })
  await until(
    'it was restarted',
    async () => (await lab.get<VirtualMachine>('virtualmachines', 'own'))?.status?.restart?.token === 'again',
    patience,
  )
  await lab.running('own')
  await expectAnswer(at(235))
})

test('with the last machine all leases are gone', async () => {
  for (const vm of await lab.list<VirtualMachine>('virtualmachines'))
    await lab.remove('virtualmachines', vm.metadata.name)
  expect(await leases()).toEqual([])
})
