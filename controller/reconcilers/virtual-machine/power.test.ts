/** Power as a user and a watcher see it: states, conditions, Events and history over whole passes. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type VirtualMachine, type VirtualMachineSpec, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import type { ObservedMachine, StopReason } from '../../hypervisor/port.ts'
import { conditionOf } from '../shared/conditions.ts'
import { aMachine, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = () => lab.settleTwice(reconciler, key)
const change = (spec: Partial<VirtualMachineSpec>) =>
  lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) => Object.assign(vm.spec, spec))
const power = async (powerState: VirtualMachineSpec['powerState']) => {
  change({ ...(powerState ? { powerState } : {}) })
  await settle()
}
const status = () => lab.machine().status
const id = () => lab.machine().metadata.uid
const onHost = () => lab.host.machines.get(id())
const phase = () => lab.slot('s1').status?.phase
const calls = () => lab.host.calls.map(({ method }) => method)
/** Somebody does something on the host. */
const found = (facts: Partial<ObservedMachine>) => void Object.assign(onHost() ?? {}, facts)
/** Calls that the host got while `work` was done. */
async function callsOf(work: () => Promise<unknown>): Promise<string[]> {
  const before = lab.host.calls.length
  await work()
  return calls().slice(before)
}
async function bringUp(spec: object = {}): Promise<void> {
  lab.kube.put(aMachine('web', spec))
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
}

