/** The disks of one machine come, go and grow while it runs: seen by the API, by libvirt and by the guest. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { VirtualMachine } from '../../controller/api/index.ts'
import { volumeNames } from '../../controller/hypervisor/port.ts'
import { until } from '../../hack/lab/wait.ts'
import { inventory, Lab, login, namespace, patience } from './lab.ts'

const domain = `${namespace}_disks`
const MiB = 2 ** 20
const data = { name: 'data', size: '16Mi' }
const logs = { name: 'logs', size: '16Mi' }
const copy = { name: 'copy', source: { image: { name: 'reference' } } }

let lab: Lab
let address: string
let uid: string
let bootedAs: string

beforeAll(async () => {
  lab = await Lab.start(1)
  lab.startController()
  await lab.declare()
  await lab.apply(lab.machine('disks', { disks: [data] }))
  address = await lab.address('disks')
  uid = (await machine()).metadata.uid ?? ''
  bootedAs = await inGuest('cat /proc/sys/kernel/random/boot_id')
})
afterAll(() => lab?.stop())

async function machine(): Promise<VirtualMachine> {
  const vm = await lab.get<VirtualMachine>('virtualmachines', 'disks')
  if (!vm) throw new Error('the machine is gone')
  return vm
}
const inGuest = async (command: string): Promise<string> => {
  const { code, stdout, stderr } = await login(address, lab.key, command)
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout.trim()
}
/** Its virtio disks, by serial number: device and bytes. */
async function guestDisks(): Promise<Map<string, { device: string; size: number }>> {
  const lines = await inGuest('for d in /sys/block/vd*; do echo "$(cat $d/serial) $(basename $d) $(cat $d/size)"; done')
  const rows = lines.split('\n').map((line) => line.split(' '))
  return new Map(rows.map(([serial = '', device = '', sectors]) => [serial, { device, size: Number(sectors) * 512 }]))
}
const deviceOf = async (disk: string): Promise<string> => {
  const found = (await guestDisks()).get(disk)
  if (!found) throw new Error(`the guest has no disk ${disk}`)
  return `/dev/${found.device}`
}
const write = async (disk: string, text: string) => inGuest(`echo ${text} > ${await deviceOf(disk)} && sync`)
const read = async (disk: string) => inGuest(`head -n 1 ${await deviceOf(disk)}`)

/** Names of the disks that libvirt says the machine has, by volume; the seed is none. */
async function attached(): Promise<string[]> {
  const { stdout } = await lab.hypervisor.virsh(['domblklist', domain, '--details'])
  return disksIn(stdout)
}
const disksIn = (text: string): string[] =>
  [...text.matchAll(/berth-[-0-9a-f]{36}-([-a-z0-9]+)/g)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'seed')
    .toSorted()
const volumes = async () =>
  disksIn((await inventory(lab.hypervisor)).volumes.filter((name) => name.includes(uid)).join('\n'))

/** Waits until the object says that it has these, and nothing is pending. */
async function has(...names: string[]): Promise<VirtualMachine> {
  return until(
    `the machine has ${names}`,
    async () => {
      const vm = await lab.running('disks')
      const told = vm.status?.disks?.flatMap(({ name, state }) => (state === 'Ready' ? name : [])).toSorted()
      const isTold = told?.join() === names.toSorted().join() && vm.status?.disks?.length === names.length
      if (!isTold || vm.status?.pendingChanges || vm.status?.observedGeneration !== vm.metadata.generation)
        throw new Error(JSON.stringify([vm.status?.disks, vm.status?.pendingChanges]))
      return vm
    },
    patience,
  )
}
const change = (...disks: object[]) => lab.patch('disks', { disks })
const noteOf = async (reason: string) =>
  (await lab.events('VirtualMachine', 'disks')).findLast((event) => event.reason === reason)?.note

test('it is made with a blank disk, which the guest knows by its name', async () => {
  const vm = await has('root', 'data')
  expect(vm.status?.disks?.find(({ name }) => name === 'data')).toMatchObject({
    volume: volumeNames.disk(uid, 'data'),
    size: '16Mi',
    target: 'vdb',
  })
  expect((await guestDisks()).get('data')?.size).toBe(16 * MiB)
  await write('data', 'first')
})

