/** What the libvirt driver promises on Xen beyond the contract, with guests that boot. */
import { randomUUID } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { readDomain } from '../../controller/drivers/libvirt/domain-xml.ts'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import {
  type BootMode,
  type ImageContent,
  type MachineSpec,
  type ObservedMachine,
  type Session,
  volumeNames,
} from '../../controller/hypervisor/port.ts'
import { until } from '../../hack/lab/wait.ts'
import { type ReferenceImage, referenceImage } from '../../hack/reference-image/index.ts'
import { sharedXen } from './shared-xen.ts'

const xen = sharedXen()
const pool = xen.poolName
const modes = ['HVM', 'PV', 'PVH'] as const
/** Guests share one emulated processor with the host, which each question costs. */
const patience = { timeout: 400_000, every: 2_000 }
let session: Session
let reference: ReferenceImage
let instanceID: string

beforeAll(async () => {
  const pem = (path: string) => readFileSync(path, 'utf8')
  const { ca, clientCertificate, clientKey } = xen.pki
  const credentials = {
    certificateAuthority: pem(ca),
    clientCertificate: pem(clientCertificate),
    clientKey: pem(clientKey),
  }
  session = await libvirtDriver.connect({ uri: xen.tlsUri, credentials, callTimeout: 600_000 })
  reference = await referenceImage()
  await session.placeImage(pool, image(), () => undefined)
})

afterAll(async () => {
  await session?.removeImage(pool, reference.sha256)
  await session?.close()
})

afterEach(async () => {
  await session.powerOff(instanceID)
  await until('the host has tidied up', async () => (await observed())?.power !== 'Running', patience)
  await session.undefine(instanceID)
  const { volumes } = await session.observe(instanceID)
  for (const { name } of volumes) await session.deleteVolume(instanceID, pool, name)
})

let addresses = 0
/** Of each machine its own: the lease of another's guest would pass for this one's. */
const newAddress = () => `52:54:00:be:47:${(++addresses).toString(16).padStart(2, '0')}`

const image = (): ImageContent => ({
  digest: reference.sha256,
  length: reference.size,
  format: 'qcow2',
  open: () => createReadStream(reference.path),
})

const observed = async (): Promise<ObservedMachine | undefined> => (await session.observe(instanceID)).machine

function spec(changes: Partial<MachineSpec>): MachineSpec {
  return {
    tag: {
      schema: 1,
      cluster: 'c',
      namespace: 'xen',
      name: 'web',
      uid: instanceID,
      instanceID,
      owner: 'User:alice',
      slot: 's',
    },
    hostName: 'xen_web',
    cpus: 2,
    memory: 128 * 2 ** 20,
    architecture: 'x86_64',
    disks: [{ name: 'root', pool, volume: volumeNames.disk(instanceID, 'root') }],
    seed: { pool, volume: volumeNames.seed(instanceID), files: { 'meta-data': `instance-id: ${instanceID}\n` } },
    interfaces: [{ name: 'eth0', macAddress: newAddress(), attachment: { libvirtNetwork: xen.networkName } }],
    ...changes,
  }
}

/** Defines a machine with a disk over the reference image. */
async function define(changes: Partial<MachineSpec>): Promise<MachineSpec> {
  instanceID = randomUUID()
  const machine = spec(changes)
  const volume = volumeNames.disk(instanceID, 'root')
  const disk = { digest: reference.sha256, format: 'qcow2' as const }
  await session.createDisk({ instanceID, pool, volume, image: disk, capacity: reference.virtualSize })
  await session.define(machine)
  return machine
}

/** Its guest is up when it has asked for an address. */
const address = () =>
  until(
    'an address from the guest',
    async () => (await session.interfaces(instanceID))[0]?.addresses.find(({ source }) => source === 'Lease'),
    patience,
  )

describe.each(modes)('in mode %s', (mode: BootMode) => {
  test('what is written reads back equal after libvirt has made it its own', async () => {
    const machine = await define({ mode })
    const { stdout } = await xen.virsh(['dumpxml', '--inactive', instanceID])
    expect(readDomain(stdout)).toMatchObject({
      reading: { tag: machine.tag },
      virtualisation: 'Xen',
      mode,
      cpus: 2,
      memory: machine.memory,
      disks: [{ ...machine.disks[0], path: `${xen.poolPath}/${machine.disks[0]?.volume}` }],
      seed: { path: `${xen.poolPath}/${machine.seed.volume}` },
      interfaces: machine.interfaces,
      parked: false,
    })
  })
})

test('off, it starts again at once', async () => {
  await define({})
  await session.start(instanceID)
  await session.powerOff(instanceID)
  expect((await observed())?.power).toBe('Stopped')
  // Told to be off, it is: libxl says so before its memory and disks are free, and would refuse this.
  await session.start(instanceID)
  expect((await observed())?.power).toBe('Running')
})

// Not HVM: its firmware reads the disk byte by byte from an emulated controller, which takes tens of minutes here.
describe.each(['PV', 'PVH'] as const)('a guest in mode %s', (mode: BootMode) => {
  test('the reference image boots unchanged, and shuts down when it is asked to', async () => {
    const machine = await define({ mode })
    await session.start(instanceID)
    await address()
    expect(await observed()).toMatchObject({ power: 'Running', cpus: 2, memory: machine.memory })
    await session.shutdown(instanceID)
    await until('it is off', async () => (await observed())?.power === 'Stopped', patience)
    expect(await observed()).toMatchObject({ stopReason: 'Guest', memory: machine.memory })
  })
})

test('without a mode it is HVM', async () => {
  await define({})
  expect((await xen.virsh(['dumpxml', instanceID])).stdout).toContain('>hvm</type>')
})

test('an accelerator of QEMU is refused, naming the field', async () => {
  await define({})
  await expect(session.define(spec({ accelerator: 'KVM' }))).rejects.toMatchObject({
    code: 'InvalidConfiguration',
    message: expect.stringContaining('domainType'),
  })
})

test('Domain-0 is the host, and no machine', async () => {
  await define({})
  expect((await session.list()).map(({ hostName }) => hostName)).toEqual(['xen_web'])
})