describe('paused and suspended', () => {
  it('holds the processors and lets them go, in the same slot', async () => {
    await bringUp()
    await power('Paused')
    expect(onHost()?.power).toBe('Paused')
    expect(readyOf(lab.machine())).toBe('True Paused')
    expect(status()?.powerState).toBe('Paused')
    await power('Running')
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(phase()).toBe('Bound')
    expect(calls()).toEqual(['createDisk', 'define', 'start', 'pause', 'unpause'])
  })

  it('is made paused where that is declared, and has not booted then', async () => {
    lab.kube.put(aMachine('web', { powerState: 'Paused' }))
    await settle()
    expect(readyOf(lab.machine())).toBe('True Paused')
    expect(calls()).toEqual(['createDisk', 'define', 'start'])
    expect(status()?.firstBootTime).toBeUndefined()
    await power('Running')
    expect(status()?.firstBootTime).toBeDefined()
  })

  it('saves the memory and goes on with it, in the same slot, as the same run', async () => {
    await bringUp()
    const { startTime } = status() ?? {}
    await power('Suspended')
    expect(onHost()?.power).toBe('Suspended')
    expect(readyOf(lab.machine())).toBe('True Suspended')
    expect(status()).toMatchObject({ powerState: 'Suspended', slot: 's1', startTime })
    expect(phase()).toBe('Bound')
    expect(await callsOf(() => power('Running'))).toEqual(['start'])
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(status()?.startTime).toBe(startTime)
    expect(lab.events.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['Suspended', 'Resumed']))
  })

  it('mends what somebody does on the host: a pause, a save, a start of what is suspended', async () => {
    await bringUp()
    found({ power: 'Paused', pauseReason: 'Asked' })
    expect(await callsOf(settle)).toEqual(['unpause'])
    found({ power: 'Suspended' })
    expect(await callsOf(settle)).toEqual(['start'])
    await power('Suspended')
    found({ power: 'Running' })
    expect(await callsOf(settle)).toEqual(['suspend'])
    expect(readyOf(lab.machine())).toBe('True Suspended')
  })

  it('tells what the host holds, since it cannot go on, and forces nothing', async () => {
    await bringUp()
    found({ power: 'Paused', pauseReason: 'Fault' })
    expect(await callsOf(settle)).toEqual([])
    expect(readyOf(lab.machine())).toBe('False Drifted')
  })

  it('is told what cannot be suspended: it is off, and gives its slot back', async () => {
    await bringUp()
    await power('Stopped')
    await power('Suspended')
    expect(readyOf(lab.machine())).toBe('False NothingToSuspend')
    expect(conditionOf(lab.machine(), 'Stalled')?.status).toBe('True')
    expect(phase()).toBe('Free')
    await power('Running')
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('says what the host cannot do', async () => {
    await bringUp()
    lab.host.before = (method) => {
      if (method === 'suspend') throw new BerthError('NotSupported', 'this hypervisor cannot save memory')
    }
    change({ powerState: 'Suspended' })
    await expect(settle()).rejects.toMatchObject({ code: 'NotSupported' })
    expect(readyOf(lab.machine())).toBe('False NotSupported')
    expect(onHost()?.power).toBe('Running')
  })

  it('stops what is suspended in order: it goes on, is shut down, and gives its slot back', async () => {
    await bringUp()
    await power('Suspended')
    expect(await callsOf(() => power('Stopped'))).toEqual(['start', 'park', 'shutdown'])
    expect(readyOf(lab.machine())).toBe('True Stopped')
    expect(phase()).toBe('Free')
  })

  it('throws saved memory away under Hard alone', async () => {
    await bringUp({ shutdownMode: 'Hard' })
    await power('Suspended')
    expect(await callsOf(() => power('Stopped'))).toEqual(['discardMemory', 'park'])
    expect(phase()).toBe('Free')
  })

  it('deletes what is suspended', async () => {
    await bringUp()
    await power('Suspended')
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    await settle()
    expect(lab.host.machines.size).toBe(0)
    expect(phase()).toBe('Free')
  })
})

describe('what a stop meets', () => {
  it('shuts down in order what is suspended and has a disk that outlives it', async () => {
    await bringUp({ disks: [{ name: 'root', deletionPolicy: 'Retain' }] })
    await power('Suspended')
    lab.kube.markDeleted(virtualMachines, { namespace: 'team', name: 'web' })
    expect((await callsOf(settle)).slice(0, 2)).toEqual(['start', 'shutdown'])
    expect(lab.host.machines.size).toBe(0)
  })

  it('gives up a memory that does not go on when its time is over', async () => {
    await bringUp({ shutdownTimeout: '1m' })
    await power('Suspended')
    lab.host.before = (method) => {
      if (method === 'start') throw new BerthError('HypervisorRefused', 'the host is out of memory')
    }
    change({ powerState: 'Stopped' })
    await expect(settle()).rejects.toMatchObject({ code: 'HypervisorRefused' })
    expect(phase()).toBe('Bound')
    lab.clock.stall(61_000)
    expect(await callsOf(settle)).toEqual(['discardMemory', 'park'])
    expect(readyOf(lab.machine())).toBe('True Stopped')
  })

  it('asks a guest anew when the spec is changed, though it did not listen the last time', async () => {
    await bringUp({ shutdownMode: 'Soft', shutdownTimeout: '1m' })
    lab.host.obedient = false
    await power('Stopped')
    lab.clock.stall(61_000)
    await settle()
    expect(readyOf(lab.machine())).toBe('False GuestRefusesShutdown')
    lab.host.obedient = true
    change({ shutdownTimeout: '2m' })
    expect(await callsOf(settle)).toEqual(['shutdown'])
    expect(readyOf(lab.machine())).toBe('True Stopped')
  })

  it('does not delay a start for those that the host refused', async () => {
    await bringUp()
    lab.host.turnOff(id(), 'Crash')
    lab.host.before = (method) => {
      if (method === 'start') throw new BerthError('HypervisorBusy', 'busy')
    }
    for (let attempts = 0; attempts < 5; attempts++) {
      await expect(settle()).rejects.toMatchObject({ code: 'HypervisorBusy' })
      expect(readyOf(lab.machine())).toBe('False HypervisorBusy')
    }
    lab.host.before = () => {}
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})

describe('restart', () => {
  it('is not Ready as long as it is to begin: a call may still be on its way', async () => {
    await bringUp()
    lab.settling.began(id())
    lab.settling.unresolved(id())
    change({ restart: { token: 'today', mode: 'Warm' } })
    expect(await callsOf(settle)).toEqual([])
    expect(readyOf(lab.machine())).toBe('False Restarting')
  })

  it.each([
    ['Warm', 'TrySoft', ['shutdown', 'start']],
    ['Cold', 'TrySoft', ['shutdown', 'start']],
    ['Cold', 'Hard', ['powerOff', 'start']],
    ['Warm', 'Hard', ['shutdown', 'start']],
  ] as const)('%s under %s: once, in its slot; watchers see it off in between', async (mode, shutdownMode, done) => {
    await bringUp({ shutdownMode })
    const states: (string | undefined)[] = []
    const { admit } = lab.kube
    lab.kube.admit = (object, before) => {
      if (object.kind === 'VirtualMachine') states.push((object.status as VirtualMachine['status'])?.powerState)
      admit(object, before)
    }
    change({ restart: { token: 'today', mode } })
    expect(await callsOf(settle)).toEqual(done)
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(states.filter((state, index) => state !== states[index - 1])).toEqual(['Running', 'Stopped', 'Running'])
    expect(status()?.restart?.token).toBe('today')
    expect(status()?.restarting).toBeUndefined()
    expect(status()?.lastStop?.by).toBe('Berth')
    expect(phase()).toBe('Bound')
    expect(await callsOf(settle)).toEqual([])
  })

  it('is none for a machine that is just made, nor where only its mode is changed, nor where it is taken out', async () => {
    await bringUp({ restart: { token: 'a', mode: 'Warm' } })
    expect(status()?.restart?.token).toBe('a')
    change({ restart: { token: 'a', mode: 'Cold' } })
    expect(await callsOf(settle)).toEqual([])
    lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) =>
      Reflect.deleteProperty(vm.spec, 'restart'),
    )
    expect(await callsOf(settle)).toEqual([])
  })

  it('is served by the start, where the machine is stopped', async () => {
    await bringUp()
    await power('Stopped')
    change({ restart: { token: 'b', mode: 'Warm' } })
    expect(await callsOf(settle)).toEqual([])
    expect(await callsOf(() => power('Running'))).toEqual(['define', 'start'])
    expect(status()?.restart?.token).toBe('b')
  })

  it('brings back what its guest shut down', async () => {
    await bringUp()
    lab.host.turnOff(id(), 'Guest')
    await settle()
    expect(readyOf(lab.machine())).toBe('True GuestShutDown')
    change({ restart: { token: 'again', mode: 'Warm' } })
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    // Served by that start: there is no second one.
    expect(await callsOf(settle)).toEqual([])
    expect(status()?.lastStop).toMatchObject({ by: 'Guest' })
    expect(status()?.lastStop?.restartToken).toBeUndefined()
  })

  it('cuts the power of a deaf guest when its time is over', async () => {
    await bringUp({ shutdownTimeout: '1m' })
    lab.host.obedient = false
    change({ restart: { token: 'today', mode: 'Warm' } })
    await settle()
    expect(readyOf(lab.machine())).toBe('False Restarting')
    lab.clock.stall(61_000)
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(calls().filter((method) => method === 'powerOff')).toHaveLength(1)
  })

  it('goes on where a crash left it, and is one restart', async () => {
    await bringUp()
    change({ restart: { token: 'today', mode: 'Warm' } })
    const done = await callsOf(async () => {
      for (let passes = 0; passes < 20; passes++) {
        const next = new VirtualMachineReconciler(lab.dependencies)
        await lab.pass(next, key)
      }
    })
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(done).toEqual(['shutdown', 'start'])
  })
})

describe('a machine that goes off by itself', () => {
  it.each<[StopReason, object, string, string, string]>([
    ['Guest', {}, 'True GuestShutDown', 'Guest', 'Free'],
    ['Guest', { onGuestShutdown: 'Restart' }, 'True Running', 'Guest', 'Bound'],
    ['Crash', {}, 'True Running', 'Crash', 'Bound'],
    ['Crash', { onCrash: 'Stop' }, 'False GuestCrashed', 'Crash', 'Free'],
    ['Outside', {}, 'True Running', 'Outside', 'Bound'],
    ['Unknown', {}, 'True Running', 'Host', 'Bound'],
  ])('%s, %o: %s', async (reason, spec, ready, by, slot) => {
    await bringUp(spec)
    lab.host.turnOff(id(), reason)
    await settle()
    expect(readyOf(lab.machine())).toBe(ready)
    expect(status()?.lastStop?.by).toBe(by)
    expect(phase()).toBe(slot)
  })

  it('crashes again and again: it is started ever later, and is said to be in a loop from the fourth on', async () => {
    await bringUp()
    for (let crashes = 0; crashes < 4; crashes++) {
      lab.host.turnOff(id(), 'Crash')
      const { requeueAfter = 0 } = await settle()
      if (crashes === 3) expect(readyOf(lab.machine())).toBe('False CrashLooping')
      lab.clock.stall(requeueAfter)
      await settle()
      expect(readyOf(lab.machine())).toBe('True Running')
    }
  })

  it('stays off after a crash until the user speaks', async () => {
    await bringUp({ onCrash: 'Stop' })
    lab.host.turnOff(id(), 'Crash')
    await settle()
    expect(await callsOf(settle)).toEqual([])
    change({ restart: { token: 'again', mode: 'Warm' } })
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})
