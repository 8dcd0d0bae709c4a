import { beforeEach, describe, expect, it } from '@jest/globals'
import { slots, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { volumeNames } from '../../hypervisor/port.ts'
import { aMachine, aSlot, conditionTypes, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
const web = { namespace: 'team', name: 'web' }
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1', 's2')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = () => lab.settle(reconciler, key)
const hostMethods = () => lab.host.calls.map(({ method }) => method)
const power = (powerState: 'Running' | 'Stopped') =>
  lab.kube.change(virtualMachines, web, (vm) => Object.assign(vm.spec, { powerState }))
const instance = () => lab.machine().metadata.uid
async function bringUp(spec: object = {}): Promise<string> {
  lab.kube.put(aMachine('web', spec))
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
  return instance()
}

describe('from nothing to running', () => {
  it('takes the steps of the claim protocol in order, with at most seven writes', async () => {
    await bringUp()
    expect(hostMethods()).toEqual(['createDisk', 'define', 'start'])
    expect(lab.kube.writes.length).toBeLessThanOrEqual(7)
    expect(lab.kube.writes.filter(({ kind }) => kind === 'Slot')).toHaveLength(1)
    expect(lab.slot('s1').status).toMatchObject({ phase: 'Bound', consumerRef: { uid: instance(), name: 'web' } })
    expect(lab.machine().status).toMatchObject({
      slot: 's1',
      hypervisor: 'kvm1',
      powerState: 'Running',
      size: { cpus: 1, memory: '1Gi', name: 'small' },
      disks: [{ name: 'root', state: 'Ready', size: '2Gi', storagePool: 'default' }],
    })
    expect(conditionTypes(lab.machine())).not.toContain('Reconciling')
  })

  it('is quiet then: no write, no effect, no live read of the API', async () => {
    await bringUp()
    const [writes, reads, calls] = [lab.kube.writes.length, lab.kube.reads, lab.host.calls.length]
    for (let pass = 0; pass < 3; pass++) await lab.pass(reconciler, key)
    expect([lab.kube.writes.length, lab.kube.reads, lab.host.calls.length]).toEqual([writes, reads, calls])
  })

  it('tells why it waits for a slot at most every 30 s, however often slots change; a new reason at once', async () => {
    lab = new Lab().furnish('s1')
    reconciler = new VirtualMachineReconciler(lab.dependencies)
    lab.kube.put(aMachine('web', { placement: { slotSelector: { matchLabels: { no: 'such' } } } }))
    await settle()
    expect(readyOf(lab.machine())).toBe('False NoHypervisorFits')
    const writes = lab.kube.writes.length
    lab.kube.put(aSlot('s7'))
    await lab.pass(reconciler, key)
    lab.kube.put(aSlot('s8'))
    await lab.pass(reconciler, key)
    expect(lab.kube.writes.length).toBe(writes)
    lab.clock.stall(31_000)
    await lab.pass(reconciler, key)
    expect(lab.machine().status?.slotRejections).toEqual([expect.objectContaining({ reason: 'Selector', count: 3 })])
    lab.kube.change(virtualMachines, web, (vm) => Object.assign(vm.spec, { placement: {} }))
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('looks for an address ever less often, tells it, and stops looking', async () => {
    const id = await bringUp()
    const first = await lab.pass(reconciler, key)
    expect(first.requeueAfter).toBeGreaterThanOrEqual(500)
    lab.clock.stall(60_000)
    expect((await lab.pass(reconciler, key)).requeueAfter).toBeGreaterThan(5_000)
    const { macAddress = '' } = lab.machine().status?.networkInterfaces?.[0] ?? {}
    lab.host.addresses.set(id, [{ macAddress, addresses: [{ address: '10.0.0.5', prefix: 24, source: 'Lease' }] }])
    expect(await lab.pass(reconciler, key)).toEqual({})
    expect(lab.machine().status?.primaryAddress).toBe('10.0.0.5')
  })

  it('goes on where a crash left it: each write or call may be the last', async () => {
    lab.kube.put(aMachine())
    for (let passes = 0; passes < 30; passes++) {
      // A new process each time: nothing is remembered.
      const next = new VirtualMachineReconciler(lab.dependencies)
      await lab.pass(next, key)
    }
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(hostMethods()).toEqual(['createDisk', 'define', 'start'])
  })

  it('never makes a second of anything when answers are lost', async () => {
    lab.kube.put(aMachine())
    const lost = new Set<string>()
    lab.host.after = (method) => {
      if (!['createDisk', 'define', 'start'].includes(method) || lost.has(method)) return
      lost.add(method)
      throw new BerthError('CallTimedOut', `${method} was not answered`)
    }
    for (let attempt = 0; attempt < 4; attempt++) await settle().catch(() => undefined)
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(hostMethods()).toEqual(['createDisk', 'define', 'start'])
  })

  it('waits in the queue with what keeps it there, and is told of no problem twice', async () => {
    await bringUp()
    const consumerRef = { uid: 'another', name: 'another', namespace: 'team', since: '' }
    lab.kube.put(aSlot('s2', {}, { phase: 'Bound', consumerRef }))
    lab.kube.put(aMachine('late'))
    await lab.settle(reconciler, 'team/late')
    await lab.pass(reconciler, 'team/late')
    const late = lab.machine('late')
    expect(readyOf(late)).toBe('False WaitingForSlot')
    expect(late.status?.slotRejections).toEqual([expect.objectContaining({ reason: 'Taken', count: 2 })])
    expect(conditionTypes(late)).toContain('Reconciling')
    expect(lab.events.filter(({ reason }) => reason === 'WaitingForSlot')).toHaveLength(1)
  })

  it('U1.5: says its place among those that wait, and since when, as long as it waits', async () => {
    lab = new Lab().furnish('s1')
    reconciler = new VirtualMachineReconciler(lab.dependencies)
    await bringUp()
    lab.kube.put(aMachine('first', {}, { creationTimestamp: '2025-12-31T23:59:59Z' }))
    lab.kube.put(aMachine('second'))
    for (const name of ['first', 'second']) {
      await lab.settle(reconciler, `team/${name}`)
    }
    const { queue } = lab.machine('second').status ?? {}
    expect(queue).toEqual({ position: 2, length: 2, since: lab.machine('second').metadata.creationTimestamp })
    lab.kube.put(aSlot('s2'))
    await lab.settle(reconciler, 'team/first')
    expect(readyOf(lab.machine('first'))).toBe('True Running')
    expect(lab.machine('first').status?.queue).toBeUndefined()
  })

  it('serves the machine of higher priority first, though it is younger', async () => {
    lab = new Lab().furnish('s1')
    reconciler = new VirtualMachineReconciler(lab.dependencies)
    await bringUp()
    lab.kube.put(aMachine('older'))
    lab.kube.put(aMachine('urgent', { placement: { priority: 1 } }))
    for (const name of ['older', 'urgent']) await lab.settle(reconciler, `team/${name}`)
    expect(lab.machine('older').status?.queue?.position).toBeLessThanOrEqual(2)
    lab.kube.put(aSlot('s2'))
    await lab.settle(reconciler, 'team/older')
    expect(readyOf(lab.machine('older'))).toBe('False WaitingForSlot')
    await lab.settle(reconciler, 'team/urgent')
    expect(readyOf(lab.machine('urgent'))).toBe('True Running')
  })

  it('U1.5: whenFull Fail says so and stops; a slot that is free later is not taken, until the spec is changed', async () => {
    lab = new Lab().furnish('s1')
    reconciler = new VirtualMachineReconciler(lab.dependencies)
    await bringUp()
    lab.kube.put(aMachine('late', { placement: { whenFull: 'Fail' } }))
    const late = () => lab.settle(reconciler, 'team/late')
    await late()
    expect(readyOf(lab.machine('late'))).toBe('False NoSlotFree')
    expect(conditionTypes(lab.machine('late'))).toContain('Stalled')
    expect(lab.machine('late').status?.slotRejections).toEqual([expect.objectContaining({ reason: 'Taken', count: 1 })])
    expect(lab.machine('late').status?.queue).toBeUndefined()
    expect(lab.events.filter(({ reason }) => reason === 'NoSlotFree')).toMatchObject([{ type: 'Warning' }])
    lab.kube.put(aSlot('s2'))
    await late()
    expect(readyOf(lab.machine('late'))).toBe('False NoSlotFree')
    // A process that knows nothing of it does not try either.
    await lab.settle(new VirtualMachineReconciler(lab.dependencies), 'team/late')
    expect(lab.slot('s2').status?.phase).toBe('Free')
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'late' }, (vm) =>
      Object.assign(vm.spec, { shutdownMode: 'Hard' }),
    )
    await late()
    expect(readyOf(lab.machine('late'))).toBe('True Running')
  })

  it('looks at the host before it claims: what runs there under the slot’s tag keeps it', async () => {
    const other = await bringUp()
    // The claim is lost, as with an etcd that was emptied; the machine runs on.
    lab.kube.remove(virtualMachines, web)
    lab.kube.put(aSlot('s1', {}, { phase: 'Releasing', consumerRef: lab.slot('s1').status?.consumerRef }))
    lab.kube.put(aSlot('s1'))
    lab.kube.put(aMachine('second', { placement: { slot: 's1' } }))
    await expect(lab.settle(reconciler, 'team/second')).rejects.toMatchObject({ code: 'WaitingForSlot' })
    expect(lab.slot('s1').status?.phase).toBe('Free')
    // It waits since it was made: what could not be claimed costs nobody his turn.
    const { metadata, status } = lab.machine('second')
    expect(status?.queue).toEqual({ position: 1, length: 1, since: metadata.creationTimestamp })
    expect(lab.host.machines.get(other)?.power).toBe('Running')
  })

  it('claims and tells nothing on a host that this process is still to try', async () => {
    lab.kube.put(aMachine())
    await lab.pass(reconciler, key)
    lab.registry.remove('kvm1')
    expect(await lab.pass(reconciler, key)).toEqual({ requeueAfter: 1_000 })
    expect(lab.machine().status).toBeUndefined()
    expect(lab.slot('s1').status?.phase).toBe('Free')
  })

  it.each([['pauses', { 'berth.dev/paused': 'true' }]])('leaves alone what a person %s', async (_, annotations) => {
    lab.kube.put(aMachine('web', {}, { annotations }))
    expect(await lab.pass(reconciler, key)).toEqual({})
    expect(lab.kube.writes).toEqual([])
  })

  it('gives way to a younger machine while its own Secret is missing', async () => {
    const cloudInit = { userDataSecretRef: { name: 'none', key: 'user-data' } }
    lab.kube.put(aMachine('web', { bootstrap: { cloudInit }, placement: { slot: 's1' } }))
    expect((await settle()).requeueAfter).toBeDefined()
    expect(readyOf(lab.machine())).toBe('False SecretNotFound')
    const younger = { creationTimestamp: '2026-01-02T00:00:00Z' }
    lab.kube.put(aMachine('second', { placement: { slot: 's1' } }, younger))
    await lab.settle(reconciler, 'team/second')
    expect(readyOf(lab.machine('second'))).toBe('True Running')
  })
})

describe('stop', () => {
  it('drains, parks, stops, clears and releases, in this order', async () => {
    const id = await bringUp()
    power('Stopped')
    await lab.settle(reconciler, key, () => lab.slot('s1').status?.phase === 'Free')
    await settle().then(settle)
    expect(hostMethods().slice(3)).toEqual(['park', 'shutdown'])
    expect(lab.slot('s1').status?.consumerRef).toBeUndefined()
    expect(lab.slot('s1').status?.phase).toBe('Free')
    expect(readyOf(lab.machine())).toBe('True Stopped')
    expect(lab.machine().status).toMatchObject({ powerState: 'Stopped', lastStop: { by: 'Berth' }, hypervisor: 'kvm1' })
    expect(lab.machine().status).not.toHaveProperty('slot')
    expect(lab.machine().status).not.toHaveProperty('startTime')
    expect(lab.host.machines.get(id)).toMatchObject({ parked: true, power: 'Stopped' })
  })

  it('runs again on the same disks, without a new seed', async () => {
    const id = await bringUp()
    power('Stopped')
    await settle().then(settle)
    power('Running')
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(hostMethods().slice(5)).toEqual(['define', 'start'])
    expect(lab.host.machines.get(id)?.spec.seed).not.toHaveProperty('files')
  })

  it('cuts the power of a deaf guest when its time is over, not before', async () => {
    await bringUp({ shutdownTimeout: '1m' })
    lab.host.obedient = false
    power('Stopped')
    await settle()
    lab.clock.stall(30_000)
    await settle()
    expect(hostMethods()).not.toContain('powerOff')
    lab.clock.stall(31_000)
    await settle().then(settle)
    expect(hostMethods()).toContain('powerOff')
    expect(readyOf(lab.machine())).toBe('True Stopped')
  })

  it('keeps the slot until no start can be on its way', async () => {
    await bringUp()
    power('Stopped')
    lab.host.after = (method) => {
      if (method === 'shutdown') throw new BerthError('CallTimedOut', 'no answer')
    }
    await expect(settle()).rejects.toMatchObject({ code: 'CallTimedOut' })
    lab.host.after = () => {}
    const { requeueAfter = 0 } = await settle()
    expect(lab.slot('s1').status?.phase).toBe('Releasing')
    await lab.clock.advance(requeueAfter)
    await settle()
    expect(lab.slot('s1').status?.phase).toBe('Free')
  })

  it('takes a guest that shuts itself down at its word, until the user speaks again', async () => {
    const id = await bringUp()
    lab.host.turnOff(id, 'Guest')
    await settle()
    expect(readyOf(lab.machine())).toBe('True GuestShutDown')
    expect(lab.slot('s1').status?.phase).toBe('Free')
    expect(lab.machine().status?.lastStop?.by).toBe('Guest')
    power('Stopped')
    await settle()
    power('Running')
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('starts again what a host’s reboot stopped, in the same slot', async () => {
    const id = await bringUp()
    lab.host.turnOff(id, 'Unknown')
    await settle()
    expect(lab.host.machines.get(id)?.power).toBe('Running')
    expect(lab.slot('s1').status?.phase).toBe('Bound')
  })
})

describe('deletion', () => {
  it('leaves nothing behind', async () => {
    const id = await bringUp()
    lab.kube.markDeleted(virtualMachines, web)
    await settle().then(settle)
    expect(lab.kube.peek(virtualMachines, web)).toBeUndefined()
    expect(lab.host.machines.has(id)).toBe(false)
    expect([...(lab.host.pools.get('default')?.volumes.keys() ?? [])]).toEqual([])
    expect(lab.slot('s1').status?.phase).toBe('Free')
  })

  it('keeps a disk that is retained', async () => {
    const id = await bringUp({ disks: [{ name: 'root', deletionPolicy: 'Retain' }] })
    lab.kube.markDeleted(virtualMachines, web)
    await settle().then(settle)
    expect([...(lab.host.pools.get('default')?.volumes.keys() ?? [])]).toEqual([volumeNames.disk(id, 'root')])
    expect(lab.events.at(-1)).toMatchObject({ reason: 'Retained' })
  })

  it('waits for a host that is away, and keeps the slot', async () => {
    await bringUp()
    lab.kube.markDeleted(virtualMachines, web)
    lab.disconnect()
    await settle()
    expect(conditionTypes(lab.machine())).toContain('DeletionBlocked')
    expect(lab.slot('s1').status?.phase).toBe('Bound')
    lab.connect()
    await settle().then(settle)
    expect(lab.kube.peek(virtualMachines, web)).toBeUndefined()
  })

  it('does nothing to another of the same name', async () => {
    const id = await bringUp()
    lab.informers.virtualMachines.hold()
    lab.kube.markDeleted(virtualMachines, web)
    lab.informers.virtualMachines.release()
    lab.informers.virtualMachines.hold()
    lab.kube.remove(virtualMachines, web)
    lab.kube.put(aMachine())
    const before = lab.host.calls.length
    expect(await lab.pass(reconciler, key)).toEqual({ requeueAfter: 1_000 })
    expect(lab.host.calls).toHaveLength(before)
    expect(lab.host.machines.get(id)?.power).toBe('Running')
  })
})

describe('what goes wrong', () => {
  it('writes over nothing that changed meanwhile: the pass is repeated on what is new', async () => {
    lab.kube.put(aMachine())
    let changed = false
    lab.kube.beforeWrite = ({ verb, kind }) => {
      if (verb !== 'applyStatus' || kind !== 'VirtualMachine' || changed) return
      changed = true
      power('Stopped')
    }
    await expect(settle()).rejects.toMatchObject({ class: 'Conflict' })
    await settle().then(settle)
    expect(readyOf(lab.machine())).toBe('True Stopped')
    expect(lab.host.calls).toEqual([])
  })

  it('releases nothing on a Slot that was written since it was read', async () => {
    await bringUp()
    power('Stopped')
    let looks = 0
    lab.host.before = (method) => {
      const due = lab.slot('s1').status?.phase === 'Releasing' && lab.machine().status?.slot === undefined
      // First for the plan on the cache, then for the plan on live reads: those lie behind us here.
      if (method !== 'observe' || !due || ++looks !== 2) return
      lab.kube.change(slots, { name: 's1' }, (slot) => Object.assign(slot.spec, { scheduling: 'Cordoned' }))
    }
    await settle()
    await expect(settle()).rejects.toMatchObject({ class: 'Conflict' })
    expect(lab.slot('s1').status?.phase).toBe('Releasing')
    await settle()
    expect(lab.slot('s1').status?.phase).toBe('Unavailable')
  })

  it.each([
    ['HypervisorRefused', 'Terminal', 'Stalled', 300_000],
    ['HypervisorBusy', 'Transient', 'Reconciling', undefined],
    ['CallTimedOut', 'Ambiguous', 'Reconciling', undefined],
    ['StorageFull', 'Terminal', 'Stalled', 300_000],
  ] as const)('%s of a call shows in Ready and is retried as %s', async (code, errorClass, companion, retryAfter) => {
    lab.kube.put(aMachine())
    lab.host.before = (method) => {
      if (method === 'createDisk') throw new BerthError(code, 'no')
    }
    await expect(settle()).rejects.toMatchObject({ code, class: errorClass, retryAfter })
    expect(readyOf(lab.machine())).toBe(`False ${code}`)
    const other = companion === 'Stalled' ? 'Reconciling' : 'Stalled'
    expect(conditionTypes(lab.machine())).toContain(companion)
    expect(conditionTypes(lab.machine())).not.toContain(other)
  })

  it('writes and does nothing more once the lease is lost', async () => {
    lab.kube.put(aMachine())
    await lab.settle(reconciler, key, () => lab.machine().status?.slot !== undefined)
    const writes = lab.kube.writes.length
    const deposed = () => {
      throw new BerthError('NotLeader', 'the lease has passed to another')
    }
    lab.kube.beforeWrite = deposed
    lab.host.before = (method) => {
      if (method !== 'observe' && method !== 'placedImage') deposed()
    }
    await expect(lab.pass(reconciler, key)).rejects.toMatchObject({ code: 'NotLeader' })
    expect(lab.kube.writes).toHaveLength(writes)
    expect(lab.host.calls).toEqual([])
  })

  it('says Unknown of all that it cannot see, and goes on when the host is back', async () => {
    await bringUp()
    lab.disconnect()
    await settle()
    expect(readyOf(lab.machine())).toBe('Unknown HypervisorUnreachable')
    expect(lab.machine().status).toMatchObject({ powerState: 'Unknown', slot: 's1' })
    expect(lab.machine().status).not.toHaveProperty('primaryAddress')
    lab.connect()
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('tells what a host says that refuses to be read, instead of falling silent', async () => {
    await bringUp()
    lab.host.before = (method) => {
      if (method === 'observe') throw new BerthError('HypervisorRefused', 'no permission')
    }
    expect((await settle()).requeueAfter).toBe(60_000)
    expect(readyOf(lab.machine())).toBe('False HypervisorRefused')
    expect(conditionTypes(lab.machine())).toContain('Stalled')
  })

  it('forgets an object that a live read shows to be gone', async () => {
    await bringUp()
    power('Stopped')
    lab.informers.virtualMachines.hold()
    lab.kube.remove(virtualMachines, web)
    expect(await lab.pass(reconciler, key)).toEqual({ requeueAfter: 1_000 })
    lab.informers.virtualMachines.release()
    expect(await lab.pass(reconciler, key)).toEqual({})
    expect(lab.caches.virtualMachines.list()).toEqual([])
  })

  it('forgets what it wrote itself, where no watch will ever tell that it is gone', async () => {
    const metadata = { finalizers: ['berth.dev/cleanup'], deletionTimestamp: '2026-01-01T00:00:00Z' }
    lab.informers.virtualMachines.hold()
    await lab.dependencies.client.create(virtualMachines, aMachine('gone', {}, metadata))
    lab.kube.remove(virtualMachines, { namespace: 'team', name: 'gone' })
    expect(lab.caches.virtualMachines.get('team/gone')).toBeDefined()
    await lab.pass(reconciler, 'team/gone')
    expect(lab.caches.virtualMachines.get('team/gone')).toBeUndefined()
  })

  it('tells what vanished, and makes nothing anew', async () => {
    const id = await bringUp()
    lab.host.machines.delete(id)
    const calls = lab.host.calls.length
    await settle()
    expect(readyOf(lab.machine())).toBe('False Vanished')
    expect(conditionTypes(lab.machine())).toEqual(expect.arrayContaining(['Drifted', 'Stalled']))
    expect(lab.host.calls).toHaveLength(calls)
  })
})

describe('a machine that goes off soon after each start', () => {
  it('is started at once, then ever later', async () => {
    const id = await bringUp()
    const starts = () => hostMethods().filter((method) => method === 'start').length
    for (const [crash, delay] of [0, 10_000, 20_000].entries()) {
      lab.host.turnOff(id, 'Crash')
      await settle()
      if (delay > 0) {
        expect(starts()).toBe(crash + 1)
        lab.clock.stall(delay + 1)
        await settle()
      }
      expect(starts()).toBe(crash + 2)
      expect(readyOf(lab.machine())).toBe('True Running')
    }
  })
})

describe('another host under the name of the one that the machine is on', () => {
  it('is not touched: what is not seen there is not gone', async () => {
    await bringUp()
    const { length } = lab.host.calls
    Object.assign(lab.host.information, { id: '99999999-9999-4999-8999-999999999999' })
    lab.kube.markDeleted(virtualMachines, web)
    await settle()
    expect(lab.host.calls).toHaveLength(length)
    expect(readyOf(lab.machine())).toBe('False DifferentHost')
  })
})
