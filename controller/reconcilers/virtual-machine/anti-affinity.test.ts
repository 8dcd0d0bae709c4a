import { beforeEach, describe, expect, it } from '@jest/globals'
import { slots, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { aHypervisor, aMachine, aNetwork, aPool, aSlot, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

let lab: Lab
let reconciler: VirtualMachineReconciler

const hosts = ['kvm1', 'kvm2', 'kvm3']

function begin(): void {
  lab = new Lab().furnish()
  for (const name of hosts) {
    lab.kube.put(aHypervisor(name))
    lab.kube.put(aPool(`pool-${name}`, { hypervisor: name }))
    lab.connect(name)
  }
  const attachments = hosts.map((hypervisor) => ({ hypervisor, state: 'Available' }))
  lab.kube.put({ ...aNetwork(), status: { attachments } } as never)
  reconciler = new VirtualMachineReconciler(lab.dependencies)
}

beforeEach(begin)

const apart = (app: string, strength?: string) => ({
  placement: { antiAffinity: [{ selector: { matchLabels: { app } }, ...(strength ? { strength } : {}) }] },
})
/** Served in the order of their names. */
const put = (name: string, spec: object = apart('web'), app = 'web') =>
  lab.kube.put(
    aMachine(name, spec, { uid: `uid-${name}`, labels: { app, ordinal: name }, finalizers: ['berth.dev/cleanup'] }),
  )
const putSlots = (hypervisor: string, count: number, spec: object = {}) => {
  for (let index = 0; index < count; index++) lab.kube.put(aSlot(`${hypervisor}-${index}`, { hypervisor, ...spec }))
}
const pass = (name: string) => lab.pass(reconciler, `team/${name}`)
/** Hypervisors that hold machines by these names, as the API has it. */
const heldBy = (...names: string[]) =>
  names.map((name) => {
    const { uid } = lab.machine(name).metadata
    const held = lab.caches.slots.byIndex('consumer', uid)
    return held.map(({ spec }) => spec.hypervisor).join()
  })

/** Makes every listing of a host wait until it is let go on. */
function holdListings(): { readonly waiting: () => number; readonly letGo: () => void } {
  let letGo = () => {}
  let waiting = 0
  const gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  lab.host.before = async (method) => {
    if (method !== 'list') return
    waiting++
    await gate
  }
  return { waiting: () => waiting, letGo }
}
const until = async (met: () => boolean) => {
  for (let turns = 0; turns < 1_000 && !met(); turns++) await Promise.resolve()
  expect(met()).toBe(true)
}

/** How many turns of the event loop the second pass, and the slot, come after the first pass. */
const moments = Array.from({ length: 6 * 30 }, (_, index) => ({ behind: index % 6, comesFree: Math.floor(index / 6) }))

describe('machines of one set', () => {
  it('that are made in one moment, and decided on before any has a claim, go to different hosts', async () => {
    putSlots('kvm1', 3)
    putSlots('kvm2', 3)
    for (const name of ['a', 'b', 'c']) put(name)
    await Promise.all(['a', 'b', 'c'].map(pass))
    const held = heldBy('a', 'b', 'c')
    expect(held.filter((host) => host !== '').toSorted()).toEqual(['kvm1', 'kvm2'])
  })

  it('while a claim waits for its host, a slot that is better comes free: the next is kept apart all the same', async () => {
    putSlots('kvm2', 2)
    put('a')
    put('b')
    const listings = holdListings()
    const first = pass('a')
    await until(() => listings.waiting() === 1)
    // Smaller, so that the first would take it now, and leave kvm2 to the second.
    putSlots('kvm1', 1, { memory: '1Gi' })
    const second = pass('b')
    await until(() => listings.waiting() === 2)
    listings.letGo()
    await Promise.all([first, second])
    expect(heldBy('a', 'b')).toEqual(['kvm2', 'kvm1'])
  })

  it('wherever two passes are when such a slot comes free: they are kept apart', async () => {
    for (const { behind, comesFree } of moments) {
      begin()
      putSlots('kvm2', 2)
      put('a')
      put('b')
      const passes = [pass('a')]
      for (let turn = 0; turn <= Math.max(behind, comesFree); turn++) {
        if (turn === behind) passes.push(pass('b'))
        if (turn === comesFree) putSlots('kvm1', 1, { memory: '1Gi' })
        await Promise.resolve()
      }
      await Promise.all(passes)
      const [first, second] = heldBy('a', 'b')
      expect(first).not.toBe('')
      expect(second).not.toBe(first)
    }
  })

  it('the answer to a claim is lost: until it is known what came of it, the next does not go there', async () => {
    putSlots('kvm1', 2)
    put('a')
    put('b')
    lab.kube.beforeWrite = ({ kind }) => {
      if (kind === 'Slot') throw new BerthError('APIUnavailable', 'the API server does not answer')
    }
    await expect(pass('a')).rejects.toMatchObject({ code: 'APIUnavailable' })
    lab.kube.beforeWrite = () => {}
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'a' }, (vm) =>
      Object.assign(vm.metadata, { annotations: { 'berth.dev/paused': 'true' } }),
    )
    await pass('b')
    expect(heldBy('b')).toEqual([''])
    expect(lab.machine('b').status?.slotRejections).toEqual([
      { reason: 'AntiAffinity', count: 2, message: 'kept apart from a, on kvm1' },
    ])
    // Its own limit is over: it cannot arrive any more.
    lab.clock.stall(61_000)
    await pass('b')
    expect(heldBy('b')).toEqual(['kvm1'])
  })

  it('a claim that was refused keeps nobody away', async () => {
    putSlots('kvm1', 2)
    put('a')
    put('b')
    lab.kube.beforeWrite = ({ kind }) => {
      if (kind === 'Slot') throw new BerthError('Conflict', 'somebody else was faster')
    }
    await expect(pass('a')).rejects.toMatchObject({ code: 'Conflict' })
    lab.kube.beforeWrite = () => {}
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'a' }, (vm) =>
      Object.assign(vm.spec, { powerState: 'Stopped' }),
    )
    await pass('b')
    expect(heldBy('b')).toEqual(['kvm1'])
  })
})

