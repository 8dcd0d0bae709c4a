/** Addresses of a machine from its spec to its seed, with the leases behind them. */
import { beforeEach, describe, expect, it, test } from '@jest/globals'
import { parse } from 'yaml'
import { type AddressLease, addressLeases, networks, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { AddressLeaseReconciler } from '../address-lease/reconciler.ts'
import { Inventories } from '../shared/inventories.ts'
import { aMachine, aNetwork, aSlot, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'
import { generatedMAC } from './resolve.ts'

const attachments = [{ hypervisor: '*', libvirtNetwork: 'default' }]
const subnet = '192.0.2.0/24'
const ranges = [{ first: '192.0.2.10', last: '192.0.2.11' }]
const fromRanges = { attachments, ipv4: { method: 'FromRanges', subnet, gateway: '192.0.2.1', ranges } }

let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1', 's2', 's3')
  lab.kube.put(aNetwork('lan', fromRanges))
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = (name = 'web') => lab.settle(reconciler, `team/${name}`).catch((error) => error)
const leaseNames = () => lab.caches.addressLeases.list().map(({ metadata }) => metadata.name)
const lease = (name: string) => lab.kube.peek(addressLeases, { name })
const addresses = (name = 'web') =>
  lab.machine(name).status?.networkInterfaces?.flatMap((one) => one.addresses?.map(({ address }) => address) ?? [])
const seedOf = (name = 'web') => {
  const calls = lab.host.calls.filter(({ method }) => method === 'define')
  const uid = lab.machine(name).metadata.uid
  const definitions = calls.map(
    ({ args }) => args?.[0] as { tag: { uid: string }; seed: { files?: Record<string, string> } },
  )
  return definitions.findLast(({ tag }) => tag.uid === uid)?.seed.files
}
const networkReady = (name = 'web') => {
  const found = lab.machine(name).status?.conditions?.find(({ type }) => type === 'NetworkReady')
  return found && `${found.status} ${found.reason}: ${found.message}`
}
const methods = () => lab.host.calls.map(({ method }) => method)
const aLease = (name: string, spec: Partial<AddressLease['spec']>, uid = 'other'): AddressLease => ({
  apiVersion: 'berth.dev/v1alpha1',
  kind: 'AddressLease',
  metadata: { name },
  spec: { network: 'lan', consumerRef: { namespace: 'elsewhere', name: 'secret', uid }, interface: 'eth0', ...spec },
})
const fixed = (address: string, more: object = {}) => ({
  networkInterfaces: [{ name: 'eth0', network: 'lan', ipv4: { addresses: [address] }, ...more }],
})

async function bringUp(name = 'web', spec: object = {}): Promise<void> {
  lab.kube.put(aMachine(name, spec))
  await settle(name)
  expect(readyOf(lab.machine(name))).toBe('True Running')
}

describe('an address from the ranges of a network', () => {
  it('is leased before the machine is defined, told by the seed, and shown', async () => {
    let atDefine: string[] = []
    lab.host.before = (method: string) => {
      if (method === 'define') atDefine = leaseNames()
    }
    await bringUp()
    const [address = ''] = addresses() ?? []
    expect(address).toMatch(/^192\.0\.2\.1[01]$/)
    const mac = generatedMAC(lab.machine().metadata.uid, 'eth0')
    const names = [`lan.${address.replaceAll('.', '-')}`, `mac.${mac.replaceAll(':', '-')}`]
    expect(atDefine.toSorted()).toEqual(names.toSorted())
    expect(lease(names[0] ?? '')?.spec).toEqual({
      network: 'lan',
      address,
      consumerRef: { namespace: 'team', name: 'web', uid: lab.machine().metadata.uid },
      interface: 'eth0',
    })
    expect(parse(seedOf()?.['network-config'] ?? '').ethernets.eth0).toMatchObject({
      match: { macaddress: mac },
      addresses: [`${address}/24`],
      routes: [{ to: '0.0.0.0/0', via: '192.0.2.1' }],
    })
    expect(lab.machine().status?.primaryAddress).toBe(address)
    expect(networkReady()).toContain('True AddressKnown: learnt from Static')
  })

  it('is each machine’s own; a third finds the range full, waits, and gets what one that is deleted had', async () => {
    await bringUp('a')
    await bringUp('b')
    expect(new Set([...(addresses('a') ?? []), ...(addresses('b') ?? [])]).size).toBe(2)
    lab.kube.put(aMachine('c'))
    await settle('c')
    expect(readyOf(lab.machine('c'))).toBe('False RangesFull')
    expect(networkReady('c')).toContain('no address is left in the ranges of Network lan (192.0.2.0/24): add a range')
    expect(lab.host.machines.has(lab.machine('c').metadata.uid)).toBe(false)
    const [freed] = addresses('a') ?? []
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'a' }, (vm) => {
      Object.assign(vm.metadata, { deletionTimestamp: '2026-01-01T00:00:00Z' })
      Object.assign(vm.spec, { shutdownMode: 'Hard' })
    })
    await settle('a')
    expect(lab.kube.peek(virtualMachines, { namespace: 'team', name: 'a' })).toBeUndefined()
    await settle('c')
    expect(readyOf(lab.machine('c'))).toBe('True Running')
    expect(addresses('c')).toEqual([freed])
  })

  it('is the machine’s own though another of its networks is gone', async () => {
    await bringUp()
    const names = leaseNames()
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, ({ spec }) => {
      Object.assign(spec, {
        networkInterfaces: [
          { name: 'eth1', network: 'gone' },
          { name: 'eth0', network: 'lan' },
        ],
      })
    })
    for (const name of names) lab.kube.remove(addressLeases, { name })
    await settle()
    expect(networkReady()).toContain('False NetworkNotFound')
    expect(leaseNames().toSorted()).toEqual(names.toSorted())
  })

  it('is kept while the machine is off', async () => {
    await bringUp()
    const [before, names] = [addresses(), leaseNames()]
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) =>
      Object.assign(vm.spec, { powerState: 'Stopped', shutdownMode: 'Hard' }),
    )
    await settle()
    expect(lab.machine().status?.powerState).toBe('Stopped')
    expect([addresses(), leaseNames()]).toEqual([before, names])
  })

  it('comes back for the same address when its lease was deleted by hand, and without touching the machine', async () => {
    await bringUp()
    const [address = ''] = addresses() ?? []
    const name = `lan.${address.replaceAll('.', '-')}`
    const calls = lab.host.calls.length
    lab.kube.remove(addressLeases, { name })
    await settle()
    expect(lease(name)?.spec.address).toBe(address)
    expect(lab.host.calls.length).toBe(calls)
  })

  it('that another took meanwhile is said to be taken; the machine runs on', async () => {
    await bringUp()
    const [address = ''] = addresses() ?? []
    const name = `lan.${address.replaceAll('.', '-')}`
    lab.kube.remove(addressLeases, { name })
    lab.kube.put(aLease(name, { address }))
    await settle()
    expect(readyOf(lab.machine())).toBe('False AddressTaken')
    expect(lab.machine().status?.powerState).toBe('Running')
    // Machines of another namespace are not named to users.
    expect(networkReady()).not.toContain('secret')
    expect(networkReady()).toContain(`kubectl get blease ${name}`)
  })

  it('stays its own when its network gives none any more, and comes back then too', async () => {
    await bringUp()
    const [address = ''] = addresses() ?? []
    const name = `lan.${address.replaceAll('.', '-')}`
    lab.kube.put(aNetwork('lan', { attachments, ipv4: { ...fromRanges.ipv4, method: 'DHCP' } }))
    await settle()
    lab.kube.remove(addressLeases, { name })
    await settle()
    expect(addresses()).toEqual([address])
    expect(lease(name)?.spec.address).toBe(address)
  })

  it('is still shown when its network is gone', async () => {
    await bringUp()
    const before = addresses()
    lab.kube.remove(networks, { name: 'lan' })
    await settle()
    expect(addresses()).toEqual(before)
  })

  it('is not given by ranges that overlap', async () => {
    lab.kube.put(aNetwork('dmz', fromRanges))
    lab.kube.put(aMachine('web', { networkInterfaces: [{ name: 'eth0', network: 'lan' }] }))
    await settle()
    expect(readyOf(lab.machine())).toBe('False RangesOverlap')
    expect(leaseNames().filter((name) => name.startsWith('lan.'))).toEqual([])
    expect(methods()).not.toContain('define')
  })

  it('is not given to a machine that has booted when its network begins to give some', async () => {
    lab.kube.put(aNetwork('lan', { attachments }))
    await bringUp()
    expect(seedOf()).not.toHaveProperty('network-config')
    lab.kube.put(aNetwork('lan', fromRanges))
    await settle()
    expect(leaseNames()).toHaveLength(1)
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})

