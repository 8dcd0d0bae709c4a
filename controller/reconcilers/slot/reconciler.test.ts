import { beforeEach, describe, expect, it } from '@jest/globals'
import { slots } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { fakeSpec } from '../../hypervisor/testing/fake-session.ts'
import { Inventories } from '../shared/inventories.ts'
import { aHypervisor, aMachine, aSlot, condition, conditionTypes, Lab, readyOf } from '../testing/lab.ts'
import { SlotReconciler } from './reconciler.ts'

let lab: Lab
let reconciler: SlotReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new SlotReconciler({ ...lab.dependencies, inventories: new Inventories(lab.registry, lab.clock) })
})

const pass = () => lab.pass(reconciler, 's1')
const claimedBy = (uid: string, phase = 'Bound', name = 'web') => ({
  phase,
  consumerRef: { uid, name, namespace: 'team', since: '2026-01-01T00:00:00Z' },
})
const runs = (id: string, slot = 's1', power: 'Running' | 'Stopped' = 'Running', cluster = 'cluster-uid') =>
  lab.host.machines.set(id, {
    spec: fakeSpec(id, { slot, cluster }),
    power,
    stopReason: 'Unknown',
    parked: false,
    transient: false,
  })

describe('whether it can be claimed', () => {
  it('guards the object first', async () => {
    lab.kube.put(aSlot('s1', {}, {}))
    lab.kube.change(slots, { name: 's1' }, (slot) => Object.assign(slot.metadata, { finalizers: [] }))
    await pass()
    expect(lab.slot('s1').metadata.finalizers).toEqual(['berth.dev/in-use'])
  })

  it.each<[string, () => void, string, string]>([
    ['its host was listed', () => {}, 'Free', 'True Available'],
    ['it is cordoned', () => lab.kube.put(aSlot('s1', { scheduling: 'Cordoned' })), 'Unavailable', 'False Cordoned'],
    ['it is draining', () => lab.kube.put(aSlot('s1', { scheduling: 'Draining' })), 'Unavailable', 'False Draining'],
    [
      'its hypervisor is cordoned',
      () => lab.kube.put(aHypervisor('kvm1', { scheduling: 'Cordoned' })),
      'Unavailable',
      'False Cordoned',
    ],
    [
      'it is cordoned on a hypervisor that is draining',
      () => {
        lab.kube.put(aSlot('s1', { scheduling: 'Cordoned' }))
        lab.kube.put(aHypervisor('kvm1', { scheduling: 'Draining' }))
      },
      'Unavailable',
      'False Draining',
    ],
    [
      'there is no hypervisor',
      () => lab.kube.put(aSlot('s1', { hypervisor: 'none' })),
      'Unavailable',
      'False HypervisorNotFound',
    ],
    [
      'its hypervisor is away',
      () => lab.kube.put({ ...aHypervisor(), status: { conditions: [condition('Reachable', 'False')] } } as never),
      'Unavailable',
      'False HypervisorUnreachable',
    ],
    ['what runs there is not its own', () => runs('other'), 'Unavailable', 'False ForeignMachine'],
    ['what runs there is of another cluster', () => runs('other', 's1', 'Running', 'theirs'), 'Free', 'True Available'],
    ['what bears its tag is off', () => runs('other', 's1', 'Stopped'), 'Free', 'True Available'],
    ['what runs there bears another tag', () => runs('other', 's9'), 'Free', 'True Available'],
  ])('%s', async (_, arrange, phase, ready) => {
    lab.kube.put(aSlot('s1', {}, {}))
    arrange()
    await pass()
    expect(lab.slot('s1').status?.phase).toBe(phase)
    expect(readyOf(lab.slot('s1'))).toBe(ready)
  })

  it('is quiet when nothing changes', async () => {
    await pass()
    const { length } = lab.kube.writes
    await pass()
    expect(lab.kube.writes).toHaveLength(length)
  })

  it('keeps a claim, whatever becomes of its host', async () => {
    const vm = lab.kube.put(aMachine())
    lab.kube.put(aSlot('s1', {}, claimedBy(vm.metadata.uid)))
    lab.disconnect()
    await pass()
    expect(lab.slot('s1').status).toMatchObject(claimedBy(vm.metadata.uid))
    expect(readyOf(lab.slot('s1'))).toBe('False HypervisorUnreachable')
  })
})

