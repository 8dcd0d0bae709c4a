/** What the libvirt driver does by way of a guest's kernel and agent: the reference machine under QEMU (TCG). Needs root. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
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
  const execute = { execute: 'guest-exec', arguments: { path: '/bin/sh', arg: ['-c', command] } }
  const { code, stderr } = await hypervisor.virsh(['qemu-agent-command', id, JSON.stringify(execute)])
  if (code !== 0) throw new Error(stderr)
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

test('a guest whose kernel panics is off, as crashed, and does not hang', async () => {
  await inGuest('sleep 1; echo c > /proc/sysrq-trigger')
  await eventually(async () => (await session.observe(id)).machine?.power === 'Stopped', 30_000)
  expect((await session.observe(id)).machine?.stopReason).toBe('Crash')
}, 60_000)
