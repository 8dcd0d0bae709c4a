import type { ImageService } from '@berth/images'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { addressLeases, hypervisors, networks, slots, type VirtualMachine, virtualMachines } from '../api/index.ts'
import type { CacheChange, KubeObject, ReadObject } from '../kube/port.ts'
import type { Priority } from '../runtime/port.ts'
import type { Informers } from './informers.ts'
import { aHypervisor, aMachine, aNetwork, anImage, aPool, aSize, aSlot, condition, Lab } from './testing/lab.ts'
import { type Queues, Wakeups } from './wakeups.ts'

let lab: Lab
let wakeups: Wakeups
let woken: Set<string>
let urgency: Map<string, Priority | undefined>
let tellImage: (id: string) => void

const service = {
  onChange(listener: (id: string) => void) {
    tellImage = listener
    return () => true
  },
} as unknown as ImageService

beforeEach(() => {
  lab = new Lab().furnish('s1')
  woken = new Set()
  urgency = new Map()
  wakeups = new Wakeups(lab.informers, lab.caches, lab.registry, service)
  const enqueue = (queue: string) => (key: string, priority?: Priority) => {
    woken.add(`${queue} ${key}`)
    urgency.set(`${queue} ${key}`, priority)
  }
  const kinds = ['virtualMachine', 'slot', 'hypervisor', 'storagePool', 'network', 'addressLease']
  const names = [...kinds, 'image', 'clusterImage']
  wakeups.wire(Object.fromEntries(names.map((name) => [name, enqueue(name)])) as unknown as Queues)
})

const held = (name: string, status: object = {}) =>
  lab.kube.put({ ...aMachine(name), status: { slot: 's1', hypervisor: 'kvm1', ...status } } as VirtualMachine)
const aLease = (name: string, uid: string) => ({
  apiVersion: 'berth.dev/v1alpha1' as const,
  kind: 'AddressLease' as const,
  metadata: { name: 'lan.192-0-2-10' },
  spec: { network: 'lan', address: '192.0.2.10', consumerRef: { namespace: 'team', name, uid }, interface: 'eth0' },
})
const after = (change: () => void): string[] => {
  woken.clear()
  change()
  return [...woken].toSorted()
}

