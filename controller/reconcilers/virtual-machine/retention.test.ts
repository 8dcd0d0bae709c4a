/** Machines that outlive their objects: what is left on the host, what becomes of the slot, and who may start it. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { addressLeases, slots, type VirtualMachineSpec, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import type { FakeMachine } from '../../hypervisor/testing/fake-session.ts'
import { AddressLeaseReconciler } from '../address-lease/reconciler.ts'
import { Inventories } from '../shared/inventories.ts'
import { SlotReconciler } from '../slot/reconciler.ts'
import { aMachine, conditionTypes, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
const web = { namespace: 'team', name: 'web' }
let lab: Lab
let reconciler: VirtualMachineReconciler
let slotReconciler: SlotReconciler
let id: string

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
  slotReconciler = new SlotReconciler({ ...lab.dependencies, inventories: new Inventories(lab.registry, lab.clock) })
})

const settle = () => lab.settleTwice(reconciler, key)
const change = (spec: Partial<VirtualMachineSpec>) =>
  lab.kube.change(virtualMachines, web, (vm) => Object.assign(vm.spec, spec))
const remove = async () => {
  lab.kube.markDeleted(virtualMachines, web)
  await settle()
}
const object = () => lab.kube.peek(virtualMachines, web)
const onHost = (): FakeMachine => {
  const machine = lab.host.machines.get(id)
  if (!machine) throw new Error('it is gone from its host')
  return machine
}
const volumes = () => [...(lab.host.pools.get('default')?.volumes.keys() ?? [])]
const calls = () => lab.host.calls.map(({ method }) => method)
async function bringUp(spec: Partial<VirtualMachineSpec> = {}): Promise<void> {
  lab.kube.put(aMachine('web', spec))
  await settle()
  id = lab.machine().metadata.uid
}
async function slotPhase() {
  // The last listing may be a moment old.
  await lab.clock.advance(2_000)
  await lab.pass(slotReconciler, 's1')
  return lab.slot('s1').status?.phase
}

describe.each<[string, Partial<VirtualMachineSpec>]>([
  ['deletionPolicy Retain', { deletionPolicy: 'Retain' }],
  ['deletionProtection Enabled, as when its namespace is deleted', { deletionProtection: 'Enabled' }],
])('%s', (_, policy) => {
  it('leaves a guest that runs as it is, and says so in its tag', async () => {
    await bringUp(policy)
    const { spec } = onHost()
    const before = calls().length
    await remove()
    expect(object()).toBeUndefined()
    expect(calls().slice(before)).toEqual(['release'])
    expect(onHost()).toMatchObject({ power: 'Running', spec: { ...spec, tag: { ...spec.tag, released: true } } })
    expect(volumes()).toHaveLength(2)
  })

  it('keeps its slot from others until it is off', async () => {
    await bringUp(policy)
    await remove()
    expect(await slotPhase()).toBe('Unavailable')
    expect(lab.slot('s1').status).not.toHaveProperty('consumerRef')
    expect(readyOf(lab.slot('s1'))).toBe('False ForeignMachine')
    expect(conditionTypes(lab.slot('s1'))).toContain('Occupied')
    lab.host.turnOff(id, 'Guest')
    expect(await slotPhase()).toBe('Free')
  })

  it('keeps its addresses from others until it is gone from its host', async () => {
    await bringUp(policy)
    const [lease] = lab.dependencies.caches.addressLeases.list()
    const name = lease?.metadata.name ?? ''
    const inventories = new Inventories(lab.registry, lab.clock)
    const pass = async () => {
      await lab.clock.advance(2_000)
      await lab.pass(new AddressLeaseReconciler({ ...lab.dependencies, inventories }), name)
      return lab.kube.peek(addressLeases, { name })
    }
    await remove()
    await slotPhase()
    expect(await pass()).toBeDefined()
    lab.host.turnOff(id, 'Guest')
    await slotPhase()
    expect(await pass()).toBeDefined()
    lab.host.machines.delete(id)
    expect(await pass()).toBeUndefined()
  })

  it('tells it in an Event, with what is left and where', async () => {
    await bringUp(policy)
    await remove()
    const told = lab.events.filter(({ reason }) => reason === 'Retained')
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({ action: 'Retain', type: 'Normal' })
    expect(told[0]?.note).toMatch(/left on hypervisor kvm1 as it is \(Running\): team_web, disks berth-.*-root$/)
  })
})

it('keeps its slot from others though the last listing of the host is older than the machine', async () => {
  await lab.pass(slotReconciler, 's1')
  lab.kube.put(aMachine('web', { deletionPolicy: 'Retain' }))
  await lab.settle(reconciler, key, () => lab.slot('s1').status?.phase === 'Bound')
  await lab.pass(slotReconciler, 's1')
  await settle()
  await remove()
  await lab.pass(slotReconciler, 's1')
  expect(lab.clock.monotonic()).toBeLessThan(1_000)
  expect(lab.slot('s1').status?.phase).toBe('Unavailable')
})

describe('what is left is as it was', () => {
  it.each(['Paused', 'Suspended'] as const)('%s', async (powerState) => {
    await bringUp({ deletionPolicy: 'Retain' })
    change({ powerState })
    await settle()
    const before = calls().length
    await remove()
    expect(object()).toBeUndefined()
    expect(onHost().power).toBe(powerState)
    expect(calls().slice(before)).toEqual(['release'])
    expect(await slotPhase()).toBe(powerState === 'Paused' ? 'Unavailable' : 'Free')
  })

  it('off: no slot has its name any more, and it is not parked, so that it can be started by hand', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    change({ powerState: 'Stopped' })
    await settle()
    expect(onHost().parked).toBe(true)
    await remove()
    expect(onHost()).toMatchObject({ power: 'Stopped', parked: false })
    expect(onHost().spec.tag).toMatchObject({ slot: '', released: true })
    Object.assign(onHost(), { power: 'Running' })
    expect(await slotPhase()).toBe('Free')
  })

  it('in the middle of a stop: its slot is given back by the way that it was on', async () => {
    lab.host.obedient = false
    await bringUp({ deletionPolicy: 'Retain' })
    change({ powerState: 'Stopped' })
    await lab.settle(reconciler, key)
    expect(lab.slot('s1').status?.phase).toBe('Releasing')
    await remove()
    expect(object()).toBeUndefined()
    expect(onHost()).toMatchObject({ power: 'Running', parked: false })
    expect(await slotPhase()).toBe('Unavailable')
  })

  it('never made: nothing is made', async () => {
    lab.kube.put(aMachine('web', { deletionPolicy: 'Retain', powerState: 'Stopped' }))
    await settle()
    await remove()
    expect(object()).toBeUndefined()
    expect(calls()).toEqual([])
  })

  it('half made: what its disk has stays', async () => {
    lab.host.before = (method) => {
      if (method === 'define') throw new BerthError('HypervisorRefused', 'no')
    }
    lab.kube.put(aMachine('web', { deletionPolicy: 'Retain' }))
    await expect(settle()).rejects.toMatchObject({ code: 'HypervisorRefused' })
    await remove()
    expect(object()).toBeUndefined()
    expect(volumes()).toHaveLength(1)
    expect(lab.slot('s1').status?.phase).toBe('Free')
  })
})

describe('what may go wrong', () => {
  it('lets go of nothing while a call may still arrive', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    lab.host.after = (method) => {
      if (method === 'pause') throw new BerthError('CallTimedOut', 'no answer')
    }
    change({ powerState: 'Paused' })
    await expect(settle()).rejects.toMatchObject({ class: 'Ambiguous' })
    await remove()
    expect(onHost().spec.tag.released).toBeUndefined()
    expect(readyOf(lab.machine())).toBe('False Deleting')
    await lab.clock.advance(61_000)
    await settle()
    expect(onHost().spec.tag.released).toBe(true)
    expect(object()).toBeUndefined()
  })

  it('waits for a late answer before it lets the object go', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    lab.host.after = (method) => {
      if (method === 'release') throw new BerthError('CallTimedOut', 'no answer')
    }
    lab.kube.markDeleted(virtualMachines, web)
    await expect(settle()).rejects.toMatchObject({ class: 'Ambiguous' })
    await settle()
    expect(object()).toBeDefined()
    expect(lab.slot('s1').status?.phase).toBe('Releasing')
    await lab.clock.advance(61_000)
    await settle()
    expect(object()).toBeUndefined()
    expect(calls().filter((method) => method === 'release')).toHaveLength(1)
  })

  it('is past changing one’s mind once it is let go of', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    lab.host.after = (method) => {
      if (method === 'release') change({ deletionPolicy: 'Delete' })
    }
    await expect(remove()).rejects.toMatchObject({ class: 'Conflict' })
    await settle()
    expect(object()).toBeUndefined()
    expect(onHost().power).toBe('Running')
    expect(volumes()).toHaveLength(2)
  })

  it('keeps what is left, when the policy changes in the middle of a deletion', async () => {
    lab.host.obedient = false
    await bringUp()
    lab.kube.markDeleted(virtualMachines, web)
    await lab.settle(reconciler, key)
    change({ deletionPolicy: 'Retain' })
    await settle()
    expect(object()).toBeUndefined()
    expect(onHost()).toMatchObject({ power: 'Running', spec: { tag: { released: true } } })
  })

  it('waits while the host is away', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    lab.disconnect()
    await remove()
    expect(conditionTypes(lab.machine())).toContain('DeletionBlocked')
    lab.connect()
    await settle()
    expect(object()).toBeUndefined()
  })

  it('leaves alone what is not ours', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    lab.host.foreign.set(id, 'it has the id, but no tag of Berth')
    const before = calls().length
    await remove()
    expect(readyOf(lab.machine())).toBe('False ForeignObject')
    expect(calls()).toHaveLength(before)
  })

  it('a claim that arrives after it all is given back: what runs there is no longer the claim’s', async () => {
    await bringUp({ deletionPolicy: 'Retain' })
    const { consumerRef } = lab.slot('s1').status ?? {}
    await remove()
    lab.kube.change(slots, { name: 's1' }, (slot) => Object.assign(slot, { status: { phase: 'Bound', consumerRef } }))
    await lab.settle(slotReconciler, 's1')
    expect(await slotPhase()).toBe('Unavailable')
    expect(lab.slot('s1').status).not.toHaveProperty('consumerRef')
    expect(onHost().power).toBe('Running')
  })
})