describe('what occupies it', () => {
  it('is not its last consumer, as a listing of a moment ago shows it', async () => {
    const old = lab.kube.put(aMachine('old'))
    runs(old.metadata.uid)
    lab.kube.put(aSlot('s1', {}, claimedBy(old.metadata.uid, 'Releasing', 'old')))
    await pass()
    lab.host.turnOff(old.metadata.uid, 'Guest')
    lab.kube.put(aSlot('s1'))
    await pass()
    expect(conditionTypes(lab.slot('s1'))).not.toContain('Occupied')
  })

  it('is looked at again, and the slot is free when it is gone', async () => {
    runs('other')
    const { requeueAfter = 0 } = await pass()
    expect(conditionTypes(lab.slot('s1'))).toContain('Occupied')
    lab.host.turnOff('other', 'Guest')
    await lab.clock.advance(requeueAfter)
    expect(await pass()).toEqual({})
    expect(lab.slot('s1').status?.phase).toBe('Free')
    expect(conditionTypes(lab.slot('s1'))).not.toContain('Occupied')
  })

  it('takes one listing for many slots that ask in the same moment', async () => {
    let listings = 0
    lab.host.before = (method) => {
      if (method === 'list') listings++
    }
    for (const name of ['s2', 's3', 's4']) lab.kube.put(aSlot(name))
    for (const name of ['s1', 's2', 's3', 's4']) await lab.pass(reconciler, name)
    expect(listings).toBe(1)
  })

  it('a listing that failed is not kept', async () => {
    lab.host.before = (method) => {
      if (method === 'list') throw new BerthError('CallTimedOut', 'no answer')
    }
    await expect(pass()).rejects.toMatchObject({ code: 'CallTimedOut' })
    lab.host.before = () => {}
    await pass()
    expect(lab.slot('s1').status?.phase).toBe('Free')
  })
})

describe('a claim whose machine is gone', () => {
  beforeEach(() => {
    lab.kube.put(aSlot('s1', {}, claimedBy('gone')))
  })

  it('is given back by way of Releasing', async () => {
    await lab.settle(reconciler, 's1')
    expect(lab.slot('s1').status).toMatchObject({ phase: 'Free' })
    expect(lab.slot('s1').status).not.toHaveProperty('consumerRef')
  })

  it('not before a call of an earlier leader can have arrived', async () => {
    lab.inherited.add('gone')
    lab.termAge = 1_000
    await expect(pass()).rejects.toMatchObject({ code: 'InUse', retryAfter: 59_010 })
    expect(lab.slot('s1').status?.phase).toBe('Bound')
  })

  it('not before what could be started is parked', async () => {
    runs('gone', 's1', 'Stopped')
    expect(await pass()).toEqual({ requeueAfter: 0 })
    expect(lab.host.machines.get('gone')?.parked).toBe(true)
    expect(lab.slot('s1').status?.phase).toBe('Bound')
    await lab.settle(reconciler, 's1')
    expect(lab.slot('s1').status?.phase).toBe('Free')
  })

  it('is kept and reported while its guest runs: absence in the API is no evidence', async () => {
    runs('gone')
    expect((await pass()).requeueAfter).toBeGreaterThan(0)
    expect(lab.slot('s1').status?.phase).toBe('Bound')
    expect(readyOf(lab.slot('s1'))).toBe('False ForeignMachine')
    expect(lab.host.calls).toEqual([])
  })

  it('is kept while the host is away', async () => {
    lab.disconnect()
    await pass()
    expect(lab.slot('s1').status?.phase).toBe('Bound')
  })

  it('is kept where a live read shows the machine, though the cache does not', async () => {
    lab.informers.virtualMachines.hold()
    const vm = lab.kube.put(aMachine())
    lab.kube.put(aSlot('s1', {}, { phase: 'Releasing', consumerRef: claimedBy('gone').consumerRef }))
    lab.kube.put(aSlot('s1'))
    lab.kube.put(aSlot('s1', {}, claimedBy(vm.metadata.uid)))
    await pass()
    expect(lab.slot('s1').status?.phase).toBe('Bound')
  })
})

describe('deletion', () => {
  it('waits while it is held, and says for whom', async () => {
    const vm = lab.kube.put(aMachine())
    lab.kube.put(aSlot('s1', {}, claimedBy(vm.metadata.uid)))
    lab.kube.markDeleted(slots, { name: 's1' })
    await pass()
    expect(readyOf(lab.slot('s1'))).toBe('False InUse')
  })

  it('is let go of when it is free, unless a claim comes in between', async () => {
    lab.kube.markDeleted(slots, { name: 's1' })
    lab.informers.slots.hold()
    lab.kube.change(slots, { name: 's1' }, (slot) => Object.assign(slot, { status: claimedBy('u') }))
    await expect(pass()).rejects.toMatchObject({ class: 'Conflict' })
    expect(lab.slot('s1')).toBeDefined()
  })

  it('is let go of when it is free', async () => {
    lab.kube.markDeleted(slots, { name: 's1' })
    await pass()
    expect(lab.kube.peek(slots, { name: 's1' })).toBeUndefined()
  })
})