describe('a change wakes what may depend on it', () => {
  it('a slot: its hypervisor, its machine before and after, and who waits when it is free', () => {
    held('web')
    lab.kube.put(aMachine('waits'))
    lab.kube.put(aMachine('off', { powerState: 'Stopped' }))
    const consumerRef = { uid: 'u', namespace: 'team', name: 'web', since: '' }
    const taken = after(() => lab.kube.put(aSlot('s1', {}, { phase: 'Releasing', consumerRef })))
    expect(taken).toEqual(['hypervisor kvm1', 'slot s1', 'virtualMachine team/web'])
    const free = after(() => lab.kube.put(aSlot('s1')))
    expect(free).toEqual(['hypervisor kvm1', 'slot s1', 'virtualMachine team/waits', 'virtualMachine team/web'])
  })

  it('a machine that is gone: the slot that it held, and what it kept from deletion', () => {
    const vm = held('web', { disks: [{ name: 'root', storagePool: 'default' }] })
    lab.kube.change(slots, { name: 's1' }, (slot) =>
      Object.assign(slot, {
        status: { phase: 'Bound', consumerRef: { uid: vm.metadata.uid, namespace: 'team', name: 'web', since: '' } },
      }),
    )
    const gone = after(() => lab.kube.remove(virtualMachines, { namespace: 'team', name: 'web' }))
    expect(gone).toEqual(expect.arrayContaining(['slot s1', 'hypervisor kvm1', 'storagePool default']))
  })

  it('a lease that is gone: its machine, whose it may still be, who lacks an address, and the network that counts', () => {
    const full = { conditions: [condition('NetworkReady', 'False', 'RangesFull')] }
    held('lacks', full)
    held('has', { conditions: [condition('NetworkReady')] })
    lab.kube.put(aLease('web', 'u'))
    const gone = after(() => lab.kube.remove(addressLeases, { name: 'lan.192-0-2-10' }))
    expect(gone).toEqual([
      'addressLease lan.192-0-2-10',
      'network lan',
      'virtualMachine team/lacks',
      'virtualMachine team/web',
    ])
  })

  it('a machine that is gone, and later its slot: its leases, which nobody else takes away', () => {
    const { uid } = held('web').metadata
    lab.kube.put(aLease('web', uid))
    const consumerRef = { uid, namespace: 'team', name: 'web', since: '' }
    lab.kube.put(aSlot('s1', {}, { phase: 'Releasing', consumerRef }))
    const gone = after(() => lab.kube.remove(virtualMachines, { namespace: 'team', name: 'web' }))
    expect(gone).toContain('addressLease lan.192-0-2-10')
    expect(after(() => lab.kube.put(aSlot('s1')))).toContain('addressLease lan.192-0-2-10')
  })

  it('ranges of a network: the other networks, which they may be in the way of, and who lacks an address', () => {
    lab.kube.put(aNetwork('dmz'))
    held('lacks', { conditions: [condition('NetworkReady', 'False', 'RangesOverlap')] })
    const changed = after(() =>
      lab.kube.change(networks, { name: 'lan' }, (lan) => Object.assign(lan.spec, { ipv4: { method: 'DHCP' } })),
    )
    expect(changed).toEqual(['network dmz', 'network lan', 'virtualMachine team/lacks'])
    // What is told of it is no change of its ranges.
    const told = after(() => lab.kube.change(networks, { name: 'lan' }, (lan) => Object.assign(lan, { status: {} })))
    expect(told).toEqual(['network lan'])
  })

  it('a machine that waited in front and is gone: who waits behind it', () => {
    lab.kube.put(aMachine('first'))
    lab.kube.put(aMachine('second'))
    const gone = after(() => lab.kube.remove(virtualMachines, { namespace: 'team', name: 'first' }))
    expect(gone).toContain('virtualMachine team/second')
    lab.kube.put(aMachine('first'))
    const stopped = after(() => lab.kube.put(aMachine('first', { powerState: 'Stopped' })))
    expect(stopped).toContain('virtualMachine team/second')
  })

  it('a machine whose labels or terms are others: who waits, where machines are kept apart', () => {
    const relabel = (name: string, app: string) =>
      lab.kube.change(virtualMachines, { namespace: 'team', name }, (vm) =>
        Object.assign(vm.metadata, { labels: { app } }),
      )
    held('web')
    lab.kube.put(aMachine('waits'))
    expect(after(() => relabel('web', 'db'))).not.toContain('virtualMachine team/waits')
    const antiAffinity = [{ selector: { matchLabels: { app: 'web' } } }]
    const keeps = after(() =>
      lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) =>
        Object.assign(vm.spec, { placement: { antiAffinity } }),
      ),
    )
    expect(keeps).toContain('virtualMachine team/waits')
    expect(after(() => relabel('web', 'mail'))).toContain('virtualMachine team/waits')
    const lets = after(() =>
      lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) =>
        Object.assign(vm.spec, { placement: {} }),
      ),
    )
    expect(lets).toContain('virtualMachine team/waits')
  })

  it('a hypervisor: all that is on it; but not when only its counts moved', () => {
    held('web')
    const away = { conditions: [condition('Reachable', 'False')] }
    const changed = after(() => lab.kube.put({ ...aHypervisor(), status: away } as never))
    expect(changed).toEqual([
      'hypervisor kvm1',
      'network lan',
      'slot s1',
      'storagePool default',
      'virtualMachine team/web',
    ])
    const counted = after(() =>
      lab.kube.change(hypervisors, { name: 'kvm1' }, (object) =>
        Object.assign(object, { status: { ...away, slots: { total: 1, free: 1, bound: 0 } } }),
      ),
    )
    expect(counted).toEqual(['hypervisor kvm1'])
    lab.kube.put(aMachine('waits'))
    const unmanaged = { count: 1, memory: '2Gi' }
    const taken = after(() =>
      lab.kube.change(hypervisors, { name: 'kvm1' }, (object) =>
        Object.assign(object, { status: { ...away, unmanaged } }),
      ),
    )
    expect(taken).toEqual(['hypervisor kvm1', 'virtualMachine team/waits'])
  })

  it.each<[string, () => void, string[]]>([
    ['a storage pool', () => lab.kube.put(aPool('fast')), ['storagePool fast', 'virtualMachine team/waits']],
    ['a network', () => lab.kube.put(aNetwork('dmz')), ['network dmz', 'virtualMachine team/waits']],
    ['a size', () => lab.kube.put(aSize('huge')), ['hypervisor kvm1', 'virtualMachine team/waits']],
    [
      'an image',
      () => lab.kube.put(anImage('debian', { status: { state: 'Failed' } })),
      ['clusterImage debian', 'virtualMachine team/waits'],
    ],
  ])('%s: who waits', (_, change, expected) => {
    lab.kube.put(aMachine('waits'))
    expect(after(change)).toEqual(expect.arrayContaining(expected))
  })
})

