/** Life-times: what is said when, and that nothing goes that was not said to go. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type VirtualMachineSpec, virtualMachines } from '../../api/index.ts'
import { conditionOf } from '../shared/conditions.ts'
import { aMachine, conditionTypes, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
const web = { namespace: 'team', name: 'web' }
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(() => {
  lab = new Lab().furnish('s1')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
})

const settle = () => lab.settleTwice(reconciler, key)
/** Passes as they ask for them, until so much time is over. */
async function live(time: number): Promise<void> {
  const end = lab.clock.monotonic() + time
  for (let passes = 0; passes < 200; passes++) {
    const { requeueAfter = Number.POSITIVE_INFINITY } = await lab.pass(reconciler, key)
    const left = end - lab.clock.monotonic()
    await lab.clock.advance(Math.min(requeueAfter, left))
    if (requeueAfter > left || left <= 0) return
  }
  throw new Error('it does not come to rest')
}
const change = (spec: Partial<VirtualMachineSpec>) =>
  lab.kube.change(virtualMachines, web, (vm) => Object.assign(vm.spec, spec))
/** Made at the moment at which the clock of the test begins. */
async function bringUp(spec: Partial<VirtualMachineSpec>, metadata = {}): Promise<void> {
  lab.kube.put(aMachine('web', spec, metadata))
  await settle()
  expect(readyOf(lab.machine())).toBe('True Running')
}
const isDeleted = () => {
  const vm = lab.kube.peek(virtualMachines, web)
  return vm === undefined || vm.metadata.deletionTimestamp !== undefined
}
const stage = () => conditionOf(lab.machine(), 'ExpiresSoon')?.reason
const warnings = () => lab.events.filter(({ reason }) => reason === 'ExpiresSoon').map(({ note }) => note)
const calls = () => lab.host.calls.map(({ method }) => method)