describe('who is there already', () => {
  it('waits, says for whom, and is placed when that one has left', async () => {
    putSlots('kvm1', 2)
    put('a')
    await pass('a')
    put('b')
    await pass('b')
    expect(readyOf(lab.machine('b'))).toBe('False WaitingForSlot')
    expect(lab.machine('b').status?.slotRejections).toContainEqual({
      reason: 'AntiAffinity',
      count: 2,
      message: 'kept apart from a, on kvm1',
    })
    put('a', { ...apart('web'), powerState: 'Stopped' })
    const { consumerRef } = lab.slot('kvm1-0').status ?? {}
    lab.kube.put(aSlot('kvm1-0', { hypervisor: 'kvm1' }, { phase: 'Releasing', consumerRef }))
    lab.kube.put(aSlot('kvm1-0', { hypervisor: 'kvm1' }))
    await pass('b')
    expect(heldBy('b')).toEqual(['kvm1'])
  })

  it('keeps away newcomers that have no terms of their own, and of its own namespace only', async () => {
    putSlots('kvm1', 3)
    put('db', apart('web'), 'db')
    await pass('db')
    put('web', {}, 'web')
    await pass('web')
    expect(heldBy('web')).toEqual([''])
    lab.kube.put(aMachine('web', {}, { namespace: 'other', labels: { app: 'web' }, finalizers: ['berth.dev/cleanup'] }))
    await lab.pass(reconciler, 'other/web')
    const taken = lab.caches.slots.list().filter(({ status }) => status?.consumerRef?.namespace === 'other')
    expect(taken).toHaveLength(1)
  })

  it('that only prefer to be apart share a host when there is no other', async () => {
    putSlots('kvm1', 2)
    putSlots('kvm2', 1)
    for (const name of ['a', 'b', 'c']) {
      put(name, apart('web', 'Preferred'))
      await pass(name)
    }
    expect(heldBy('a', 'b', 'c')).toEqual(['kvm1', 'kvm2', 'kvm1'])
  })

  it('a term that is added later moves nothing', async () => {
    putSlots('kvm1', 2)
    for (const name of ['a', 'b']) {
      put(name, {})
      await lab.settle(reconciler, `team/${name}`)
    }
    put('a', apart('web'))
    await lab.settle(reconciler, 'team/a')
    expect(heldBy('a', 'b')).toEqual(['kvm1', 'kvm1'])
    expect(readyOf(lab.machine('a'))).toBe('True Running')
  })
})

describe('a namespace in which nothing is to be kept apart', () => {
  it('is not looked into: its machines and slots are not gone through', async () => {
    putSlots('kvm1', 1)
    put('a', {})
    const asked: string[] = []
    const { byIndex } = lab.caches.slots
    lab.caches.slots.byIndex = (index, value) => {
      asked.push(index)
      return byIndex.call(lab.caches.slots, index, value)
    }
    await pass('a')
    expect(asked).not.toContain('consumerNamespace')
    expect(lab.kube.peek(slots, { name: 'kvm1-0' })?.status?.phase).toBe('Bound')
  })
})
