/** Network interfaces that come, go and move on a machine that exists: what is done to its host, and what is told. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { networks, type VirtualMachineSpec, virtualMachines } from '../../api/index.ts'
import { BerthError, type ErrorCode } from '../../errors/index.ts'
import { conditionOf } from '../shared/conditions.ts'
import { aMachine, aNetwork, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'
import { generatedMAC } from './resolve.ts'

const key = 'team/web'
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  lab.kube.put(aNetwork('dmz', { attachments: [{ hypervisor: '*', bridge: 'br-dmz' }] }))
  lab.kube.put(aNetwork('far', { attachments: [{ hypervisor: 'kvm9', bridge: 'br-far' }] }))
  for (const name of ['br-dmz', 'br-far']) lab.host.networks.add(name)
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = async () => {
  await lab.settleTwice(reconciler, key)
}
const eth0 = { name: 'eth0', network: 'lan' }
const eth1 = { name: 'eth1', network: 'dmz' }
async function change(spec: Partial<VirtualMachineSpec>) {
  lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) => {
    Object.assign(vm.spec, spec)
  })
  await settle()
}
const declare = (...networkInterfaces: object[]) => change({ networkInterfaces } as Partial<VirtualMachineSpec>)
const uid = () => lab.machine().metadata.uid
const status = () => lab.machine().status
const pending = () => (status()?.pendingChanges ?? []).map(({ field, from, to }) => [field, from, to])
const whyPending = () =>
  status()
    ?.pendingChanges?.map(({ message }) => message)
    .join('; ')
async function bringUp(...networkInterfaces: object[]): Promise<void> {
  lab.kube.put(aMachine('web', { networkInterfaces }))
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
}
/** The calls that it made of the host, from a moment on. */
async function callsOf(work: () => Promise<void>): Promise<string[]> {
  const before = lab.host.calls.length
  await work()
  return lab.host.calls.slice(before).map(({ method }) => method)
}
const machine = () => {
  const found = lab.host.machines.get(uid())
  if (!found) throw new Error('it is not there')
  return found
}
/** What its next start has. */
const defined = () => machine().spec.interfaces.map(({ name, attachment }) => [name, ...Object.values(attachment)])
const told = () => status()?.networkInterfaces?.map(({ name, network, state }) => [name, network, state])
let tokens = 0
const restart = () => change({ restart: { token: String(++tokens), mode: 'Cold' } })
const onHost = (...features: string[]) => {
  const { information } = lab.host
  lab.host.information = { ...information, capabilities: { ...information.capabilities, features } }
}
const refuse = (method: string, code: ErrorCode) => {
  lab.host.before = (called) => {
    if (called === method) throw new BerthError(code, 'the host says no')
  }
}