describe('a life-time', () => {
  it('is told from the beginning, and warned of a week, a day and an hour before, once each', async () => {
    await bringUp({ expiresAfter: '240h' })
    expect(lab.machine().status?.expiresAt).toBe('2026-01-11T00:00:00Z')
    expect(conditionTypes(lab.machine())).not.toContain('ExpiresSoon')
    const seen: [string | undefined, number][] = []
    for (const time of [3 * day - hour, 2 * hour, 6 * day, 22 * hour + minute]) {
      await live(time)
      seen.push([stage(), warnings().length])
    }
    expect(seen).toEqual([
      [undefined, 0],
      ['WithinAWeek', 1],
      ['WithinADay', 2],
      ['WithinAnHour', 3],
    ])
    for (const note of warnings()) expect(note).toMatch(/at 2026-01-11T00:00:00Z this object is deleted, with its/)
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('ends with the object and the machine, by a deletion of this very object', async () => {
    await bringUp({ expiresAfter: '2h' })
    await live(2 * hour - 10_000)
    expect(isDeleted()).toBe(false)
    await live(20_000)
    await settle()
    expect(lab.kube.peek(virtualMachines, web)).toBeUndefined()
    expect(lab.host.machines.size).toBe(0)
    expect(lab.events.filter(({ reason }) => reason === 'Expired')).toHaveLength(1)
  })

  it('of the least length is warned of from its beginning', async () => {
    await bringUp({ expiresAfter: '10m' })
    expect(stage()).toBe('WithinAnHour')
    await live(10 * minute - 10_000)
    expect(isDeleted()).toBe(false)
    await live(minute)
    expect(isDeleted()).toBe(true)
  })

  it('leaves the machine on its host where deletionPolicy says so', async () => {
    await bringUp({ expiresAfter: '10m', deletionPolicy: 'Retain' })
    expect(warnings()[0]).toMatch(/its machine stays on its host/)
    await live(11 * minute)
    await settle()
    expect(lab.kube.peek(virtualMachines, web)).toBeUndefined()
    expect([...lab.host.machines.values()]).toMatchObject([{ power: 'Running', spec: { tag: { released: true } } }])
  })

  it('is none where none is set', async () => {
    await bringUp({})
    expect(lab.machine().status?.expiresAt).toBeUndefined()
    await live(400 * day)
    expect(isDeleted()).toBe(false)
  })
})

describe('a life-time that is changed', () => {
  it('moves, and what was said is taken back', async () => {
    await bringUp({ expiresAfter: '1h' })
    expect(stage()).toBe('WithinAnHour')
    change({ expiresAfter: '100h' })
    await live(2 * hour)
    expect(stage()).toBeUndefined()
    expect(lab.machine().status?.expiresAt).toBe('2026-01-05T04:00:00Z')
    expect(isDeleted()).toBe(false)
  })

  it('ends when it is taken out', async () => {
    await bringUp({ expiresAfter: '10m' })
    lab.kube.change(virtualMachines, web, ({ spec }) => Reflect.deleteProperty(spec, 'expiresAfter'))
    await live(10 * day)
    expect(lab.machine().status?.expiresAt).toBeUndefined()
    expect(conditionTypes(lab.machine())).not.toContain('ExpiresSoon')
    expect(isDeleted()).toBe(false)
  })

  it('in the last moment keeps the machine, though a pass that does not know it is about to delete', async () => {
    await bringUp({ expiresAfter: '10m' })
    await live(10 * minute - 1_000)
    lab.informers.virtualMachines.hold()
    change({ expiresAfter: '100h' })
    await live(5 * minute).catch((error: { class: string }) => expect(error.class).toBe('Conflict'))
    lab.informers.virtualMachines.release()
    await live(hour)
    expect(isDeleted()).toBe(false)
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})

describe('what is over already', () => {
  it('when it is set, is said for ten minutes first, which is time to take it back', async () => {
    await bringUp({}, { creationTimestamp: '2025-01-01T00:00:00Z' })
    change({ expiresAfter: '24h' })
    await live(9 * minute)
    expect(isDeleted()).toBe(false)
    expect(lab.machine().status?.expiresAt).toBe('2025-01-02T00:00:00Z')
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]).toMatch(/ends; at 2026-01-01T00:1\d:\d\dZ this object is deleted/)
    await live(2 * minute)
    expect(isDeleted()).toBe(true)
  })

  it('when it is shortened, after warnings of another end: that is said for ten minutes, too', async () => {
    await bringUp({ expiresAfter: '240h' })
    await live(5 * day)
    expect(stage()).toBe('WithinAWeek')
    change({ expiresAfter: '24h' })
    await live(9 * minute)
    expect(isDeleted()).toBe(false)
    expect(stage()).toBe('WithinAnHour')
    await live(2 * minute)
    expect(isDeleted()).toBe(true)
  })

  it('by a clock that jumps ahead, after early warnings: the last one is said for ten minutes', async () => {
    await bringUp({ expiresAfter: '240h' })
    await live(5 * day)
    lab.clock.jump(30 * day)
    await live(9 * minute)
    expect(isDeleted()).toBe(false)
    lab.clock.jump(-30 * day)
    await live(hour)
    expect(isDeleted()).toBe(false)
  })

  it('by a clock that jumps ahead and is put right: nothing is deleted', async () => {
    await bringUp({ expiresAfter: '240h' })
    lab.clock.jump(30 * day)
    await live(5 * minute)
    expect(stage()).toBe('WithinAnHour')
    lab.clock.jump(-30 * day)
    await live(hour)
    expect(isDeleted()).toBe(false)
    expect(stage()).toBeUndefined()
  })
})

it('a controller that starts anew says nothing again', async () => {
  await bringUp({ expiresAfter: '10m' })
  expect(warnings()).toHaveLength(1)
  reconciler = new VirtualMachineReconciler(lab.dependencies)
  const { length } = lab.kube.writes
  await settle()
  expect(warnings()).toHaveLength(1)
  expect(lab.kube.writes).toHaveLength(length)
})

describe('what is protected', () => {
  const expired = async () => {
    await bringUp({ expiresAfter: '10m', deletionProtection: 'Enabled' })
    expect(warnings()[0]).toMatch(/the machine is stopped, since deletionProtection is Enabled/)
    await live(11 * minute)
    await settle()
  }

  it('is stopped instead, gives its slot back, and says why', async () => {
    await expired()
    expect(isDeleted()).toBe(false)
    expect(readyOf(lab.machine())).toBe('False Expired')
    expect(conditionTypes(lab.machine())).toContain('Stalled')
    expect(lab.slot('s1').status?.phase).toBe('Free')
    expect(calls().slice(-2)).toEqual(['park', 'shutdown'])
    expect(lab.machine().spec.powerState).toBeUndefined()
  })

  it('stays off, quietly, also with a new restart token', async () => {
    await expired()
    const { length } = lab.kube.writes
    await live(2 * hour)
    expect(lab.kube.writes).toHaveLength(length)
    change({ restart: { token: 'again', mode: 'Warm' } })
    await live(hour)
    expect(calls().filter((method) => method === 'start')).toHaveLength(1)
  })

  it('starts again when its life-time is prolonged, or taken out', async () => {
    await expired()
    change({ expiresAfter: '100h' })
    await live(hour)
    expect(readyOf(lab.machine())).toBe('True Running')
  })

  it('is deleted when the protection is taken away', async () => {
    await expired()
    change({ deletionProtection: 'Disabled' })
    await live(hour)
    expect(lab.kube.peek(virtualMachines, web)).toBeUndefined()
    expect(lab.host.machines.size).toBe(0)
  })
})
