/** Disks of a machine that come, go and grow: what is done on its host, and what is told. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { clusterImages, type Disk, type VirtualMachineSpec, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { volumeNames } from '../../hypervisor/port.ts'
import { conditionOf } from '../shared/conditions.ts'
import { aMachine, anImage, aPool, GiB, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const root = { name: 'root' }
const data = { name: 'data', size: '1Gi' }
const logs = { name: 'logs', size: '2Gi' }
const settle = () => lab.settleTwice(reconciler, key)
const edit = (spec: Partial<VirtualMachineSpec>) =>
  lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) => {
    Object.assign(vm.spec, spec)
  })
async function change(spec: Partial<VirtualMachineSpec>) {
  edit(spec)
  await settle()
}
const withDisks = (...disks: Disk[]) => change({ disks })
const uid = () => lab.machine().metadata.uid
const status = () => lab.machine().status
const recorded = () => (status()?.disks ?? []).map(({ name, state }) => `${name} ${state}`)
const entry = (name: string) => status()?.disks?.find((disk) => disk.name === name)
const pending = () => (status()?.pendingChanges ?? []).map(({ field, from, to }) => `${field}: ${from} → ${to}`)
const why = () => (status()?.pendingChanges ?? []).map(({ message }) => message).join()
const disksReady = () => {
  const condition = conditionOf(lab.machine(), 'DisksReady')
  return `${condition?.status} ${condition?.reason}`
}
const volume = (name: string, pool = 'default') => lab.host.pools.get(pool)?.volumes.get(volumeNames.disk(uid(), name))
const onHost = () => lab.host.machines.get(uid())
const live = () => onHost()?.live?.map(({ name }) => name) ?? defined()
const defined = () => onHost()?.spec.disks.map(({ name }) => name)
const calls = () => lab.host.calls.map(({ method }) => method)
const reasons = () => lab.events.map(({ reason }) => reason)
const lacks = (feature: string) => {
  const { information } = lab.host
  const features = information.capabilities.features.filter((name) => name !== feature)
  lab.host.information = { ...information, capabilities: { ...information.capabilities, features } }
}
let tokens = 0
const restart = () => change({ restart: { token: String(++tokens), mode: 'Cold' } })
/** The effects that failed are tried again, whatever each pass throws. */
async function passes(count = 12) {
  for (let pass = 0; pass < count; pass++) await lab.pass(reconciler, key).catch(() => {})
}
const refuse = (method: string, code: 'StorageFull' | 'HypervisorRefused' | 'CallTimedOut' = 'StorageFull') => {
  lab.host.before = (called) => {
    if (called === method) throw new BerthError(code, 'no')
  }
}
async function bringUp(...disks: Disk[]) {
  lab.kube.put(aMachine('web', { disks: [root, ...disks] }))
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
  lab.host.calls.length = 0
  lab.events.length = 0
}

