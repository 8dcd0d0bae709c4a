/** One machine through its power life, each state seen by the API's watch, libvirt's events and the guest: O4, O5, U1.3. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { VirtualMachine } from '../../controller/api/index.ts'
import type { ControllerProcess } from '../../hack/lab/controller-process.ts'
import { echo, ssh } from '../../hack/lab/guest.ts'
import { until } from '../../hack/lab/wait.ts'
import { inventory, Lab, login, namespace } from './lab.ts'
import { type Mark, Witnesses } from './witnesses.ts'

const domain = `${namespace}_power`

let lab: Lab
let controller: ControllerProcess
let witnesses: Witnesses
let address: string
let uid: string | undefined

const host = () => lab.hypervisor

beforeAll(async () => {
  lab = await Lab.start(1)
  controller = lab.startController()
  await lab.declare()
  witnesses = new Witnesses(lab, host(), 'power')
  await lab.apply(lab.machine('power'))
  address = await lab.address('power')
  uid = (await lab.get<VirtualMachine>('virtualmachines', 'power'))?.metadata.uid
})
afterAll(async () => {
  try {
    witnesses?.stop()
  } finally {
    await lab?.stop()
  }
})

const readyOf = ({ status }: VirtualMachine) => status?.conditions?.find(({ type }) => type === 'Ready')
const isReady = (vm: VirtualMachine, reason: string): boolean =>
  vm.status?.observedGeneration === vm.metadata.generation &&
  readyOf(vm)?.status === 'True' &&
  readyOf(vm)?.reason === reason

/** Changes the spec, and waits until it is Ready for that reason in this very generation. */
async function change(spec: Record<string, unknown>, reason: string): Promise<VirtualMachine> {
  const since = witnesses.mark()
  const { metadata } = await lab.patch('power', spec)
  const { vm } = await witnesses.version(
    since,
    (vm) => vm.metadata.generation === metadata.generation && isReady(vm, reason),
  )
  return vm
}
/** A new token, and the machine as it is once that is served and it runs. */
async function restart(token: string, mode: 'Warm' | 'Cold' = 'Warm'): Promise<VirtualMachine> {
  const since = witnesses.mark()
  await lab.patch('power', { restart: { token, mode } })
  return served(since, token)
}
/** It went off since then for that cause, and runs again. */
const runsAgain = async (since: Mark, by: string): Promise<VirtualMachine> => {
  const isNew = ({ status }: VirtualMachine) => Date.parse(status?.lastStop?.time ?? '') >= since.at
  return (await witnesses.version(since, (vm) => isNew(vm) && vm.status?.lastStop?.by === by && isReady(vm, 'Running')))
    .vm
}
const served = async (since: Mark, token: string): Promise<VirtualMachine> =>
  (await witnesses.version(since, (vm) => vm.status?.restart?.token === token && isReady(vm, 'Running'))).vm

/** That libvirt told these ends and starts of runs since then, and no others. */
async function expectRuns(since: Mark, ...expected: string[]): Promise<void> {
  const runs = () => witnesses.runs(since).map(({ what }) => what)
  // virsh may be told a moment later than the controller.
  await until('libvirt tells them', () => runs().length >= expected.length, { timeout: 5_000, every: 50 })
  expect(runs()).toEqual(expected)
}

/** That no watcher of the slot was ever told anything but that it is the machine's. */
function expectBoundSince(since: Mark): void {
  const versions = witnesses.slots(since)
  expect(versions.length).toBeGreaterThan(0)
  for (const { status } of versions) expect(status).toMatchObject({ phase: 'Bound', consumerRef: { uid } })
}
const slotIsFree = (since: Mark) => witnesses.slot(since, ({ status }) => status?.phase === 'Free')

const inGuest = async (command: string): Promise<string> => {
  const { code, stdout, stderr } = await login(address, lab.key, command)
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout.trim()
}
const bootID = () => inGuest('cat /proc/sys/kernel/random/boot_id')
/** Asked once, when it is up: a second time, it may be the next run that hears it. */
async function shutDownInside(): Promise<void> {
  await bootID()
  await ssh(address, lab.key, 'poweroff')
}
const expectAnswer = async () => expect(await echo(address, ['there'])).toEqual([expect.stringMatching(/ there$/)])
const expectSilence = () => expect(echo(address, ['there'], 2_000)).rejects.toThrow()

