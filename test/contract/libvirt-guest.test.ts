/** What the libvirt driver does by way of a guest's kernel and agent: the reference machine under QEMU (TCG). Needs root. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { eventually } from '../../controller/hypervisor/contract/expectations.ts'
import { type Session, volumeNames } from '../../controller/hypervisor/port.ts'
import { type Hypervisor, startHypervisor } from '../../hack/hypervisor/index.ts'
import { referenceImage } from '../../hack/reference-image/index.ts'

const id = '4d1b2c4e-0000-4000-8000-00000000000b'
const bootTime = 90_000

let hypervisor: Hypervisor
let session: Session

beforeAll(async () => {
  const reference = await referenceImage()
  hypervisor = await startHypervisor({ name: 'libvirt-guest' })
  session = await libvirtDriver.connect({ uri: hypervisor.uri, callTimeout: 30_000 })
  const pool = hypervisor.poolName
  const image = { digest: reference.sha256, format: 'qcow2' } as const
  const content = readFileSync(reference.path)
  async function* open() {
    yield content
  }
  await session.placeImage(pool, { ...image, length: content.length, open }, () => undefined)
  const volume = volumeNames.disk(id, 'root')
  await session.createDisk({ instanceID: id, pool, volume, image, capacity: reference.virtualSize })
  await session.define({
    tag: { schema: 1, cluster: 'c', namespace: 'n', name: 'm', uid: id, instanceID: id, owner: '', slot: 's' },
    hostName: 'guest',
    cpus: 1,
    memory: 128 * 2 ** 20,
    architecture: 'x86_64',
    accelerator: 'QEMU',
    disks: [{ name: 'root', pool, volume }],
    seed: { pool, volume: volumeNames.seed(id), files: { 'meta-data': `instance-id: ${id}\n` } },
    interfaces: [],
  })
  await session.start(id)
  await eventually(async () => (await hypervisor.virsh(['domtime', id])).code === 0, bootTime)
}, 240_000)

afterAll(async () => {
  await session?.powerOff(id)
  await session?.close()
  await hypervisor?.stop()
}, 60_000)

async function inGuest(command: string): Promise<void> {
  await agent<object>('guest-exec', { path: '/bin/sh', arg: ['-c', command] })
}

/** What a command in the guest writes. */
async function output(command: string): Promise<string> {
  const begun = { path: '/bin/sh', arg: ['-c', command], 'capture-output': true }
  const { pid } = await agent<{ readonly pid: number }>('guest-exec', begun)
  const ended = await eventually(async () => {
    const status = await agent<{ readonly exited: boolean; readonly 'out-data'?: string }>('guest-exec-status', { pid })
    return status.exited && status
  })
  return Buffer.from(ended['out-data'] ?? '', 'base64').toString()
}

async function agent<T>(execute: string, given: object): Promise<T> {
  const command = JSON.stringify({ execute, arguments: given })
  const { code, stdout, stderr } = await hypervisor.virsh(['qemu-agent-command', id, command])
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout).return as T
}

/** Seconds by which the guest's clock is behind ours. */
async function lag(): Promise<number> {
  const { stdout } = await hypervisor.virsh(['domtime', id])
  return Date.now() / 1000 - Number(/\d+/.exec(stdout)?.[0])
}

test.each([
  ['suspended', () => session.suspend(id), () => session.start(id)],
  ['paused', () => session.pause(id), () => session.unpause(id)],
])(
  'a guest that was %s has the right time when it goes on',
  async (_, hold, letGo) => {
    // As after a year in which it was held.
    await inGuest('date -s @$(($(date +%s) - 31536000))')
    await eventually(async () => (await lag()) > 1_000_000)
    await hold()
    await letGo()
    expect(Math.abs(await lag())).toBeLessThan(5)
  },
  60_000,
)

describe('a disk that is given to a guest that runs', () => {
  const size = 8 * 2 ** 20
  const data = () => ({ name: 'data', pool: hypervisor.poolName, volume: volumeNames.disk(id, 'data') })
  const disks = async () => (await session.observe(id)).machine?.disks.map(({ name }) => name)
  /** What the guest calls the disk of that serial number; nothing: it has none. */
  const device = async (serial: string) =>
    (await output(`for at in /sys/block/*; do [ "$(cat $at/serial 2>&1)" = ${serial} ] && basename $at; done`)).trim()
  const sectors = async (name: string) => Number(await output(`cat /sys/block/${name}/size`))

  test('is seen by its name, grows, goes when it is asked back, and comes again with what is on it', async () => {
    const { name, pool, volume } = data()
    await session.createDisk({ instanceID: id, pool, volume, capacity: size })
    await session.attachDisk(id, data())
    const attached = await eventually(async () => (await device(name)) || undefined)
    expect(await sectors(attached)).toBe(size / 512)
    await session.growDisk(id, pool, volume, 2 * size)
    await eventually(async () => (await sectors(attached)) === (2 * size) / 512)
    await output(`echo -n "was here" > /dev/${attached}; sync`)

    await session.detachDisk(id, name)
    await eventually(async () => (await disks())?.length === 1)
    expect(await device(name)).toBe('')
    expect(await device('root')).toBe('vda')

    await session.attachDisk(id, data())
    const again = await eventually(async () => (await device(name)) || undefined)
    expect(await output(`head -c 8 /dev/${again}`)).toBe('was here')
    expect(await disks()).toEqual(['root', name])
  }, 90_000)

  test('is let go of after the guest was told while it was paused', async () => {
    await session.pause(id)
    await session.detachDisk(id, 'data')
    const { pool, volume } = data()
    await expect(session.deleteVolume(id, pool, volume)).rejects.toMatchObject({ code: 'InUse' })
    expect((await session.observe(id)).machine?.disks.at(-1)).toMatchObject({
      name: 'data',
      attached: true,
      defined: false,
    })
    await session.unpause(id)
    await eventually(async () => (await disks())?.length === 1)
    await session.deleteVolume(id, pool, volume)
    expect((await session.observe(id)).volumes.map((one) => one.name)).not.toContain(volume)
  }, 60_000)
})

test('a guest whose kernel panics is off, as crashed, and does not hang', async () => {
  await inGuest('sleep 1; echo c > /proc/sysrq-trigger')
  await eventually(async () => (await session.observe(id)).machine?.power === 'Stopped', 30_000)
  expect((await session.observe(id)).machine?.stopReason).toBe('Crash')
}, 60_000)
