/** managementPolicy ReportDrift: what is told and left, and what is still done. Each case also as Managed has it. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type VirtualMachineSpec, virtualMachines } from '../../api/index.ts'
import type { FakeMachine } from '../../hypervisor/testing/fake-session.ts'
import { conditionOf } from '../shared/conditions.ts'
import { aMachine, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
const web = { namespace: 'team', name: 'web' }
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = () => lab.settleTwice(reconciler, key)
const change = async (spec: Partial<VirtualMachineSpec>) => {
  lab.kube.change(virtualMachines, web, (vm) => Object.assign(vm.spec, spec))
  await settle()
}
const status = () => lab.machine().status
const phase = () => lab.slot('s1').status?.phase
const drift = () => conditionOf(lab.machine(), 'Drifted')
const message = () => status()?.conditions?.find(({ type }) => type === 'Drifted')?.message
const onHost = (): FakeMachine => {
  const machine = lab.host.machines.get(lab.machine().metadata.uid)
  if (!machine) throw new Error('it is gone from its host')
  return machine
}
/** Somebody does something on the host; gives what Berth did then. */
async function found(facts: Partial<FakeMachine>): Promise<string[]> {
  const before = lab.host.calls.length
  Object.assign(onHost(), facts)
  await settle()
  return lab.host.calls.slice(before).map(({ method }) => method)
}
async function bringUp(spec: Partial<VirtualMachineSpec> = {}): Promise<void> {
  lab.kube.put(aMachine('web', { managementPolicy: 'ReportDrift', ...spec }))
  await settle()
  expect(readyOf(lab.machine())).toBe(`True ${spec.powerState ?? 'Running'}`)
}

describe('what is done on the host', () => {
  it.each<[string, VirtualMachineSpec['powerState'] & string, Partial<FakeMachine>, string[], string]>([
    ['its power is cut', 'Running', { power: 'Stopped', stopReason: 'Outside' }, ['start'], 'Stopped on the host, not'],
    ['its host is rebooted', 'Running', { power: 'Stopped', stopReason: 'Unknown' }, ['start'], 'Stopped on the host'],
    ['it is paused', 'Running', { power: 'Paused', pauseReason: 'Asked' }, ['unpause'], 'Paused on the host, not Run'],
    ['it is saved', 'Running', { power: 'Suspended' }, ['start'], 'Suspended on the host, not Running'],
    ['it is let go on', 'Paused', { power: 'Running' }, ['pause'], 'Running on the host, not Paused'],
    ['its definition is removed', 'Running', { transient: true }, ['define'], 'its definition is gone'],
  ])('%s, though %s is declared: told and left; Managed mends it', async (_, powerState, facts, mended, words) => {
    await bringUp({ powerState })
    expect(await found(facts)).toEqual([])
    expect(drift()).toMatchObject({ status: 'True', reason: 'Changed' })
    expect(message()).toContain(words)
    expect(message()).toContain('restart.token')
    expect(readyOf(lab.machine())).toBe('False Drifted')
    expect(status()).toMatchObject({ slot: 's1', powerState: onHost().power })
    expect(phase()).toBe('Bound')
    expect(lab.events.at(-1)).toMatchObject({ type: 'Warning', reason: 'Drifted' })
    const before = lab.host.calls.length
    await change({ managementPolicy: 'Managed' })
    expect(lab.host.calls.slice(before).map(({ method }) => method)).toEqual(mended)
    expect(readyOf(lab.machine())).toBe(`True ${powerState}`)
    expect(status()?.reachedPowerState).toBeUndefined()
  })

  it('what is suspended and loses its memory there, keeps its slot and is told', async () => {
    await bringUp()
    await change({ powerState: 'Suspended' })
    expect(await found({ power: 'Stopped', stopReason: 'Outside' })).toEqual([])
    expect(message()).toContain('Stopped on the host, not Suspended')
    expect(phase()).toBe('Bound')
  })

  it('is over when somebody puts it right there', async () => {
    await bringUp()
    await found({ power: 'Stopped', stopReason: 'Outside' })
    expect(await found({ power: 'Running' })).toEqual([])
    expect(drift()).toBeUndefined()
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('is told once, however often the controller starts anew', async () => {
    await bringUp()
    await found({ power: 'Paused', pauseReason: 'Asked' })
    const { length } = lab.kube.writes
    reconciler = new VirtualMachineReconciler(lab.dependencies)
    await settle()
    expect(lab.kube.writes).toHaveLength(length)
    expect(lab.events.filter(({ reason }) => reason === 'Drifted')).toHaveLength(1)
  })

  it('CPUs and memory that it is not given by anybody here are told; it is Ready all the same', async () => {
    await bringUp()
    const { spec } = onHost()
    expect(await found({ spec: { ...spec, cpus: 4 } })).toEqual([])
    expect(message()).toContain('4 CPUs, 1Gi, not 1 CPU, 1Gi')
    expect(readyOf(lab.machine())).toBe('True Running')
    await found({ spec })
    expect(drift()).toBeUndefined()
  })
})

describe('what the spec asks for is done', () => {
  it('from what was found there, and back', async () => {
    await bringUp()
    await found({ power: 'Stopped', stopReason: 'Outside' })
    await change({ powerState: 'Stopped' })
    expect(readyOf(lab.machine())).toBe('True Stopped')
    expect(phase()).toBe('Free')
    await change({ powerState: 'Running' })
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('a new restart token starts what was stopped there', async () => {
    await bringUp()
    await found({ power: 'Stopped', stopReason: 'Outside' })
    await change({ restart: { token: 'one', mode: 'Warm' } })
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(status()?.restart?.token).toBe('one')
  })

  it('a change of the size is pending, and no drift', async () => {
    await bringUp()
    await change({ size: 'large' })
    expect(drift()).toBeUndefined()
    expect(status()?.pendingChanges).toHaveLength(1)
  })

  it('a restart runs its course', async () => {
    await bringUp()
    await change({ restart: { token: 'one', mode: 'Cold' } })
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(lab.host.calls.map(({ method }) => method).slice(-2)).toEqual(['shutdown', 'start'])
  })

  it('deletion too, of what has drifted', async () => {
    await bringUp()
    await found({ power: 'Paused', pauseReason: 'Asked' })
    lab.kube.markDeleted(virtualMachines, web)
    await settle()
    expect(lab.kube.peek(virtualMachines, web)).toBeUndefined()
    expect(lab.host.machines.size).toBe(0)
  })
})

describe('what a guest does by itself is no drift', () => {
  it('its own shutdown: its slot is given back, or it is started again, as onGuestShutdown says', async () => {
    await bringUp()
    await found({ power: 'Stopped', stopReason: 'Guest' })
    expect(readyOf(lab.machine())).toBe('True GuestShutDown')
    expect(phase()).toBe('Free')
    await change({ onGuestShutdown: 'Restart', restart: { token: 'one', mode: 'Warm' } })
    expect(await found({ power: 'Stopped', stopReason: 'Guest' })).toEqual(['start'])
  })

  it('a crash', async () => {
    await bringUp()
    expect(await found({ power: 'Stopped', stopReason: 'Crash' })).toEqual(['start'])
  })
})

it('a machine that was found changed before it ran is brought up first', async () => {
  lab.kube.put(aMachine('web', { managementPolicy: 'ReportDrift' }))
  await lab.settle(reconciler, key, () => lab.host.calls.some(({ method }) => method === 'start'))
  Object.assign(onHost(), { power: 'Stopped', stopReason: 'Outside' })
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
})