async function virsh(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await host().virsh(args)
  if (code !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}
const domainState = () => virsh('domstate', domain)

describe('wrong input, by kubectl', () => {
  test('suspending what was never made: told what to do, and nothing is on the host', async () => {
    await lab.apply(lab.machine('never', { powerState: 'Suspended' }))
    const never = await lab.condition<VirtualMachine>('virtualmachines', 'never', 'Ready', 'False', 'NothingToSuspend')
    expect(readyOf(never)?.message).toMatch(/set powerState to Running first/)
    expect(never.status?.slot).toBeUndefined()
    const { domains, volumes } = await inventory(host())
    expect(domains).toEqual([domain])
    expect(volumes.join()).not.toContain(never.metadata.uid)
    await lab.remove('virtualmachines', 'never')
  })

  test.each([
    [
      'a restart of what is to be paused',
      { powerState: 'Paused', restart: { token: 'now' } },
      /needs powerState Running/,
    ],
    ['a token with a space', { restart: { token: 'right now' } }, /without spaces/],
  ])('%s is refused, and the field is named', async (_, spec, message) => {
    const refused = lab.patch('power', spec)
    await expect(refused).rejects.toThrow(/spec\.restart\.token/)
    await expect(refused).rejects.toThrow(message)
  })
})

describe('O4: restarts', () => {
  test('less room for memory is listed as pending, and done nothing about; taken back, and asked for again', async () => {
    const fields = ({ status }: VirtualMachine) => status?.pendingChanges?.map(({ field }) => field)
    const smaller = { size: null, resources: { cpus: 1, memory: '120Mi', maxMemory: '120Mi' } }
    expect(fields(await change(smaller, 'Running'))).toEqual(['spec.resources.maxMemory'])
    expect(fields(await change({ size: 'tiny', resources: null }, 'Running'))).toBeUndefined()
    await change(smaller, 'Running')
    expect(await virsh('dominfo', domain)).toMatch(/Max memory: +131072 KiB/)
  })

  test('restart warm is seen active, inactive, active; the slot is kept, and it is one restart', async () => {
    const before = await bootID()
    const since = witnesses.mark()
    const vm = await restart('warm-1')
    // What was pending is applied by it.
    expect(vm.status?.pendingChanges).toBeUndefined()
    expect(await virsh('dommemstat', domain)).toContain(`actual ${120 * 1024}`)
    expect(await bootID()).not.toBe(before)
    await expectAnswer()
    expect(witnesses.powerStates(since)).toEqual(['Running', 'Stopped', 'Running'])
    expectBoundSince(since)
    await expectRuns(since, 'Stopped Shutdown', 'Started Booted')
    const [stopped, started] = witnesses.runs(since)
    const off = await witnesses.version(since, ({ status }) => status?.powerState === 'Stopped')
    // Noted before it is written, and told after: both lie in the time in which libvirt had it off.
    const noted = Date.parse(off.vm.status?.lastStop?.time ?? '')
    expect(noted).toBeGreaterThanOrEqual(stopped?.at ?? Number.POSITIVE_INFINITY)
    expect(off.at).toBeLessThanOrEqual(started?.at ?? 0)
    expect(vm.status).toMatchObject({ lastStop: { by: 'Berth' }, restart: { token: 'warm-1' } })
    expect(vm.status?.restarting).toBeUndefined()
    const events = await lab.events('VirtualMachine', 'power')
    expect(events.filter(({ reason }) => reason === 'Restarting')).toHaveLength(1)
  })
})

test('with room to grow, a guest is given memory and gives it back while it runs', async () => {
  const withRoom = (memory: string) => ({ resources: { cpus: 1, memory, maxMemory: '128Mi' } })
  const { status } = await change(withRoom('120Mi'), 'Running')
  expect(status?.pendingChanges?.map(({ field }) => field)).toEqual(['spec.resources.maxMemory'])
  await restart('room', 'Cold')
  const before = await bootID()
  const since = witnesses.mark()
  for (const memory of ['128Mi', '112Mi']) {
    const vm = await change(withRoom(memory), 'Running')
    expect(vm.status).toMatchObject({ size: { memory } })
    expect(vm.status?.pendingChanges).toBeUndefined()
    await until(`the guest has ${memory}`, async () =>
      (await virsh('dommemstat', domain)).includes(`actual ${Number.parseInt(memory, 10) * 1024}`),
    )
  }
  expect(await bootID()).toBe(before)
  expect(witnesses.lifecycle(since)).toEqual([])
  expectBoundSince(since)
})

describe('O5: suspended and paused', () => {
  test('suspend: the service no longer answers; start brings it back, with its memory and the right time', async () => {
    const before = await bootID()
    expect(await inGuest('stat -f -c %T /tmp; echo kept > /tmp/kept')).toBe('tmpfs')
    const since = witnesses.mark()
    const suspended = await change({ powerState: 'Suspended' }, 'Suspended')
    expect(suspended.status?.powerState).toBe('Suspended')
    expect(await domainState()).toBe('shut off')
    expect(await virsh('list', '--inactive', '--with-managed-save', '--name')).toBe(domain)

    // Drift: it goes on by somebody else's hand, and is suspended again.
    const started = witnesses.mark()
    await virsh('start', domain)
    await witnesses.event(started, 'Stopped Saved')
    await lab.condition('virtualmachines', 'power', 'Ready', 'True', 'Suspended')
    expect(await domainState()).toBe('shut off')

    const silence = performance.now()
    await expectSilence()
    expectBoundSince(since)
    // So long that a clock which stood still meanwhile is told from one that is right.
    await sleep(10_000 - (performance.now() - silence))
    await change({ powerState: 'Running' }, 'Running')
    expect(await bootID()).toBe(before)
    expect(await inGuest('cat /tmp/kept')).toBe('kept')
    await until('the clock of the guest is right', async () => {
      const earliest = Date.now() / 1_000
      const time = Number(await inGuest('date +%s'))
      const wrongBy = Math.max(earliest - time, time - Date.now() / 1_000)
      if (wrongBy > 3) throw new Error(`it is wrong by ${wrongBy} s`)
      return true
    })
    await expectAnswer()
    expectBoundSince(since)
    await expectRuns(since, 'Stopped Saved', 'Started Restored', 'Stopped Saved', 'Started Restored')
  })

  test('pause: the guest stands still; unpaused it answers again', async () => {
    const before = await bootID()
    const since = witnesses.mark()
    const paused = await change({ powerState: 'Paused' }, 'Paused')
    expect(paused.status?.powerState).toBe('Paused')
    expect(await domainState()).toBe('paused')
    await expectSilence()
    await change({ powerState: 'Running' }, 'Running')
    await expectAnswer()
    expect(await bootID()).toBe(before)
    expectBoundSince(since)
    expect(witnesses.lifecycle(since).map(({ what }) => what)).toEqual(['Suspended Paused', 'Resumed Unpaused'])
  })
})

describe('drift: what others do on the host is mended', () => {
  test('paused by virsh: it goes on within seconds', async () => {
    const since = witnesses.mark()
    await virsh('suspend', domain)
    await witnesses.event(since, 'Resumed')
    const [paused, resumed] = witnesses.lifecycle(since)
    expect([paused?.what, resumed?.what]).toEqual(['Suspended Paused', 'Resumed Unpaused'])
    expect((resumed?.at ?? 0) - (paused?.at ?? 0)).toBeLessThan(5_000)
    await expectAnswer()
  })
})

test('the controller killed between the stop and the start of a restart: the next one starts it, once', async () => {
  const since = witnesses.mark()
  await lab.patch('power', { restart: { token: 'crash-1', mode: 'Warm' } })
  await witnesses.event(since, 'Stopped')
  await controller.kill()
  expect(await domainState()).toBe('shut off')
  controller = lab.startController()
  const vm = await served(since, 'crash-1')
  // The guest went off as if by its own wish: what was recorded before the stop tells that it was not.
  expect(vm.status?.lastStop?.by).toBe('Berth')
  expect(vm.status?.restarting).toBeUndefined()
  await expectRuns(since, 'Stopped Shutdown', 'Started Booted')
  expect(witnesses.powerStates(since)).toEqual(['Running', 'Stopped', 'Running'])
  expectBoundSince(since)
})

describe('power that is cut: started again in its slot', () => {
  test('by virsh: the cause is Outside', async () => {
    const since = witnesses.mark()
    await virsh('destroy', domain)
    await runsAgain(since, 'Outside')
    await expectRuns(since, 'Stopped Destroyed', 'Started Booted')
    expectBoundSince(since)
  })

  // Between two that are not asked for, or the second would be delayed as that of a machine which goes off again and again.
  test('by a restart cold in mode Hard', async () => {
    await lab.patch('power', { shutdownMode: 'Hard' })
    const since = witnesses.mark()
    await restart('cold-1', 'Cold')
    await expectRuns(since, 'Stopped Destroyed', 'Started Booted')
    expect(witnesses.powerStates(since)).toEqual(['Running', 'Stopped', 'Running'])
    expectBoundSince(since)
  })

  test('by the end of its QEMU: the cause is Crash', async () => {
    const since = witnesses.mark()
    const { stdout } = await host().run('pidof', ['qemu-system-x86_64'])
    expect(await host().run('kill', ['-9', stdout.trim()])).toMatchObject({ code: 0 })
    await runsAgain(since, 'Crash')
    await expectRuns(since, 'Stopped Failed', 'Started Booted')
    expectBoundSince(since)
  })
})

describe('a guest that shuts itself down', () => {
  test('U1.3: stays off and frees its slot; a new restart token brings it back, in one start', async () => {
    const since = witnesses.mark()
    await shutDownInside()
    const { vm } = await witnesses.version(since, (vm) => isReady(vm, 'GuestShutDown') && vm.status?.slot === undefined)
    expect(vm.status).toMatchObject({ powerState: 'Stopped', lastStop: { by: 'Guest' } })
    await slotIsFree(since)
    const off = witnesses.mark()
    await restart('back-1')
    await expectRuns(off, 'Started Booted')
  })

  test('onGuestShutdown Restart: it is started again, in its slot', async () => {
    await lab.patch('power', { onGuestShutdown: 'Restart' })
    const since = witnesses.mark()
    await shutDownInside()
    await runsAgain(since, 'Guest')
    await expectRuns(since, 'Stopped Shutdown', 'Started Booted')
    expectBoundSince(since)
  })
})

test('it goes, and leaves nothing', async () => {
  const since = witnesses.mark()
  await lab.remove('virtualmachines', 'power')
  expect((await inventory(host())).domains).toEqual([])
  await slotIsFree(since)
})
