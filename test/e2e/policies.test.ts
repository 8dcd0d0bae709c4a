/** What becomes of machines when their objects go: left on their hosts, and kept from going at all. virsh is the witness. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Slot, VirtualMachine } from '../../controller/api/index.ts'
import type { ControllerProcess } from '../../hack/lab/controller-process.ts'
import { echo } from '../../hack/lab/guest.ts'
import { until } from '../../hack/lab/wait.ts'
import { Lab, login, namespace, patience } from './lab.ts'

const doomed = 'doomed'
const kept = `${namespace}_kept`
const guarded = `${doomed}_guarded`

let lab: Lab
let controller: ControllerProcess

beforeAll(async () => {
  lab = await Lab.start(1)
  controller = lab.startController()
  await lab.declare()
  await lab.kubectl('create', 'namespace', doomed)
})
afterAll(() => lab?.stop())

const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it was not refused',
    (error: Error) => error.message,
  )
async function onHost(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.hypervisor.run(command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}
async function virsh(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.hypervisor.virsh(args)
  if (code !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}
const bootID = async (address: string): Promise<string> =>
  (await login(address, lab.key, 'cat /proc/sys/kernel/random/boot_id')).stdout.trim()
/** QEMU's own process, and the boot of the guest inside: what changes neither was never stopped. */
const lifeOf = async (domain: string, address: string) => ({
  process: await onHost('cat', `/run/libvirt/qemu/${domain}.pid`),
  boot: await bootID(address),
})
const tagOf = async (domain: string): Promise<string> =>
  /<berth:machine[^>]*>/.exec(await virsh('dumpxml', '--inactive', domain))?.[0] ?? 'no tag'
const slot = async (): Promise<Slot> => {
  const [found] = await lab.list<Slot>('slots')
  if (!found) throw new Error('there is no slot')
  return found
}
const slotIs = (phase: string) =>
  until(`the slot is ${phase}`, async () => (await slot()).status?.phase === phase, patience)
const guardedMachine = async (): Promise<VirtualMachine> =>
  JSON.parse(await lab.kubectl('get', 'bvm', 'guarded', '--namespace', doomed, '-o', 'json'))
const guardedIs = (status: string, reason: string) =>
  until(
    `guarded is ${status} ${reason}`,
    async () =>
      (await guardedMachine()).status?.conditions?.some(
        (condition) => condition.type === 'Ready' && condition.status === status && condition.reason === reason,
      ),
    patience,
  )

describe('wrong input, by kubectl', () => {
  test.each([
    [{ expiresAfter: '5m' }, 'spec.expiresAfter', 'from 10m to 87600h'],
    [{ expiresAfter: '7d' }, 'spec.expiresAfter', 'with units ms, s, m, h'],
    [{ deletionPolicy: 'Keep' }, 'spec.deletionPolicy', 'supported values: "Delete", "Retain"'],
    [{ deletionProtection: true }, 'spec.deletionProtection', 'must be of type string'],
  ])('%j', async (spec, field, words) => {
    const answer = await refused(lab.apply(lab.machine('wrong', spec)))
    expect(answer).toContain(field)
    expect(answer).toContain(words)
  })
})

describe('deletionPolicy Retain', () => {
  let address: string
  let before: Awaited<ReturnType<typeof lifeOf>>

  test('its object goes; the same process goes on, the same guest answers', async () => {
    await lab.apply(lab.machine('kept', { deletionPolicy: 'Retain' }))
    address = await lab.address('kept')
    before = await lifeOf(kept, address)
    await lab.remove('virtualmachines', 'kept')
    expect(await lab.get('virtualmachines', 'kept')).toBeUndefined()
    expect(await lifeOf(kept, address)).toEqual(before)
    expect(await echo(address, ['there'])).toEqual([expect.stringMatching(/ there$/)])
    expect(await tagOf(kept)).toMatch(/ name="kept" .*released="true"/)
    expect((await lab.events('VirtualMachine', 'kept')).map(({ reason }) => reason)).toContain('Retained')
  })

  test('its slot is kept from others, who are told that they wait', async () => {
    await slotIs('Unavailable')
    expect((await slot()).status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', reason: 'ForeignMachine' }),
    )
    const machine = JSON.parse(lab.machine('guarded', { deletionProtection: 'Enabled' }))
    await lab.apply(JSON.stringify({ ...machine, metadata: { name: 'guarded', namespace: doomed } }))
    await guardedIs('False', 'WaitingForSlot')
  })

  test('a controller that starts anew leaves it alone', async () => {
    await controller.stop()
    controller = lab.startController('b')
    await lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
    await guardedIs('False', 'WaitingForSlot')
    expect(await lifeOf(kept, address)).toEqual(before)
  })

  test('once people stop it on the host, its slot serves another; it stays there, and can be started again', async () => {
    await virsh('destroy', kept)
    await guardedIs('True', 'Running')
    expect(await virsh('domstate', kept)).toBe('shut off')
    await virsh('start', kept)
    expect(await virsh('domstate', kept)).toBe('running')
    await virsh('destroy', kept)
    await virsh('metadata', kept, '--uri', 'https://berth.dev/libvirt/v1', '--remove', '--config')
    expect(await tagOf(kept)).toBe('no tag')
  })
})

