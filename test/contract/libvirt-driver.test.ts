/** What the libvirt driver promises beyond the contract, on a real daemon with QEMU (TCG). Needs root. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { readDomain } from '../../controller/drivers/libvirt/domain-xml.ts'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { type MachineSpec, type Session, volumeNames } from '../../controller/hypervisor/port.ts'
import { type Hypervisor, startHypervisor } from '../../hack/hypervisor/index.ts'
import { run } from '../../hack/hypervisor/process.ts'

const instanceID = '4d1b2c4e-0000-4000-8000-00000000000a'
const callTimeout = 30_000

let hypervisor: Hypervisor
let session: Session

beforeAll(async () => {
  hypervisor = await startHypervisor({ name: 'libvirt-driver' })
  session = await libvirtDriver.connect({ uri: hypervisor.uri, callTimeout })
}, 60_000)

afterAll(async () => {
  await session?.close()
  await hypervisor?.stop()
}, 60_000)

afterEach(async () => {
  await virsh('managedsave-remove', instanceID).catch(() => undefined)
  await session.powerOff(instanceID)
  await session.undefine(instanceID)
  const { volumes } = await session.observe(instanceID)
  for (const { pool, name } of volumes) await session.deleteVolume(instanceID, pool, name)
})

async function virsh(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await hypervisor.virsh(args)
  if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
  return stdout
}

function spec(changes: Partial<MachineSpec> = {}): MachineSpec {
  return {
    tag: {
      schema: 1,
      cluster: 'c',
      namespace: 'default',
      name: 'web',
      uid: instanceID,
      instanceID,
      owner: 'User:alice',
      slot: 'kvm1-a-1',
    },
    hostName: 'default_web',
    cpus: 3,
    // Not a whole number of MiB.
    memory: 33 * 2 ** 20 + 4096,
    architecture: 'x86_64',
    accelerator: 'QEMU',
    disks: [],
    seed: {
      pool: hypervisor.poolName,
      volume: volumeNames.seed(instanceID),
      files: { 'meta-data': 'instance-id: x\n', 'user-data': '#cloud-config\n', 'network-config': 'version: 2\n' },
    },
    interfaces: [
      { name: 'main', macAddress: '52:54:00:AB:CD:01', attachment: { libvirtNetwork: hypervisor.networkName } },
      { name: 'side', macAddress: '52:54:00:ab:cd:02', attachment: { bridge: 'virbr0' } },
    ],
    ...changes,
  }
}

async function withDisks(names: readonly string[]): Promise<MachineSpec> {
  const disks = names.map((name) => ({
    name,
    pool: hypervisor.poolName,
    volume: volumeNames.disk(instanceID, name),
  }))
  for (const { pool, volume } of disks) await virsh('vol-create-as', pool, volume, '4M', '--format', 'qcow2')
  return spec({ disks })
}

describe('definitions', () => {
  test('what is written reads back equal after libvirt has made it its own, and its schema accepts it', async () => {
    const machine = await withDisks(['root', 'data'])
    await session.define(machine)
    const xml = await virsh('dumpxml', '--inactive', instanceID)
    const path = (volume: string) => join(hypervisor.poolPath, volume)
    const { machineType, paths, ...read } = readDomain(xml)
    expect(read).toEqual({
      id: instanceID,
      name: machine.hostName,
      reading: { tag: machine.tag },
      cpus: machine.cpus,
      memory: machine.memory,
      maxCpus: machine.cpus,
      maxMemory: machine.memory,
      architecture: 'x86_64',
      virtualisation: 'QEMU',
      mode: 'HVM',
      disks: machine.disks.map((disk, index) => ({ ...disk, target: `vd${'ab'[index]}`, path: path(disk.volume) })),
      seed: { pool: machine.seed.pool, volume: machine.seed.volume, path: path(machine.seed.volume) },
      interfaces: machine.interfaces,
      parked: false,
    })
    expect(machineType).toMatch(/^pc-i440fx-/)
    expect(paths).toHaveLength(3)
    const file = join(hypervisor.directory, 'domain.xml')
    writeFileSync(file, xml)
    await virsh('define', '--validate', file)
  })

  test('a running machine has the CPUs and memory that were asked for, and its disks by serial', async () => {
    const machine = await withDisks(['root', 'data'])
    await session.define(machine)
    await session.start(instanceID)
    const { machine: seen } = await session.observe(instanceID)
    // QEMU has whole MiB only: what is defined is kept exactly, what runs is rounded up.
    expect(seen).toMatchObject({ power: 'Running', cpus: machine.cpus, memory: 34 * 2 ** 20 })
    await session.powerOff(instanceID)
    await session.define({ ...machine, memory: 40 * 2 ** 20 })
    await session.start(instanceID)
    expect((await session.observe(instanceID)).machine?.memory).toBe(40 * 2 ** 20)
    const live = await virsh('dumpxml', instanceID)
    expect([...live.matchAll(/<serial>(\w+)<\/serial>/g)].map(([, serial]) => serial)).toEqual(['root', 'data', 'seed'])
  })

  test('the seed has its files under their exact names, for every reader of ISO images', async () => {
    await session.define(spec())
    const path = join(hypervisor.poolPath, volumeNames.seed(instanceID))
    for (const naming of ['-R', '-J']) {
      const { stdout } = await run('isoinfo', [naming, '-f', '-i', path])
      expect(stdout.trim().split('\n').sort()).toEqual(['/meta-data', '/network-config', '/user-data'])
      expect((await run('isoinfo', [naming, '-x', '/network-config', '-i', path])).stdout).toBe('version: 2\n')
    }
    expect((await run('blkid', ['-o', 'value', '-s', 'LABEL', path])).stdout.trim()).toBe('cidata')
  })

  test('a filter that somebody removed is made anew before the start, and a network that cannot be filtered is told', async () => {
    const [main] = spec().interfaces
    if (main === undefined) throw new Error('no interface')
    await session.define(spec({ interfaces: [{ ...main, antiSpoofing: 'MAC' }] }))
    await virsh('nwfilter-undefine', 'berth-own-mac')
    await session.start(instanceID)
    expect(await virsh('nwfilter-binding-list')).toContain('berth-own-mac')

    const file = join(hypervisor.directory, 'macvtap.xml')
    const forward = "<forward mode='bridge'><interface dev='uplink'/></forward>"
    writeFileSync(file, `<network><name>macvtap</name>${forward}</network>`)
    await virsh('net-create', file)
    const direct = { name: 'direct', macAddress: '52:54:00:ab:cd:03', attachment: { libvirtNetwork: 'macvtap' } }
    const refused = session.attachInterface(instanceID, { ...direct, antiSpoofing: 'MAC' })
    await expect(refused).rejects.toMatchObject({
      code: 'NotSupported',
      message: expect.stringContaining('set antiSpoofing of its Network to Disabled'),
    })
    await virsh('net-destroy', 'macvtap')
  })

  test('libvirt itself refuses an interface that is given twice, however late', async () => {
    await session.define(spec())
    await session.start(instanceID)
    const added = {
      name: 'late',
      macAddress: '52:54:00:ab:cd:04',
      attachment: { libvirtNetwork: hypervisor.networkName },
    }
    await session.attachInterface(instanceID, added)
    const device = (await virsh('dumpxml', instanceID)).split(added.macAddress)[1]?.split('</interface>')[0] ?? ''
    const [alias = ''] = /ua-berth-[0-9a-f-]+/.exec(device) ?? []
    const file = join(hypervisor.directory, 'late.xml')
    const source = `<mac address='${added.macAddress}'/><source network='${hypervisor.networkName}'/><model type='virtio'/>`
    writeFileSync(file, `<interface type='network'>${source}<alias name='${alias}'/></interface>`)
    for (const side of ['--live', '--config']) {
      await expect(virsh('attach-device', instanceID, file, side)).rejects.toThrow(/non unique alias/)
    }
  })

  test('a start that someone else set up for the host’s boot is taken back', async () => {
    await session.define(spec())
    await virsh('autostart', instanceID)
    await session.define(spec())
    expect(await virsh('dominfo', instanceID)).toMatch(/Autostart:\s+disable/)
  })

  test('a mode that the host does not have is refused, and nothing is defined', async () => {
    await expect(session.define(spec({ mode: 'PV' }))).rejects.toMatchObject({ code: 'ModeMismatch' })
    expect((await session.observe(instanceID)).machine).toBeUndefined()
  })

  test('a copy-on-write disk names its base and the base’s format', async () => {
    const content = readFileSync('/dev/null')
    const image = {
      digest: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      length: 0,
      format: 'raw' as const,
      async *open() {
        yield content
      },
    }
    const { poolName: pool } = hypervisor
    await session.placeImage(pool, image, () => undefined)
    const volume = volumeNames.disk(instanceID, 'root')
    await session.createDisk({ instanceID, pool, volume, image, capacity: 2 ** 20 })
    const { stdout } = await run('qemu-img', ['info', '--output=json', join(hypervisor.poolPath, volume)])
    expect(JSON.parse(stdout)).toMatchObject({
      format: 'qcow2',
      'virtual-size': 2 ** 20,
      'backing-filename': join(hypervisor.poolPath, volumeNames.image(image.digest)),
      'backing-filename-format': 'raw',
      'format-specific': { data: { compat: '1.1' } },
    })
    await session.deleteVolume(instanceID, pool, volume)
    await session.removeImage(pool, image.digest)
  })
})

describe('saved states', () => {
  test('start past the fence, so a machine with one is never parked, and never started while it should be', async () => {
    await session.define(spec())
    await session.start(instanceID)
    await session.park(instanceID)
    await virsh('managedsave', instanceID)
    expect((await session.observe(instanceID)).machine).toMatchObject({ power: 'Suspended', parked: false })
    expect((await session.list()).find(({ id }) => id === instanceID)).toMatchObject({
      power: 'Suspended',
      parked: false,
    })
    await expect(session.start(instanceID)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    await expect(session.park(instanceID)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    expect((await session.observe(instanceID)).machine?.power).toBe('Suspended')
    await virsh('managedsave-remove', instanceID)
    expect((await session.observe(instanceID)).machine).toMatchObject({ power: 'Stopped', parked: true })
  })

  test('go with the definition', async () => {
    await session.define(spec())
    await session.start(instanceID)
    await virsh('managedsave', instanceID)
    await session.undefine(instanceID)
    await session.define(spec())
    expect((await session.observe(instanceID)).machine?.power).toBe('Stopped')
  })
})

describe('TLS', () => {
  const pem = (path: string) => readFileSync(path, 'utf8')

  test('with a certificate that the daemon knows', async () => {
    const { ca, clientCertificate, clientKey } = hypervisor.pki
    const credentials = {
      certificateAuthority: pem(ca),
      clientCertificate: pem(clientCertificate),
      clientKey: pem(clientKey),
    }
    const remote = await libvirtDriver.connect({ uri: hypervisor.tlsUri, credentials, callTimeout })
    expect(remote.information).toMatchObject({ id: session.information.id })
    await remote.close()
  })

  test('one that it does not know, none, and a server that we do not trust are told apart', async () => {
    const { ca, unlisted, clientCertificate, clientKey } = hypervisor.pki
    const connect = (certificateAuthority: string, certificate: string, key: string) =>
      libvirtDriver.connect({
        uri: hypervisor.tlsUri,
        credentials: { certificateAuthority, clientCertificate: pem(certificate), clientKey: pem(key) },
        callTimeout,
      })
    await expect(connect(pem(ca), unlisted.clientCertificate, unlisted.clientKey)).rejects.toMatchObject({
      code: 'CredentialsInvalid',
    })
    await expect(connect(pem(clientCertificate), clientCertificate, clientKey)).rejects.toMatchObject({
      code: 'CertificateInvalid',
    })
    await expect(libvirtDriver.connect({ uri: hypervisor.tlsUri, callTimeout })).rejects.toMatchObject({
      code: 'CredentialsInvalid',
    })
  })
})

test('a URI that is none is the owner’s to mend', async () => {
  await expect(libvirtDriver.connect({ uri: 'http://x/', callTimeout })).rejects.toMatchObject({
    code: 'InvalidConfiguration',
  })
})