describe('a machine that is made', () => {
  it('is started with all of its disks', async () => {
    await bringUp(data, logs)
    expect(live()).toEqual(['root', 'data', 'logs'])
    expect([volume('data'), volume('logs')]).toEqual([GiB, 2 * GiB])
    expect(recorded()).toEqual(['root Ready', 'data Ready', 'logs Ready'])
    expect(disksReady()).toBe('True AllAttached')
  })

  it('has each disk recorded before it is made', async () => {
    const seen: string[] = []
    lab.host.before = (method) => {
      if (method === 'createDisk') seen.push(recorded().join())
    }
    await bringUp(data)
    expect(seen[0]).toBe('root Creating,data Creating')
  })

  it('waits for the image of a disk, which is brought to its pool', async () => {
    lab.kube.put(anImage('tools', { status: { digest: 'b'.repeat(64), virtualSize: '1Gi', placements: [] } }))
    lab.kube.put(aMachine('web', { disks: [root, { name: 'data', source: { image: { name: 'tools' } } }] }))
    await settle()
    expect(readyOf(lab.machine())).toBe('False WaitingForImage')
    expect(entry('data')).toMatchObject({ image: { name: 'tools', digest: 'b'.repeat(64) }, size: '1Gi' })
    expect(onHost()).toBeUndefined()
    const awaited = lab.caches.virtualMachines.byIndex('awaitedImage', entry('data')?.image?.uid ?? '')
    expect(awaited.map(({ metadata }) => metadata.name)).toEqual(['web'])
    lab.host.pools.get('default')?.images.set('b'.repeat(64), 1)
    lab.kube.change(clusterImages, { name: 'tools' }, (image) => {
      Object.assign(image.status ?? {}, {
        placements: [{ storagePool: 'default', digest: 'b'.repeat(64), state: 'Ready' }],
      })
    })
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(live()).toEqual(['root', 'data'])
  })

  it.each<[string, Disk, string]>([
    [
      'smaller than its image',
      { name: 'data', size: '1Gi', source: { image: { name: 'debian' } } },
      'SmallerThanImage',
    ],
    ['of an image that is not there', { name: 'data', source: { image: { name: 'none' } } }, 'ImageNotFound'],
    ['in a pool that is not there', { ...data, storagePool: 'none' }, 'NoHypervisorFits'],
  ])('is not placed with a disk %s; taken out, it is', async (_, disk, reason) => {
    lab.kube.put(aMachine('web', { disks: [root, disk] }))
    await settle()
    expect(readyOf(lab.machine())).toMatch(new RegExp(`^False (${reason}|WaitingForSlot)$`))
    expect(lab.host.calls).toEqual([])
    await withDisks(root)
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('does not start without a disk that its pool has no room for, and starts when it has', async () => {
    refuse('createDisk')
    lab.kube.put(aMachine('web', { disks: [root, data] }))
    await passes()
    lab.host.before = (method, [disk]) => {
      if (method === 'createDisk' && String((disk as { volume: string }).volume).endsWith('-data'))
        throw new BerthError('StorageFull', 'no')
    }
    await passes()
    expect(readyOf(lab.machine())).toBe('False StorageFull')
    expect(onHost()).toBeUndefined()
    lab.host.before = () => {}
    await lab.clock.advance(60_000)
    await settle()
    expect(live()).toEqual(['root', 'data'])
  })
})

describe('a disk that is added', () => {
  it('to a machine that runs is made and given to it, and told', async () => {
    await bringUp()
    await withDisks(root, data)
    expect(calls()).toEqual(['createDisk', 'attachDisk'])
    expect(live()).toEqual(['root', 'data'])
    expect(recorded()).toEqual(['root Ready', 'data Ready'])
    expect(reasons()).toEqual(['DiskCreated', 'DiskAttached'])
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(pending()).toEqual([])
  })

  it('where a machine that runs can be given none, is listed, and given at the next start', async () => {
    lacks('HotPlugDisk')
    await bringUp()
    await withDisks(root, data, logs)
    expect(pending()).toEqual(['spec.disks[data]: absent → 1Gi', 'spec.disks[logs]: absent → 2Gi'])
    expect(why()).toContain('gives a machine that runs no disks')
    expect(conditionOf(lab.machine(), 'RestartRequired')?.status).toBe('True')
    expect([readyOf(lab.machine()), disksReady()]).toEqual(['True Running', 'True ChangesPending'])
    await restart()
    expect(live()).toEqual(['root', 'data', 'logs'])
    expect(pending()).toEqual([])
  })

  it('to a machine that is off is listed, and there when it is started', async () => {
    await bringUp()
    await change({ powerState: 'Stopped' })
    await withDisks(root, data)
    expect(pending()).toEqual(['spec.disks[data]: absent → 1Gi'])
    expect(volume('data')).toBeUndefined()
    await change({ powerState: 'Running' })
    expect(live()).toEqual(['root', 'data'])
    expect(pending()).toEqual([])
  })

  it('and two more: each that is taken back leaves the list, and nothing is done on the host', async () => {
    await bringUp()
    await change({ powerState: 'Stopped' })
    const before = calls().length
    await withDisks(root, data, logs)
    expect(pending()).toHaveLength(2)
    await withDisks(root, logs)
    expect(pending()).toEqual(['spec.disks[logs]: absent → 2Gi'])
    await withDisks(root)
    expect(pending()).toEqual([])
    expect(calls().length).toBe(before)
  })

  it('by the name of the seed, which the API refuses, does nothing', async () => {
    await bringUp()
    await withDisks(root, { name: 'seed', size: '1Gi' })
    await withDisks(root)
    expect(calls()).toEqual([])
    expect(recorded()).toEqual(['root Ready'])
  })

  it('may lie in another pool than the root', async () => {
    lab.host.addPool('fast')
    lab.kube.put(aPool('fast'))
    await bringUp()
    await withDisks(root, { ...data, storagePool: 'fast' })
    expect(entry('data')?.storagePool).toBe('fast')
    expect(volume('data', 'fast')).toBe(GiB)
    expect(live()).toEqual(['root', 'data'])
  })

  it.each<[string, Disk, string]>([
    ['in a pool that is not there', { ...data, storagePool: 'none' }, 'StoragePoolNotFound'],
    ['of an image that is not there', { name: 'data', source: { image: { name: 'none' } } }, 'ImageNotFound'],
    [
      'smaller than its image',
      { name: 'data', size: '1Gi', source: { image: { name: 'debian' } } },
      'SmallerThanImage',
    ],
  ])('%s is told, and keeps the machine from nothing', async (_, disk, reason) => {
    await bringUp()
    await withDisks(root, disk)
    expect([readyOf(lab.machine()), disksReady()]).toEqual([`False ${reason}`, `False ${reason}`])
    expect(pending()).toHaveLength(1)
    expect(calls()).toEqual([])
    await restart()
    expect(onHost()?.power).toBe('Running')
    expect(status()?.restart?.token).toBe(String(tokens))
    await change({ powerState: 'Suspended' })
    expect(onHost()?.power).toBe('Suspended')
    await change({ powerState: 'Stopped' })
    expect(onHost()?.power).toBe('Stopped')
    await change({ powerState: 'Running' })
    expect(onHost()?.power).toBe('Running')
    await withDisks(root)
    expect([readyOf(lab.machine()), pending()]).toEqual(['True Running', []])
    expect(recorded()).toEqual(['root Ready'])
  })

  it('to a pool that is full is told, keeps the machine from nothing, and is made when there is room', async () => {
    await bringUp()
    refuse('createDisk')
    edit({ disks: [root, data] })
    await passes()
    expect([readyOf(lab.machine()), disksReady()]).toEqual(['False StorageFull', 'False StorageFull'])
    expect(why()).toBe('disk data: no')
    expect(calls().filter((method) => method === 'createDisk')).toEqual([])
    edit({ restart: { token: 'full', mode: 'Cold' } })
    await passes(30)
    expect(status()?.restart?.token).toBe('full')
    expect(onHost()?.power).toBe('Running')
    lab.host.before = () => {}
    await lab.clock.advance(60_000)
    await settle()
    expect(live()).toEqual(['root', 'data'])
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('that the host refuses to attach is not tried without pause', async () => {
    await bringUp()
    let attempts = 0
    lab.host.before = (method) => {
      if (method !== 'attachDisk') return
      attempts++
      throw new BerthError('HypervisorRefused', 'no slot for it')
    }
    edit({ disks: [root, data] })
    await passes(30)
    expect(attempts).toBe(1)
    expect(disksReady()).toBe('False HypervisorRefused')
    expect(why()).toContain('no slot for it')
    await lab.clock.advance(30_000)
    await passes(3)
    expect(attempts).toBe(2)
  })

  it('is attached once, though the answer was lost', async () => {
    await bringUp()
    lab.host.after = (method) => {
      if (method !== 'attachDisk') return
      lab.host.after = () => {}
      throw new BerthError('CallTimedOut', 'no answer')
    }
    edit({ disks: [root, data] })
    await passes()
    expect(calls()).toEqual(['createDisk', 'attachDisk'])
    expect(recorded()).toEqual(['root Ready', 'data Ready'])
  })
})

describe('a disk that leaves the list', () => {
  it('is taken out of the machine, then deleted, and told', async () => {
    await bringUp(data, logs)
    await withDisks(root, logs)
    expect(calls()).toEqual(['detachDisk', 'deleteVolume'])
    expect(live()).toEqual(['root', 'logs'])
    expect([volume('data'), volume('logs')]).toEqual([undefined, 2 * GiB])
    expect(recorded()).toEqual(['root Ready', 'logs Ready'])
    expect(reasons()).toEqual(['DiskDetached', 'Deleted'])
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('is kept where that is asked for, and its volume is named', async () => {
    await bringUp({ ...data, deletionPolicy: 'Retain' })
    await withDisks(root)
    expect(calls()).toEqual(['detachDisk'])
    expect(volume('data')).toBe(GiB)
    expect(recorded()).toEqual(['root Ready'])
    const told = lab.events.find(({ reason }) => reason === 'DiskRetained')
    expect(told?.note).toContain(`volume ${volumeNames.disk(uid(), 'data')} in storage pool default`)
  })

  it('and was kept is taken back when it is added again, and outlives the machine', async () => {
    await bringUp({ ...data, deletionPolicy: 'Retain' })
    await withDisks(root)
    await withDisks(root, { ...data, deletionPolicy: 'Retain' })
    expect(calls()).toEqual(['detachDisk', 'attachDisk'])
    await withDisks(root)
    const name = volumeNames.disk(uid(), 'data')
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    await settle()
    expect([...(lab.host.pools.get('default')?.volumes.keys() ?? [])]).toEqual([name])
  })

  it('and was kept in another pool outlives the machine, though one of its name is deleted with it', async () => {
    lab.kube.put(aPool('fast'))
    lab.host.addPool('fast')
    await bringUp({ ...data, storagePool: 'fast', deletionPolicy: 'Retain' })
    await withDisks(root)
    const fast = lab.host.pools.get('fast')
    if (fast) fast.active = false
    await withDisks(root, { ...data, storagePool: 'default' })
    expect(volume('data')).toBe(GiB)
    if (fast) fast.active = true
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    const id = uid()
    await settle()
    expect(lab.host.pools.get('default')?.volumes.has(volumeNames.disk(id, 'data'))).toBe(false)
    expect(fast?.volumes.has(volumeNames.disk(id, 'data'))).toBe(true)
  })

  it('is kept where the machine said so then, whatever it says now', async () => {
    lab.kube.put(aMachine('web', { deletionPolicy: 'Retain', disks: [root, data] }))
    await settle()
    await change({ deletionPolicy: 'Delete', disks: [root] })
    expect(recorded()).toEqual(['root Ready'])
    expect(volume('data')).toBe(GiB)
  })

  it('stays while its guest holds on to it, which is told; asked again after a while, never forced', async () => {
    await bringUp(data)
    lab.host.letsGo = false
    await withDisks(root)
    expect(pending()).toEqual(['spec.disks[data]: 1Gi → absent'])
    expect(why()).toContain('the guest is asked to let the disk go')
    expect(recorded()).toEqual(['root Ready', 'data Removing'])
    await settle()
    expect(calls()).toEqual(['detachDisk'])
    await lab.clock.advance(60_000)
    await settle()
    expect(calls()).toEqual(['detachDisk', 'detachDisk'])
    expect(volume('data')).toBe(GiB)
    await restart()
    expect(live()).toEqual(['root'])
    expect(volume('data')).toBeUndefined()
    expect([pending(), recorded()]).toEqual([[], ['root Ready']])
  })

  it('and comes back before its guest let go keeps its data', async () => {
    await bringUp(data)
    lab.host.letsGo = false
    await withDisks(root)
    await withDisks(root, data)
    expect(recorded()).toEqual(['root Ready', 'data Ready'])
    expect([live(), defined()]).toEqual([
      ['root', 'data'],
      ['root', 'data'],
    ])
    expect(calls()).not.toContain('deleteVolume')
    expect([readyOf(lab.machine()), pending()]).toEqual(['True Running', []])
  })

  it('and comes back from another source is another disk', async () => {
    await bringUp(data)
    await withDisks(root)
    await withDisks(root, { name: 'data', source: { image: { name: 'debian' } } })
    expect(calls()).toEqual(['detachDisk', 'deleteVolume', 'createDisk', 'attachDisk'])
    expect(entry('data')).toMatchObject({ size: '2Gi', image: { name: 'debian' } })
    // In one edit, as far as the controller saw.
    await withDisks(root, data)
    expect(calls().slice(4)).toEqual(['detachDisk', 'deleteVolume', 'createDisk', 'attachDisk'])
    expect(entry('data')?.image).toBeUndefined()
  })

  it('of a machine that is off is taken out of its definition, then deleted', async () => {
    await bringUp(data)
    await change({ powerState: 'Stopped' })
    lab.host.calls.length = 0
    await withDisks(root)
    expect(calls()).toEqual(['detachDisk', 'deleteVolume'])
    expect([defined(), onHost()?.parked]).toEqual([['root'], true])
    await change({ powerState: 'Running' })
    expect(live()).toEqual(['root'])
  })

  it('of a machine that is suspended is not touched until it runs', async () => {
    await bringUp(data)
    await change({ powerState: 'Suspended' })
    lab.host.calls.length = 0
    await withDisks(root)
    expect(calls()).toEqual([])
    expect(pending()).toEqual(['spec.disks[data]: 1Gi → absent'])
    expect(why()).toContain('its saved memory knows the disk')
    await change({ powerState: 'Running' })
    expect(calls()).toEqual(['start', 'detachDisk', 'deleteVolume'])
  })

  it('of a machine whose saved memory is thrown away goes then', async () => {
    await bringUp(data)
    await change({ powerState: 'Suspended' })
    await withDisks(root)
    await change({ powerState: 'Stopped', shutdownMode: 'Hard' })
    expect(volume('data')).toBeUndefined()
    expect(recorded()).toEqual(['root Ready'])
  })

  it('is not deleted while an earlier call for the machine may still arrive', async () => {
    await bringUp(data)
    lab.host.after = (method) => {
      if (method !== 'detachDisk') return
      lab.host.after = () => {}
      throw new BerthError('CallTimedOut', 'no answer')
    }
    edit({ disks: [root] })
    await passes()
    expect(live()).toEqual(['root'])
    expect(calls()).toEqual(['detachDisk'])
    expect(recorded()).toEqual(['root Ready', 'data Removing'])
    await lab.clock.advance(70_000)
    await settle()
    expect(calls()).toEqual(['detachDisk', 'deleteVolume'])
  })

  it('is forgotten only when a late deletion cannot hit one of its name', async () => {
    await bringUp(data)
    lab.host.after = (method) => {
      if (method !== 'deleteVolume') return
      lab.host.after = () => {}
      throw new BerthError('CallTimedOut', 'no answer')
    }
    edit({ disks: [root] })
    await passes()
    edit({ disks: [root, data] })
    await passes()
    expect(recorded()).toEqual(['root Ready', 'data Removing'])
    expect(volume('data')).toBeUndefined()
    await lab.clock.advance(70_000)
    await settle()
    expect(recorded()).toEqual(['root Ready', 'data Ready'])
    expect(volume('data')).toBe(GiB)
  })

  it('is kept with the machine that is deleted meanwhile, if that was asked for', async () => {
    await bringUp({ ...data, deletionPolicy: 'Retain' }, logs)
    lab.host.letsGo = false
    await withDisks(root)
    const name = volumeNames.disk(uid(), 'data')
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    await settle()
    expect([...(lab.host.pools.get('default')?.volumes.keys() ?? [])]).toEqual([name])
  })
})

describe('a disk that is gone from the host', () => {
  const lose = () => lab.host.pools.get('default')?.volumes.delete(volumeNames.disk(uid(), 'data'))

  it('is told, and never made anew; the machine does not start without it, until it leaves the list', async () => {
    await bringUp(data)
    lose()
    await settle()
    expect(recorded()).toEqual(['root Ready', 'data Missing'])
    expect(readyOf(lab.machine())).toBe('False DiskMissing')
    await restart()
    expect(onHost()?.power).toBe('Stopped')
    expect(readyOf(lab.machine())).toBe('False DiskMissing')
    await withDisks(root)
    expect(live()).toEqual(['root'])
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(recorded()).toEqual(['root Ready'])
  })

  it('or lies under a snapshot that somebody made is left as it is', async () => {
    await bringUp(data)
    lab.host.pools.get('default')?.volumes.set(`${volumeNames.disk(uid(), 'data')}.before`, GiB)
    await withDisks(root)
    expect(calls()).toEqual([])
    expect(disksReady()).toBe('False Drifted')
    expect(recorded()).toEqual(['root Ready', 'data Removing'])
  })

  it('or lies under a snapshot, and left the machine meanwhile, does not come back as it was before that', async () => {
    await bringUp(data)
    lab.host.pools.get('default')?.volumes.set(`${volumeNames.disk(uid(), 'data')}.snap1`, GiB)
    const offAndOn = async () => {
      await change({ powerState: 'Stopped' })
      edit({ powerState: 'Running' })
      await passes()
    }
    await withDisks(root)
    await offAndOn()
    expect(defined()).toEqual(['root'])
    await withDisks(root, data)
    await offAndOn()
    expect(defined()).toEqual(['root'])
    expect(onHost()?.power).toBe('Stopped')
    expect(conditionOf(lab.machine(), 'Ready')).toMatchObject({ status: 'False', reason: 'Drifted' })
    expect(volume('data')).toBe(GiB)
  })

  it('because its pool is not started keeps the machine from starting, and is not said to be missing', async () => {
    const fast = lab.host.addPool('fast')
    lab.kube.put(aPool('fast'))
    await bringUp({ ...data, storagePool: 'fast' })
    fast.active = false
    await restart()
    expect(recorded()).toEqual(['root Ready', 'data Ready'])
    expect(readyOf(lab.machine())).toBe('False PoolInactive')
    expect(onHost()?.power).toBe('Stopped')
    fast.active = true
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('because its pool is not started holds up the deletion of the machine', async () => {
    const fast = lab.host.addPool('fast')
    lab.kube.put(aPool('fast'))
    await bringUp({ ...data, storagePool: 'fast' })
    fast.active = false
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    await settle()
    expect(conditionOf(lab.machine(), 'DeletionBlocked')).toMatchObject({ status: 'True', reason: 'PoolInactive' })
    fast.active = true
    await settle()
    expect(fast.volumes.size).toBe(0)
    expect(lab.kube.peek(virtualMachines, { namespace: 'team', name: 'web' })).toBeUndefined()
  })
})

describe('a disk that is to be larger', () => {
  it('grows while the machine runs, the root too', async () => {
    await bringUp(data)
    await withDisks({ name: 'root', size: '10Gi' }, { ...data, size: '5Gi' })
    expect(calls()).toEqual(['growDisk', 'growDisk'])
    expect([volume('root'), volume('data')]).toEqual([10 * GiB, 5 * GiB])
    expect([entry('root')?.size, entry('data')?.size]).toEqual(['10Gi', '5Gi'])
    expect(reasons()).toEqual(['DiskGrown', 'DiskGrown'])
    expect([readyOf(lab.machine()), pending()]).toEqual(['True Running', []])
  })

  it('where it cannot while the machine runs, is listed, and grows at the next start', async () => {
    lacks('GrowDisk')
    await bringUp(data)
    await withDisks(root, { ...data, size: '5Gi' })
    expect(pending()).toEqual(['spec.disks[data].size: 1Gi → 5Gi'])
    expect(volume('data')).toBe(GiB)
    await restart()
    expect(volume('data')).toBe(5 * GiB)
    expect(pending()).toEqual([])
  })

  it('grows while the machine is off', async () => {
    await bringUp(data)
    await change({ powerState: 'Stopped' })
    await withDisks({ name: 'root', size: '10Gi' }, data)
    expect(volume('root')).toBe(10 * GiB)
  })

  it('is not touched while the machine is suspended', async () => {
    await bringUp(data)
    await change({ powerState: 'Suspended' })
    lab.host.calls.length = 0
    await withDisks(root, { ...data, size: '5Gi' })
    expect(calls()).toEqual([])
    expect(pending()).toEqual(['spec.disks[data].size: 1Gi → 5Gi'])
    await change({ powerState: 'Running' })
    expect(volume('data')).toBe(5 * GiB)
  })

  it('and cannot be, for want of room, keeps the machine from nothing', async () => {
    await bringUp(data)
    refuse('growDisk')
    edit({ disks: [root, { ...data, size: '5Gi' }], restart: { token: 'grow', mode: 'Cold' } })
    await passes(30)
    expect(status()?.restart?.token).toBe('grow')
    expect(onHost()?.power).toBe('Running')
    expect(readyOf(lab.machine())).toBe('False StorageFull')
    expect(pending()).toEqual(['spec.disks[data].size: 1Gi → 5Gi'])
  })

  it('is never made smaller: added again smaller than it was kept, that is told', async () => {
    await bringUp({ ...logs, deletionPolicy: 'Retain' })
    await withDisks(root)
    await withDisks(root, { ...logs, size: '1Gi' })
    expect(volume('logs')).toBe(2 * GiB)
    expect(entry('logs')?.size).toBe('2Gi')
    expect(readyOf(lab.machine())).toBe('False InvalidConfiguration')
    expect(conditionOf(lab.machine(), 'DisksReady')).toMatchObject({
      message: expect.stringContaining('spec.disks[logs].size: 1Gi is smaller'),
    })
    await withDisks(root, logs)
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})

describe('what an image is told', () => {
  it('it is used by the machines that have a disk of it, and placed for one that waits', async () => {
    await bringUp()
    lab.kube.put(anImage('tools', { status: { digest: 'b'.repeat(64), virtualSize: '1Gi', placements: [] } }))
    await withDisks(root, { name: 'data', source: { image: { name: 'tools' } } })
    const image = lab.kube.peek(clusterImages, { name: 'tools' })
    expect(lab.caches.virtualMachines.byIndex('imageUID', image?.metadata.uid ?? '')).toHaveLength(1)
    expect(pending()).toEqual(['spec.disks[data]: absent → 1Gi'])
    expect(why()).toContain('its image is being placed')
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})