describe('deletionProtection', () => {
  test('refuses deletion, and says what to do, while no controller runs', async () => {
    await guardedIs('True', 'Running')
    await controller.stop()
    const answer = await refused(lab.kubectl('delete', 'bvm', 'guarded', '--namespace', doomed, '--timeout=30s'))
    expect(answer).toContain('spec.deletionProtection is Enabled')
    expect(answer).toContain('set it to Disabled first')
    expect((await guardedMachine()).metadata.deletionTimestamp).toBeUndefined()
    controller = lab.startController('c')
  })

  test('its namespace can be deleted; the machine runs on', async () => {
    const address = await until('an address', async () => (await guardedMachine()).status?.primaryAddress, patience)
    const before = await lifeOf(guarded, address)
    await lab.kubectl('delete', 'namespace', doomed, '--timeout=240s')
    expect(await refused(lab.kubectl('get', 'namespace', doomed))).toContain('NotFound')
    expect(await lifeOf(guarded, address)).toEqual(before)
    expect(await tagOf(guarded)).toContain('released="true"')
    await slotIs('Unavailable')
  })
})

describe('managementPolicy ReportDrift', () => {
  const domain = `${namespace}_watched`
  const drifted = async (words: string) => {
    const vm = await lab.condition<VirtualMachine>('virtualmachines', 'watched', 'Drifted', 'True', 'Changed')
    expect(vm.status?.conditions?.find(({ type }) => type === 'Drifted')?.message).toContain(words)
    return vm
  }

  test('what virsh does is told, and left; the slot stays the machine’s', async () => {
    await virsh('destroy', guarded)
    await slotIs('Free')
    await lab.apply(lab.machine('watched', { managementPolicy: 'ReportDrift' }))
    const { metadata } = await lab.running('watched')
    await virsh('suspend', domain)
    await drifted('Paused on the host, not Running')
    expect(await virsh('domstate', domain)).toBe('paused')
    await virsh('resume', domain)
    await lab.running('watched')
    await virsh('destroy', domain)
    await drifted('Stopped on the host, not Running')
    // A controller that starts anew looks at everything at once.
    await controller.stop()
    controller = lab.startController('d')
    await lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
    await drifted('Stopped on the host, not Running')
    expect(await virsh('domstate', domain)).toBe('shut off')
    expect((await slot()).status).toMatchObject({ phase: 'Bound', consumerRef: { uid: metadata.uid } })
  })

  test('what the spec asks for is done', async () => {
    await lab.patch('watched', { restart: { token: 'go' } })
    await lab.running('watched')
    expect(await virsh('domstate', domain)).toBe('running')
    await lab.patch('watched', { powerState: 'Stopped', shutdownMode: 'Hard' })
    await slotIs('Free')
    await lab.remove('virtualmachines', 'watched')
  })
})

test('switched off, deletion goes its way, and nothing is left', async () => {
  await lab.apply(lab.machine('last', { deletionProtection: 'Enabled' }))
  await lab.running('last')
  expect(await refused(lab.remove('virtualmachines', 'last'))).toContain('deletionProtection')
  await lab.patch('last', { deletionProtection: 'Disabled' })
  await lab.remove('virtualmachines', 'last')
  expect(await virsh('list', '--all', '--name')).not.toContain('last')
  await slotIs('Free')
})