describe('a hypervisor tells', () => {
  it('of a machine: its object', () => {
    const { uid } = held('web').metadata
    expect(after(() => wakeups.machine('kvm1', { type: 'Machine', id: uid, detail: '' }))).toEqual([
      'virtualMachine team/web',
    ])
  })

  it('of one that is not ours: the slots, which it may occupy, and the hypervisor, whose memory it may take', () => {
    const told = after(() => wakeups.machine('kvm1', { type: 'Machine', id: 'x', detail: '' }))
    expect(told).toEqual(['hypervisor kvm1', 'slot s1'])
  })

  it('that something was lost: everything there', () => {
    held('web')
    expect(after(() => wakeups.gap('kvm1'))).toEqual(
      expect.arrayContaining(['hypervisor kvm1', 'slot s1', 'virtualMachine team/web', 'storagePool default']),
    )
  })

  it('by being lost, or found again', () => {
    held('web')
    expect(after(() => lab.disconnect())).toEqual(expect.arrayContaining(['virtualMachine team/web', 'slot s1']))
    expect(after(() => lab.connect())).toEqual(expect.arrayContaining(['virtualMachine team/web', 'slot s1']))
  })
})

it('the image service tells by uid: its image', () => {
  const { uid } = lab.kube.put(anImage('debian')).metadata
  expect(after(() => tellImage(uid))).toEqual(['clusterImage debian'])
})

describe('how urgent it is', () => {
  const web = 'virtualMachine team/web'
  const inWeb = (edit: (vm: VirtualMachine) => void) =>
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, edit)

  it('a user makes, changes, pauses, or deletes a machine', () => {
    lab.kube.put(aMachine('web', {}, { finalizers: ['berth.dev/cleanup'] }))
    expect(urgency.get(web)).toBe('Change')
    urgency.clear()
    inWeb((vm) => Object.assign(vm.spec, { powerState: 'Stopped' }))
    expect(urgency.get(web)).toBe('Change')
    urgency.clear()
    inWeb((vm) => Object.assign(vm.metadata, { annotations: { 'berth.dev/paused': 'true' } }))
    expect(urgency.get(web)).toBe('Change')
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    expect(urgency.get(web)).toBe('Deletion')
  })

  it('a status is written, or the host tells of it: less', () => {
    held('web')
    held('web', { powerState: 'Running' })
    expect(urgency.get(web)).toBe('Event')
    urgency.clear()
    wakeups.gap('kvm1')
    expect(urgency.get(web) ?? 'Event').toBe('Event')
  })

  it('the first listing: least, with all that it wakes; but for what was asked for meanwhile', () => {
    held('web')
    held('asked')
    const listeners: ((change: CacheChange<KubeObject>) => void)[] = []
    const listen = { onChange: (listener: (typeof listeners)[number]) => void listeners.push(listener) }
    const informers = Object.fromEntries(Object.keys(lab.informers).map((name) => [name, listen]))
    const first = new Wakeups(informers as unknown as Informers, lab.caches, lab.registry, service)
    first.wire(wakeups.queues)
    const [told] = listeners
    urgency.clear()
    for (const [name, observedGeneration] of [
      ['web', 1],
      ['asked', 0],
    ] as const) {
      const object = lab.machine(name)
      told?.({
        type: 'Added',
        initial: true,
        object: { ...object, status: { ...object.status, observedGeneration } } as ReadObject<KubeObject>,
      })
    }
    expect(urgency.get(web)).toBe('Resync')
    expect(urgency.get('virtualMachine team/asked')).toBe('Change')
    const hypervisor = lab.kube.peek(hypervisors, { name: 'kvm1' })
    urgency.clear()
    listeners[2]?.({ type: 'Added', initial: true, object: hypervisor as ReadObject<KubeObject> })
    expect(urgency.get(web)).toBe('Resync')
  })
})