describe('a static address', () => {
  it('is leased where it lies in a range, and told as it is where it does not', async () => {
    await bringUp('a', fixed('192.0.2.11/24'))
    await bringUp('b', fixed('192.0.2.200/24'))
    expect(leaseNames().filter((name) => name.startsWith('lan.'))).toEqual(['lan.192-0-2-11'])
    expect([addresses('a'), addresses('b')]).toEqual([['192.0.2.11'], ['192.0.2.200']])
    expect(seedOf('b')?.['network-config']).toContain('192.0.2.200/24')
  })

  it('that another has keeps the machine from being started; it goes on when the other is gone', async () => {
    await bringUp('a', fixed('192.0.2.10/24'))
    lab.kube.put(aMachine('b', fixed('192.0.2.10/24')))
    await settle('b')
    expect(readyOf(lab.machine('b'))).toBe('False AddressTaken')
    expect(networkReady('b')).toContain(
      'spec.networkInterfaces[0].ipv4: VirtualMachine a has 192.0.2.10 on Network lan',
    )
    expect(addresses('b')).toEqual([])
    expect(methods().filter((method) => method === 'start')).toHaveLength(1)
    lab.kube.remove(addressLeases, { name: 'lan.192-0-2-10' })
    await settle('b')
    expect(readyOf(lab.machine('b'))).toBe('True Running')
  })

  it('of IPv6 is leased by all its digits', async () => {
    const ipv6 = { subnet: '2001:db8::/64', ranges: [{ first: '2001:db8::10', last: '2001:db8::20' }] }
    lab.kube.put(aNetwork('lan', { attachments, ipv6 }))
    await bringUp('web', { networkInterfaces: [{ name: 'eth0', ipv6: { addresses: ['2001:db8:0::10/64'] } }] })
    expect(lease('lan.2001-0db8-0000-0000-0000-0000-0000-0010')?.spec.address).toBe('2001:db8::10')
    expect(addresses()).toEqual(['2001:db8::10'])
  })

  test.each([
    ['192.0.3.10/24', 'spec.networkInterfaces[0].ipv4.addresses[0]: 192.0.3.10/24 is not in 192.0.2.0/24'],
    ['192.0.2.1/24', '192.0.2.1 is the gateway, network or broadcast address of Network lan'],
    ['192.0.2.255/24', 'is the gateway, network or broadcast address'],
  ])('%s is not taken', async (address, message) => {
    lab.kube.put(aMachine('web', fixed(address)))
    await settle()
    expect(readyOf(lab.machine())).toBe('False InvalidConfiguration')
    expect(lab.machine().status?.conditions?.find(({ type }) => type === 'Ready')?.message).toContain(message)
    expect(lab.machine().status?.slot).toBeUndefined()
  })
})