describe('wrong input, by kubectl', () => {
  test.each([
    ['a blank disk without a size', [data, { name: 'more' }], /spec\.disks\[1\]\.size.*needs a size/s],
    ['the name of the seed', [data, { name: 'seed', size: '1Mi' }], /spec\.disks\[1\]\.name.*first boot/s],
    ['a source of the root', [data, { ...copy, name: 'root' }], /spec\.disks\[1\]\.source.*no source of its own/s],
    ['a smaller size', [{ ...data, size: '8Mi' }], /spec\.disks\[0\]\.size.*never shrink/s],
    ['another pool', [{ ...data, storagePool: 'other' }], /spec\.disks\[0\]\.storagePool.*cannot be changed/s],
    ['another source', [{ ...data, ...copy, name: 'data' }], /spec\.disks\[0\]\.source.*cannot be changed/s],
  ])('%s is refused, and the field is named', async (_, disks, message) => {
    await expect(change(...disks)).rejects.toThrow(message)
  })

  test.each([
    [
      'in a pool that is not there',
      { ...logs, storagePool: 'none' },
      'StoragePoolNotFound',
      /storagePool: StoragePool none/,
    ],
    ['of an image that is not there', { name: 'logs', source: { image: { name: 'none' } } }, 'ImageNotFound', /none/],
    ['smaller than its image', { ...copy, size: '1Mi' }, 'SmallerThanImage', /\[copy\]\.size: 1Mi is smaller/],
  ])('a disk %s: told what to do, and the guest does not notice', async (_, disk, reason, message) => {
    await change(data, disk)
    const vm = await lab.condition<VirtualMachine>('virtualmachines', 'disks', 'Ready', 'False', reason)
    expect(vm.status?.conditions?.find(({ type }) => type === 'DisksReady')?.message).toMatch(message)
    expect(vm.status?.pendingChanges).toHaveLength(1)
    expect(await volumes()).toEqual(['data', 'root'])
    await change(data)
    await has('root', 'data')
    expect(await inGuest('cat /proc/sys/kernel/random/boot_id')).toBe(bootedAs)
  })
})

describe('while it runs', () => {
  test('two disks are added, one of them a copy of an image, and seen by the guest', async () => {
    await change(data, logs, copy)
    await has('root', 'data', 'logs', 'copy')
    expect(await attached()).toEqual(['copy', 'data', 'logs', 'root'])
    const guest = await until('the guest has them', async () => {
      const disks = await guestDisks()
      return disks.has('logs') && disks.has('copy') ? disks : undefined
    })
    expect([guest.get('logs')?.size, guest.get('copy')?.size]).toEqual([16 * MiB, guest.get('root')?.size])
    await write('logs', 'kept')
    expect([await read('logs'), await read('data')]).toEqual(['kept', 'first'])
  })

  test('a disk and the root grow, and the guest is told', async () => {
    await change({ name: 'root', size: '96Mi' }, data, { ...logs, size: '32Mi' }, copy)
    const vm = await has('root', 'data', 'logs', 'copy')
    await until('the guest sees it', async () => {
      const disks = await guestDisks()
      return disks.get('logs')?.size === 32 * MiB && disks.get('root')?.size === 96 * MiB
    })
    expect(vm.status?.disks?.map(({ name, size }) => [name, size])).toEqual(
      expect.arrayContaining([
        ['root', '96Mi'],
        ['logs', '32Mi'],
      ]),
    )
    expect(await read('logs')).toBe('kept')
  })

  test('one is taken away: the guest lets it go, and its volume is deleted', async () => {
    await change(data, { ...logs, size: '32Mi' })
    await has('root', 'data', 'logs')
    expect(await attached()).toEqual(['data', 'logs', 'root'])
    expect(await volumes()).toEqual(['data', 'logs', 'root'])
    expect([...(await guestDisks()).keys()]).not.toContain('copy')
  })

  test('one that is to be kept leaves its volume, which is named', async () => {
    await change(data, { ...logs, size: '32Mi', deletionPolicy: 'Retain' })
    const isTold = ({ status }: VirtualMachine) =>
      status?.disks?.find(({ name }) => name === 'logs')?.deletionPolicy === 'Retain'
    await until('the policy is recorded', async () => isTold(await machine()), patience)
    await change(data)
    await has('root', 'data')
    expect([await attached(), await volumes()]).toEqual([
      ['data', 'root'],
      ['data', 'logs', 'root'],
    ])
    expect(await noteOf('DiskRetained')).toContain(volumeNames.disk(uid, 'logs'))
  })

  test('it is taken back under its name, with what was on it', async () => {
    await change(data, { ...logs, size: '32Mi' })
    await has('root', 'data', 'logs')
    await until('the guest has it', async () => (await guestDisks()).has('logs'))
    expect(await read('logs')).toBe('kept')
  })

  test('one that was deleted is blank when it is made again', async () => {
    await change({ ...logs, size: '32Mi' })
    await has('root', 'logs')
    await change(data, { ...logs, size: '32Mi' })
    await has('root', 'data', 'logs')
    await until('the guest has it', async () => (await guestDisks()).has('data'))
    expect(await inGuest(`head -c 5 ${await deviceOf('data')} | tr -d '\\000'`)).toBe('')
  })

  test('and it ran all the time', async () => {
    expect(await inGuest('cat /proc/sys/kernel/random/boot_id')).toBe(bootedAs)
  })
})

test('while it is off: one goes, another grows and comes back larger', async () => {
  await lab.patch('disks', { powerState: 'Stopped' })
  await lab.condition('virtualmachines', 'disks', 'Ready', 'True', 'Stopped')
  await change({ ...logs, size: '48Mi' })
  await until('the volume is gone', async () => (await volumes()).join() === 'logs,root', patience)
  await lab.patch('disks', { powerState: 'Running' })
  address = await lab.address('disks')
  await has('root', 'logs')
  const guest = await guestDisks()
  expect([guest.get('logs')?.size, [...guest.keys()].includes('data')]).toEqual([48 * MiB, false])
  expect(await read('logs')).toBe('kept')
})

test('it is deleted, and leaves nothing', async () => {
  await lab.remove('virtualmachines', 'disks')
  expect(await volumes()).toEqual([])
})
