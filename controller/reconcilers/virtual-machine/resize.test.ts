/** CPUs and memory that are changed on a machine that exists: what is told, and when they are applied. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type VirtualMachineSpec, virtualMachineSizes, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { conditionOf } from '../shared/conditions.ts'
import { aMachine, aSize, aSlot, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = () => lab.settleTwice(reconciler, key)
async function change(spec: Partial<VirtualMachineSpec>) {
  lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) => {
    Object.assign(vm.spec, spec)
    for (const [field, value] of Object.entries(spec)) if (value === undefined) Reflect.deleteProperty(vm.spec, field)
  })
  await settle()
}
const status = () => lab.machine().status
const pending = () => (status()?.pendingChanges ?? []).map(({ field, from, to, effect }) => [field, from, to, effect])
const amounts = () => {
  const machine = lab.host.machines.get(lab.machine().metadata.uid)
  return machine && [machine.spec.cpus, machine.spec.memory / 2 ** 20]
}
const resources = (cpus: number, memory: string) => ({ resources: { cpus, memory } })
let tokens = 0
const restart = () => change({ restart: { token: String(++tokens), mode: 'Cold' } })
async function bringUp(spec: object = { size: undefined, ...resources(1, '1Gi') }): Promise<void> {
  lab.kube.put(aMachine('web', spec))
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
}

describe('a machine that runs', () => {
  it('lists two edits, one when one is taken back, none when both are; and nothing is done on its host', async () => {
    await bringUp()
    const calls = lab.host.calls.length
    await change(resources(2, '2Gi'))
    expect(pending()).toEqual([
      ['spec.resources.cpus', '1', '2', 'NextStart'],
      ['spec.resources.memory', '1Gi', '2Gi', 'NextStart'],
    ])
    expect(conditionOf(lab.machine(), 'RestartRequired')).toMatchObject({ status: 'True', reason: 'ChangesPending' })
    expect(readyOf(lab.machine())).toBe('True Running')
    await change(resources(1, '2Gi'))
    expect(pending()).toEqual([['spec.resources.memory', '1Gi', '2Gi', 'NextStart']])
    await change(resources(1, '1024Mi'))
    expect(pending()).toEqual([])
    expect(conditionOf(lab.machine(), 'RestartRequired')).toBeUndefined()
    expect(lab.host.calls.length).toBe(calls)
  })

  it.each(['Cold', 'Warm'] as const)('gets them with its next start, in its slot: a %s restart', async (mode) => {
    await bringUp()
    await change({ ...resources(2, '2Gi'), restart: { token: `now-${mode}`, mode } })
    expect(amounts()).toEqual([2, 2048])
    expect(pending()).toEqual([])
    expect(status()).toMatchObject({ size: { cpus: 2, memory: '2Gi' }, slot: 's1' })
    expect(lab.events.map(({ reason }) => reason)).toContain('Resized')
  })

  it('gets them when it is started after a crash', async () => {
    await bringUp()
    await change(resources(2, '1Gi'))
    lab.host.turnOff(lab.machine().metadata.uid, 'Crash')
    await settle()
    expect(amounts()).toEqual([2, 1024])
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('is not made larger than its slot by a restart; stopped and started it is placed in a larger one', async () => {
    await bringUp()
    lab.kube.put(aSlot('s9', { cpus: 8, memory: '8Gi' }))
    await change(resources(4, '1Gi'))
    expect(pending()).toEqual([['spec.resources.cpus', '1', '4', 'NextPlacement']])
    expect(status()?.pendingChanges?.[0]?.message).toContain('slot s1 has only 2 CPUs, 2Gi')
    await restart()
    expect(amounts()).toEqual([1, 1024])
    expect(status()).toMatchObject({ slot: 's1', size: { cpus: 1 } })
    await change({ powerState: 'Stopped' })
    await change({ powerState: 'Running' })
    expect(amounts()).toEqual([4, 1024])
    expect(status()).toMatchObject({ slot: 's9', size: { cpus: 4 } })
    expect(pending()).toEqual([])
  })

  it('goes from one named size to another, and not where that size itself is changed or deleted', async () => {
    await bringUp({})
    lab.kube.put(aSize('large', { cpus: 2, memory: '2Gi' }))
    lab.kube.put(aSize('small', { cpus: 2, memory: '2Gi' }))
    await settle()
    expect(pending()).toEqual([])
    await change({ size: 'large' })
    expect(pending()).toEqual([['spec.size', '1 CPU, 1Gi', 'large (2 CPUs, 2Gi)', 'NextStart']])
    await change({ size: 'small' })
    expect(pending()).toEqual([])
    await change({ size: 'large' })
    await restart()
    expect(amounts()).toEqual([2, 2048])
    expect(status()?.size).toMatchObject({ name: 'large', cpus: 2 })
    lab.kube.remove(virtualMachineSizes, { name: 'large' })
    await restart()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(pending()).toEqual([])
  })

  it('runs on, and starts as it was, while the size that it is to have does not exist', async () => {
    await bringUp({})
    await change({ size: 'huge' })
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(status()?.pendingChanges?.[0]).toMatchObject({ field: 'spec.size', to: 'huge' })
    expect(status()?.pendingChanges?.[0]?.message).toContain('there is no VirtualMachineSize huge')
    await restart()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(amounts()).toEqual([1, 1024])
  })

  it('is not defined again and again where the host makes something else of it', async () => {
    await bringUp()
    lab.host.after = (method) => {
      const machine = lab.host.machines.get(lab.machine().metadata.uid)
      if (method === 'define' && machine) Object.assign(machine, { spec: { ...machine.spec, cpus: 1, maxCpus: 1 } })
    }
    await change({ ...resources(2, '1Gi'), restart: { token: 'now', mode: 'Cold' } })
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(lab.host.calls.filter(({ method }) => method === 'define')).toHaveLength(2)
    expect(pending()).toEqual([['spec.resources.cpus', '1', '2', 'NextStart']])
  })

  it('keeps its root disk, whatever storage the new size has', async () => {
    await bringUp({})
    lab.kube.put(aSize('roomy', { cpus: 1, memory: '1Gi', storage: '50Gi' }))
    await change({ size: 'roomy' })
    await restart()
    expect(status()?.disks?.[0]?.size).toBe('2Gi')
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})

describe('a machine with room to grow', () => {
  const grown = (cpus: number, memory: string, maxCpus = 2, maxMemory = '2Gi') => ({
    resources: { cpus, memory, maxCpus, maxMemory },
  })
  const bringUpSmall = () => bringUp({ size: undefined, ...grown(1, '512Mi') })
  const room = () => {
    const { maxCpus = 0, maxMemory = 0 } = lab.host.machines.get(lab.machine().metadata.uid)?.spec ?? {}
    return [maxCpus, maxMemory / 2 ** 20]
  }
  const asked = () => lab.host.calls.filter(({ method }) => method === 'resize').map(({ args }) => args[1])

  it('is given more while it runs, and less memory again, and nothing is pending', async () => {
    await bringUpSmall()
    const calls = lab.host.calls.length
    await change(grown(2, '1Gi'))
    await change(grown(2, '768Mi'))
    expect(lab.host.calls.slice(calls).map(({ method }) => method)).toEqual(['resize', 'resize'])
    expect(amounts()).toEqual([2, 768])
    expect(pending()).toEqual([])
    expect(status()?.size).toMatchObject({ cpus: 2, memory: '768Mi', maxCpus: 2, maxMemory: '2Gi' })
    expect(lab.events.map(({ note }) => note)).toContain('has 2 CPUs, 1Gi, up to 2 CPUs, 2Gi now, while it runs')
    await restart()
    expect(amounts()).toEqual([2, 768])
  })

  it('gets with its next start what it cannot be given now: fewer CPUs, or what is beyond its room', async () => {
    await bringUp({ size: undefined, ...grown(2, '512Mi', 2, '1Gi') })
    await change(grown(1, '2Gi', 2, '2Gi'))
    expect(pending()).toEqual([
      ['spec.resources.cpus', '2', '1', 'NextStart'],
      ['spec.resources.memory', '512Mi', '2Gi', 'NextStart'],
      ['spec.resources.maxMemory', '1Gi', '2Gi', 'NextStart'],
    ])
    expect(asked()).toEqual([])
    await restart()
    expect([amounts(), room()]).toEqual([
      [1, 2048],
      [2, 2048],
    ])
    expect(pending()).toEqual([])
  })

  it('grows no further than its slot has room, and beyond it in a larger slot', async () => {
    await bringUp({ size: undefined, ...grown(1, '512Mi', 8, '8Gi') })
    expect(room()).toEqual([2, 2048])
    expect(pending()).toEqual([])
    lab.kube.put(aSlot('s9', { cpus: 8, memory: '8Gi' }))
    await change(grown(4, '512Mi', 8, '8Gi'))
    expect(pending().map(([field, , , effect]) => [field, effect])).toContainEqual([
      'spec.resources.cpus',
      'NextPlacement',
    ])
    await change({ powerState: 'Stopped' })
    await change({ powerState: 'Running' })
    expect([amounts(), room()]).toEqual([
      [4, 512],
      [8, 8192],
    ])
  })

  it('is asked once where its host refuses, told so, and changed by its next start', async () => {
    await bringUpSmall()
    let times = 0
    lab.host.before = (method) => {
      if (method !== 'resize') return
      times++
      throw new BerthError('HypervisorRefused', 'no such thing here')
    }
    await expect(change(grown(2, '512Mi'))).rejects.toMatchObject({ code: 'HypervisorRefused' })
    await settle()
    expect(times).toBe(1)
    expect(lab.events.filter(({ reason }) => reason === 'HypervisorRefused')).toHaveLength(1)
    expect(pending()).toEqual([['spec.resources.cpus', '1', '2', 'NextStart']])
    expect(readyOf(lab.machine())).toBe('True Running')
    await restart()
    expect(amounts()).toEqual([2, 512])
  })

  it('has room that nobody asks for any more until its next start, and nothing is said of it', async () => {
    await bringUpSmall()
    await change({ resources: { cpus: 1, memory: '512Mi' } })
    expect(pending()).toEqual([])
    await change({ resources: { cpus: 1, memory: '512Mi', maxMemory: '1Gi' } })
    expect(pending()).toEqual([['spec.resources.maxMemory', '2Gi', '1Gi', 'NextStart']])
    await restart()
    expect(room()).toEqual([1, 1024])
  })

  it('is given back what somebody took from it on its host', async () => {
    await bringUpSmall()
    const machine = lab.host.machines.get(lab.machine().metadata.uid)
    if (machine) machine.spec = { ...machine.spec, memory: 256 * 2 ** 20 }
    await settle()
    expect(amounts()).toEqual([1, 512])
  })

  it('is not asked while it is paused, nor on a host that cannot', async () => {
    await bringUpSmall()
    await change({ powerState: 'Paused', ...grown(2, '512Mi') })
    expect(asked()).toEqual([])
    await change({ powerState: 'Running' })
    expect(asked()).toEqual([{ cpus: 2 }])
    const { capabilities } = lab.host.information
    lab.host.information = { ...lab.host.information, capabilities: { ...capabilities, features: [] } }
    await change(grown(2, '1Gi'))
    expect(asked()).toHaveLength(1)
    expect(pending()).toContainEqual(['spec.resources.memory', '512Mi', '1Gi', 'NextStart'])
    await restart()
    expect([amounts(), room()]).toEqual([
      [2, 1024],
      [2, 1024],
    ])
  })
})

describe('a machine that is off', () => {
  it('is what was changed meanwhile when it starts', async () => {
    await bringUp()
    await change({ powerState: 'Stopped' })
    await change(resources(2, '2Gi'))
    expect(conditionOf(lab.machine(), 'RestartRequired')).toBeUndefined()
    expect(readyOf(lab.machine())).toBe('True Stopped')
    await change({ powerState: 'Running' })
    expect(amounts()).toEqual([2, 2048])
    expect(pending()).toEqual([])
  })
})