describe('a MAC address', () => {
  const macAddress = '52:54:00:AB:00:01'
  const named = { networkInterfaces: [{ name: 'eth0', network: 'lan', macAddress, ipv4: { method: 'DHCP' } }] }

  it('that two machines declare is the first one’s; the second waits, and nothing of it is started', async () => {
    await bringUp('a', named)
    lab.kube.put(aMachine('b', named))
    await settle('b')
    expect(readyOf(lab.machine('b'))).toBe('False MACTaken')
    expect(networkReady('b')).toContain('VirtualMachine a has 52:54:00:ab:00:01: choose another')
    expect(methods().filter((method) => method === 'define')).toHaveLength(1)
  })

  it('of a machine that an earlier version made is leased while it runs, and nothing is done on its host', async () => {
    await bringUp('web', named)
    const calls = lab.host.calls.length
    lab.kube.remove(addressLeases, { name: 'mac.52-54-00-ab-00-01' })
    await settle()
    expect(leaseNames()).toEqual(['mac.52-54-00-ab-00-01'])
    expect(lab.host.calls.length).toBe(calls)
  })

  it('of two such machines that have the same is told of, and both run on', async () => {
    await bringUp('web', named)
    lab.kube.remove(addressLeases, { name: 'mac.52-54-00-ab-00-01' })
    lab.kube.put(aLease('mac.52-54-00-ab-00-01', { macAddress: '52:54:00:ab:00:01' }))
    await settle()
    expect(readyOf(lab.machine())).toBe('False MACTaken')
    expect(lab.machine().status?.powerState).toBe('Running')
  })
})

describe('when something fails in between', () => {
  it('a lease whose answer was lost is the machine’s own, and none is taken beside it', async () => {
    lab.kube.put(aMachine())
    let lost = 0
    lab.kube.beforeWrite = ({ verb, key }) => {
      if (verb !== 'create' || !key.startsWith('lan.') || lost++ > 0) return
      const [address = ''] = [key.slice(4).replaceAll('-', '.')]
      // It takes effect; the answer does not come.
      lab.kube.put(
        aLease(key, { address, consumerRef: { namespace: 'team', name: 'web', uid: lab.machine().metadata.uid } }),
      )
      throw new BerthError('APIUnavailable', 'lost')
    }
    await settle()
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(leaseNames().filter((name) => name.startsWith('lan.'))).toHaveLength(1)
  })

  it('an address that another took a moment ago, which no watch has told yet, is not used: the next is', async () => {
    lab.kube.put(aMachine())
    let first: string | undefined
    lab.kube.beforeWrite = ({ verb, key }) => {
      if (verb !== 'create' || !key.startsWith('lan.') || first) return
      first = key
      lab.kube.put(aLease(key, { address: key.slice(4).replaceAll('-', '.') }))
    }
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(addresses()).toHaveLength(1)
    expect(addresses()?.[0]).not.toBe(first?.slice(4).replaceAll('-', '.'))
    expect(lease(first ?? '')?.spec.consumerRef.uid).toBe('other')
  })
})