describe('a machine that runs', () => {
  it('gets an interface that is added: with its own MAC address, filtered, and nothing else is done', async () => {
    await bringUp(eth0)
    expect(await callsOf(() => declare(eth0, eth1))).toEqual(['attachInterface'])
    expect(lab.host.calls.at(-1)?.args[1]).toEqual({
      name: 'eth1',
      macAddress: generatedMAC(uid(), 'eth1'),
      attachment: { bridge: 'br-dmz' },
      antiSpoofing: 'MAC',
    })
    expect(told()).toEqual([
      ['eth0', 'lan', 'Attached'],
      ['eth1', 'dmz', 'Attached'],
    ])
    expect(pending()).toEqual([])
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(lab.events.map(({ reason }) => reason)).toContain('InterfaceAttached')
  })

  it('is connected elsewhere in place, with the MAC address that it has', async () => {
    await bringUp(eth0)
    const before = status()?.networkInterfaces?.[0]?.macAddress
    expect(await callsOf(() => declare({ ...eth0, network: 'dmz' }))).toEqual(['attachInterface'])
    expect(defined()).toEqual([['eth0', 'br-dmz']])
    expect(status()?.networkInterfaces).toMatchObject([{ network: 'dmz', macAddress: before, state: 'Attached' }])
    expect(lab.events.map(({ reason }) => reason)).toContain('InterfaceChanged')
  })

  it('is asked to let go of one that is removed; the others stay', async () => {
    await bringUp(eth0, eth1)
    expect(await callsOf(() => declare(eth0))).toEqual(['detachInterface'])
    expect(told()).toEqual([['eth0', 'lan', 'Attached']])
    expect(pending()).toEqual([])
    expect(lab.events.map(({ reason }) => reason)).toContain('InterfaceLeaving')
  })

  it('that keeps one is asked again, but not at each pass; it is told, and its next start is without', async () => {
    lab.host.letsGo = false
    await bringUp(eth0, eth1)
    expect(await callsOf(() => declare(eth0))).toEqual(['detachInterface'])
    expect(await callsOf(settle)).toEqual([])
    expect(pending()).toEqual([['spec.networkInterfaces[eth1]', 'dmz', 'absent']])
    expect(whyPending()).toContain('asked to let it go')
    expect(told()).toContainEqual(['eth1', 'dmz', 'Attached'])
    await lab.clock.advance(31_000)
    expect(await callsOf(settle)).toEqual(['detachInterface'])
    await restart()
    expect(defined()).toEqual([['eth0', 'default']])
    expect(pending()).toEqual([])
  })

  it('gets back at once what was to go and was not let go', async () => {
    lab.host.letsGo = false
    await bringUp(eth0, eth1)
    await declare(eth0)
    expect(await callsOf(() => declare(eth0, eth1))).toEqual(['attachInterface'])
    expect(defined()).toHaveLength(2)
    expect(pending()).toEqual([])
  })

  it('gets another MAC address at its next start alone, and keeps it when it is not declared any more', async () => {
    await bringUp(eth0)
    const before = generatedMAC(uid(), 'eth0')
    const macAddress = '52:54:00:AA:00:01'
    expect(await callsOf(() => declare({ ...eth0, macAddress }))).toEqual([])
    expect(pending()).toEqual([['spec.networkInterfaces[eth0].macAddress', before, macAddress.toLowerCase()]])
    expect(status()?.networkInterfaces).toMatchObject([{ macAddress: before, state: 'Attached' }])
    await restart()
    expect(machine().spec.interfaces[0]?.macAddress).toBe(macAddress.toLowerCase())
    expect(await callsOf(() => declare(eth0))).toEqual([])
    expect(pending()).toEqual([])
    expect(status()?.networkInterfaces?.[0]?.macAddress).toBe(macAddress.toLowerCase())
  })

  it('under another name, but with the same MAC address, it is the same interface', async () => {
    const macAddress = '52:54:00:aa:00:01'
    await bringUp({ ...eth0, macAddress })
    expect(await callsOf(() => declare({ ...eth0, name: 'uplink', macAddress }))).toEqual(['attachInterface'])
    expect(told()).toEqual([['uplink', 'lan', 'Attached']])
  })

  it('is not touched where its hypervisor cannot: the change waits for the next start', async () => {
    onHost('Pause', 'Suspend')
    await bringUp(eth0, eth1)
    expect(machine().spec.interfaces[0]).not.toHaveProperty('antiSpoofing')
    expect(await callsOf(() => declare({ ...eth0, network: 'dmz' }, { ...eth1, name: 'eth2' }))).toEqual([])
    expect(pending()).toEqual([
      ['spec.networkInterfaces[eth0].network', 'lan', 'dmz'],
      ['spec.networkInterfaces[eth2]', 'absent', 'dmz'],
      ['spec.networkInterfaces[eth1]', 'dmz', 'absent'],
    ])
    expect(whyPending()).toContain('when the machine is started next')
    expect(conditionOf(lab.machine(), 'RestartRequired')?.status).toBe('True')
    await restart()
    expect(defined()).toEqual([
      ['eth0', 'br-dmz'],
      ['eth2', 'br-dmz'],
    ])
    expect(pending()).toEqual([])
  })

  it.each<ErrorCode>(['HypervisorRefused', 'NotSupported', 'NetworkNotFound'])(
    'runs on, Ready, when the host refuses (%s): told with the host’s words, tried again, and applied by a restart',
    async (code) => {
      await bringUp(eth0)
      refuse('attachInterface', code)
      await declare(eth0, eth1)
      expect(readyOf(lab.machine())).toBe('True Running')
      expect(whyPending()).toContain('the host says no')
      lab.host.before = () => {}
      expect(await callsOf(settle)).toEqual([])
      await lab.clock.advance(61_000)
      expect(await callsOf(settle)).toEqual(['attachInterface'])
      expect(pending()).toEqual([])
    },
  )

  it('is given none a second time while the first call may still arrive', async () => {
    await bringUp(eth0)
    const times: number[] = []
    lab.host.before = (method) => {
      if (method !== 'attachInterface') return
      times.push(lab.clock.monotonic())
      if (times.length === 1) throw new BerthError('CallTimedOut', 'no answer')
    }
    await declare(eth0, eth1).catch(() => undefined)
    for (let pass = 0; pass < 20 && times.length < 2; pass++) {
      await lab.clock.advance(5_000)
      await settle()
    }
    const [first = 0, second = 0] = times
    expect(second - first).toBeGreaterThanOrEqual(30_000 + lab.dependencies.hostJobWait)
    expect(defined()).toHaveLength(2)
  })

  it('whose Network is not on its hypervisor is left alone, and told the mend; when it is there, it is applied', async () => {
    await bringUp(eth0)
    expect(await callsOf(() => declare(eth0, { name: 'eth1', network: 'far' }))).toEqual([])
    expect(readyOf(lab.machine())).toBe('False NetworkNotFound')
    expect(whyPending()).toContain("add it to the Network's attachments")
    expect(pending()).toEqual([['spec.networkInterfaces[eth1]', 'absent', 'far']])
    await restart()
    expect(defined()).toEqual([['eth0', 'default']])
    lab.kube.put(aNetwork('far', { attachments: [{ hypervisor: '*', bridge: 'br-far' }] }))
    expect(await callsOf(settle)).toEqual(['attachInterface'])
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('paused, its interfaces are changed when it runs again', async () => {
    await bringUp(eth0)
    await change({ powerState: 'Paused' })
    expect(await callsOf(() => declare(eth0, eth1))).toEqual([])
    expect(whyPending()).toContain('when the machine runs')
    expect(await callsOf(() => change({ powerState: 'Running' }))).toEqual(['unpause', 'attachInterface'])
    expect(pending()).toEqual([])
  })
})

describe('what somebody else attached', () => {
  const foreign = { macAddress: '52:54:00:ff:00:01', attachment: { bridge: 'br0' }, attached: true, defined: true }

  it('is never touched, and is no part of the status', async () => {
    await bringUp(eth0)
    const [own] = machine().spec.interfaces
    if (own) machine().interfaces = [{ ...own, attached: true, defined: true }, foreign]
    expect(await callsOf(settle)).toEqual([])
    expect(told()).toEqual([['eth0', 'lan', 'Attached']])
  })

  it('keeps its MAC address: one that is declared with it waits, and the mend is told', async () => {
    await bringUp(eth0)
    const [own] = machine().spec.interfaces
    if (own) machine().interfaces = [{ ...own, attached: true, defined: true }, foreign]
    expect(await callsOf(() => declare(eth0, { ...eth1, macAddress: foreign.macAddress }))).toEqual([])
    expect(whyPending()).toContain('detach it there')
  })
})

describe('filters against spoofed MAC addresses', () => {
  const declareFilter = async (antiSpoofing: 'Enabled' | 'Disabled') => {
    lab.kube.change(networks, { name: 'lan' }, (network) => {
      Object.assign(network.spec, { antiSpoofing })
    })
    await settle()
  }

  it('are on, and follow the Network in place', async () => {
    await bringUp(eth0)
    expect(machine().spec.interfaces[0]?.antiSpoofing).toBe('MAC')
    expect(await callsOf(() => declareFilter('Disabled'))).toEqual(['attachInterface'])
    expect(machine().spec.interfaces[0]).not.toHaveProperty('antiSpoofing')
    expect(await callsOf(() => declareFilter('Enabled'))).toEqual(['attachInterface'])
    expect(machine().spec.interfaces[0]?.antiSpoofing).toBe('MAC')
  })

  it('stay while a hypervisor does not say that it can filter, but does', async () => {
    await bringUp(eth0)
    onHost('HotPlugNetwork')
    expect(await callsOf(() => declare({ ...eth0, network: 'dmz' }))).toEqual(['attachInterface'])
    await restart()
    expect(machine().spec.interfaces[0]?.antiSpoofing).toBe('MAC')
  })

  it('are on from the first start on, where the hypervisor has learnt to filter since', async () => {
    onHost('HotPlugNetwork')
    await bringUp(eth0)
    expect(machine().spec.interfaces[0]).not.toHaveProperty('antiSpoofing')
    onHost('AntiSpoofing', 'HotPlugNetwork')
    expect(await callsOf(settle)).toEqual(['attachInterface'])
  })
})

it('a machine that is off is defined with what is declared when it is started, and its saved memory waits', async () => {
  await bringUp(eth0)
  await change({ powerState: 'Suspended' })
  expect(await callsOf(() => declare(eth0, eth1))).toEqual([])
  expect(pending()).toEqual([['spec.networkInterfaces[eth1]', 'absent', 'dmz']])
  expect(await callsOf(() => change({ powerState: 'Running' }))).toEqual(['start', 'attachInterface'])
  await change({ powerState: 'Stopped' })
  await declare(eth1)
  await change({ powerState: 'Running' })
  expect(defined()).toEqual([['eth1', 'br-dmz']])
  expect(pending()).toEqual([])
})