describe('network data of the user’s own', () => {
  const own = (cloudInit: object) => ({ bootstrap: { cloudInit } })

  it('is told instead of what Berth makes', async () => {
    const networkData = 'version: 1\nconfig: []\n'
    await bringUp('web', own({ networkData }))
    expect(seedOf()?.['network-config']).toBe(networkData)
    // Nobody would tell the guest of it.
    expect(leaseNames().filter((name) => name.startsWith('lan.'))).toEqual([])
    // What it says is not known: nothing is shown that was not learnt.
    expect(addresses()).toEqual([])
  })

  test.each([
    ['no YAML', 'version: 2\n  ethernets: [secret', 'is not YAML (line 1'],
    ['a list', '- secret', 'must be a map in YAML'],
    ['text', 'secret', 'must be a map in YAML'],
    ['no version', 'ethernets: {secret: {}}', 'must say version: 1 or version: 2'],
    ['an unknown version', 'network: {version: 3, secret: 1}', 'must say version: 1 or version: 2'],
  ])('that is %s is refused, without repeating it', async (_, networkData, message) => {
    lab.kube.put(aMachine('web', own({ networkData })))
    await settle()
    expect(readyOf(lab.machine())).toBe('False InvalidConfiguration')
    const told = lab.machine().status?.conditions?.find(({ type }) => type === 'Ready')?.message
    expect(told).toContain(`spec.bootstrap.cloudInit.networkData: ${message}`)
    expect(told).not.toContain('secret')
    expect(lab.host.calls).toEqual([])
  })

  it('is waited for while its Secret is not there', async () => {
    lab.kube.put(aMachine('web', own({ networkDataSecretRef: { name: 'net', key: 'data' } })))
    await settle()
    expect(readyOf(lab.machine())).toBe('False SecretNotFound')
    const data = { data: Buffer.from('network: {version: 2}').toString('base64') }
    lab.kube.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'net', namespace: 'team' }, data } as never)
    await settle()
    expect(seedOf()?.['network-config']).toBe('network: {version: 2}')
  })
})

describe('leases of a machine that is gone', () => {
  const uid = 'gone'
  const name = 'lan.192-0-2-10'
  const pass = () => {
    const inventories = new Inventories(lab.registry, lab.clock)
    return lab.pass(new AddressLeaseReconciler({ ...lab.dependencies, inventories }), name)
  }
  beforeEach(() => {
    lab.kube.put(aLease(name, { address: '192.0.2.10' }, uid))
  })

  it('are removed', async () => {
    await pass()
    expect(lease(name)).toBeUndefined()
  })

  it('are kept while a slot names it: its guest may run on with the address', async () => {
    const consumerRef = { namespace: 'elsewhere', name: 'secret', uid, since: '2026-01-01T00:00:00Z' }
    lab.kube.put(aSlot('s1', {}, { phase: 'Bound', consumerRef }))
    await pass()
    expect(lease(name)).toBeDefined()
  })

  it('are kept while a host cannot be asked: it may have the machine still', async () => {
    lab.disconnect()
    expect(await pass()).toEqual({ requeueAfter: 300_000 })
    expect(lease(name)).toBeDefined()
  })

  it('are not removed of one that the cache alone does not show', async () => {
    lab.informers.virtualMachines.hold()
    const metadata = { name: 'secret', namespace: 'elsewhere', uid }
    lab.kube.put({ ...aMachine('secret'), metadata })
    await pass()
    expect(lease(name)).toBeDefined()
  })

  it('are not removed where another machine has taken the name meanwhile', async () => {
    lab.informers.addressLeases.hold()
    lab.kube.remove(addressLeases, { name })
    lab.kube.put(aLease(name, { address: '192.0.2.10' }, 'new'))
    await pass()
    expect(lease(name)?.spec.consumerRef.uid).toBe('new')
  })
})

it('a network that says nothing of addresses has its machine’s MAC leased, and no network data', async () => {
  lab.kube.change(networks, { name: 'lan' }, (network) => Object.assign(network.spec, { ipv4: undefined }))
  await bringUp()
  expect(leaseNames()).toHaveLength(1)
  expect(seedOf()).not.toHaveProperty('network-config')
})
