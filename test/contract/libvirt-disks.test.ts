/** How the libvirt driver keeps the disks of a domain, on a real daemon with QEMU (TCG). Needs root. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { formatDomain } from '../../controller/drivers/libvirt/domain-xml.ts'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { BerthError, isBerthError } from '../../controller/errors/index.ts'
import {
  type CallOptions,
  type DiskSpec,
  type MachineSpec,
  type Session,
  volumeNames,
} from '../../controller/hypervisor/port.ts'
import { type Hypervisor, startHypervisor } from '../../hack/hypervisor/index.ts'
import { run } from '../../hack/hypervisor/process.ts'

const id = '4d1b2c4e-0000-4000-8000-00000000000c'
const size = 4 * 2 ** 20

let hypervisor: Hypervisor
let session: Session

beforeAll(async () => {
  hypervisor = await startHypervisor({ name: 'libvirt-disks' })
  session = await libvirtDriver.connect({ uri: hypervisor.uri, callTimeout: 30_000 })
}, 60_000)

afterAll(async () => {
  await session?.close()
  await hypervisor?.stop()
}, 60_000)

afterEach(async () => {
  await session.powerOff(id)
  await session.undefine(id)
  const { volumes } = await session.observe(id)
  for (const { pool, name } of volumes) await session.deleteVolume(id, pool, name)
})

async function virsh(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await hypervisor.virsh(args)
  if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
  return stdout
}

async function make(name: string): Promise<DiskSpec> {
  const disk = { name, pool: hypervisor.poolName, volume: volumeNames.disk(id, name) }
  await session.createDisk({ instanceID: id, pool: disk.pool, volume: disk.volume, capacity: size })
  return disk
}

const tag = {
  schema: 1,
  cluster: 'c',
  namespace: 'n',
  name: 'm',
  uid: id,
  instanceID: id,
  owner: '\t"é<',
  slot: 's',
} as const

async function defined(...names: readonly string[]): Promise<MachineSpec> {
  const disks: DiskSpec[] = []
  for (const name of names) disks.push(await make(name))
  const { poolName: pool, networkName } = hypervisor
  const spec: MachineSpec = {
    tag,
    hostName: 'disks',
    cpus: 1,
    memory: 32 * 2 ** 20,
    architecture: 'x86_64',
    accelerator: 'QEMU',
    disks,
    seed: { pool, volume: volumeNames.seed(id), files: { 'meta-data': 'x' } },
    interfaces: [{ name: 'a', macAddress: '52:54:00:ab:cd:0c', attachment: { libvirtNetwork: networkName } }],
  }
  await session.define(spec)
  return spec
}

const disks = async () =>
  (await session.observe(id)).machine?.disks.map(({ name, attached, defined: next }) => ({ name, attached, next }))

/** `which`: of the run, or of the next start. */
const metadata = async (which: 'live' | 'config') =>
  [...(await virsh('metadata', id, 'https://berth.dev/libvirt/v1', `--${which}`)).matchAll(/disk name="(\w+)"/g)].map(
    ([, name]) => name,
  )

/** Where devices are plugged in, by the serial number of a disk or the kind of another. */
const addresses = async () => {
  const xml = await virsh('dumpxml', '--inactive', id)
  const devices = [...xml.matchAll(/<(disk|interface) .*?<\/\1>/gs)].map(([text]) => text)
  return new Map(
    devices.map((text) => [
      /<serial>(\w+)/.exec(text)?.[1] ?? /^<(\w+)/.exec(text)?.[1],
      /slot='(\w+)'/.exec(text)?.[1],
    ]),
  )
}

/** Ends the call before each of its requests in turn, as a crash does; `check` sees what each leaves. */
async function interrupted(
  call: (options: CallOptions) => Promise<void>,
  check: (request: number) => Promise<void>,
): Promise<number> {
  for (let limit = 0; ; limit++) {
    let sent = 0
    const beforeSend = () => {
      if (sent++ === limit) throw new BerthError('NotLeader', 'the process was stopped')
    }
    const error = await call({ beforeSend }).catch((reason: unknown) => reason)
    await check(limit)
    if (error === undefined) return limit
    if (!isBerthError(error, 'NotLeader')) throw error
  }
}

describe('volumes', () => {
  test('a blank one is qcow2 of its own, takes no room, and is as large as asked for', async () => {
    const { volume } = await make('data')
    const { stdout } = await run('qemu-img', ['info', '--output=json', join(hypervisor.poolPath, volume)])
    const read = JSON.parse(stdout)
    expect(read).toMatchObject({
      format: 'qcow2',
      'virtual-size': size,
      'format-specific': { data: { compat: '1.1' } },
    })
    expect(read['backing-filename']).toBeUndefined()
    expect(read['actual-size']).toBeLessThan(size / 4)
  })

  test('none is made in a pool whose volumes are no files', async () => {
    const path = join(hypervisor.directory, 'pool.xml')
    // The one kind without files that needs nothing of the host; it is not started.
    writeFileSync(path, "<pool type='mpath'><name>multipath</name><target><path>/dev/mapper</path></target></pool>")
    await virsh('pool-create', path)
    const disk = { instanceID: id, pool: 'multipath', volume: volumeNames.disk(id, 'data'), capacity: size }
    await expect(session.createDisk(disk)).rejects.toMatchObject({ code: 'NotSupported' })
    await virsh('pool-destroy', 'multipath')
  })

  test('one that grows does so in its file, off and running', async () => {
    const {
      disks: [root],
    } = await defined('root')
    if (root === undefined) throw new Error('no disk')
    const virtualSize = async () => {
      const path = join(hypervisor.poolPath, root.volume)
      return JSON.parse((await run('qemu-img', ['info', '-U', '--output=json', path])).stdout)['virtual-size']
    }
    await session.growDisk(id, root.pool, root.volume, 2 * size)
    expect(await virtualSize()).toBe(2 * size)
    await session.start(id)
    await session.growDisk(id, root.pool, root.volume, 3 * size)
    expect(await virtualSize()).toBe(3 * size)
    await session.growDisk(id, root.pool, root.volume, size)
    expect(await virtualSize()).toBe(3 * size)
  })
})

describe('a crash between any two requests', () => {
  test('of attachDisk leaves what the same call again ends', async () => {
    await defined('root')
    await session.start(id)
    const data = await make('data')
    const requests = await interrupted(
      (options) => session.attachDisk(id, data, options),
      async () => {
        const [root, more, ...rest] = (await disks()) ?? []
        expect([root, rest]).toEqual([{ name: 'root', attached: true, next: true }, []])
        // Ours from its first moment on.
        if (more !== undefined) expect(more.name).toBe('data')
      },
    )
    expect(requests).toBeGreaterThan(5)
    expect((await disks())?.at(-1)).toEqual({ name: 'data', attached: true, next: true })
    expect([await metadata('live'), await metadata('config')]).toEqual([
      ['root', 'data'],
      ['root', 'data'],
    ])
    expect((await session.observe(id)).machine?.tag).toEqual(tag)
  })

  test('of detachDisk leaves what the same call again ends, and never a disk that is nobody’s', async () => {
    await defined('root', 'data')
    await session.start(id)
    let wasNext = true
    await interrupted(
      (options) => session.detachDisk(id, 'data', options),
      async () => {
        const data = (await disks())?.at(-1)
        expect(data).toMatchObject({ name: 'data', attached: true })
        expect(wasNext || data?.next === false).toBe(true)
        wasNext = data?.next === true
      },
    )
    expect(await disks()).toEqual([
      { name: 'root', attached: true, next: true },
      { name: 'data', attached: true, next: false },
    ])
    expect([await metadata('live'), await metadata('config')]).toEqual([['root', 'data'], ['root']])
    await session.powerOff(id)
    expect(await disks()).toEqual([{ name: 'root', attached: false, next: true }])
  }, 60_000)
})

describe('places', () => {
  test('what the guest sees stays where it was, whatever is added, removed and defined anew', async () => {
    const spec = await defined('root', 'data')
    const before = await addresses()
    expect(before.get('root')).toMatch(/^0x/)
    await session.start(id)
    const logs = await make('logs')
    await session.attachDisk(id, logs)
    await session.detachDisk(id, 'data')
    await session.powerOff(id)
    const [root] = spec.disks as [DiskSpec]
    await session.define({ ...spec, disks: [root, logs] })
    const after = await addresses()
    for (const device of ['root', 'seed', 'interface'])
      expect([device, after.get(device)]).toEqual([device, before.get(device)])
    expect(after.has('data')).toBe(false)
    await session.start(id)
    expect(await disks()).toEqual(['root', 'logs'].map((name) => ({ name, attached: true, next: true })))
  })

  test('q35 has ports to spare for disks that are plugged in while it runs', async () => {
    const spec = await defined('root')
    const { poolPath } = hypervisor
    const path = (volume: string) => join(poolPath, volume)
    const xml = formatDomain({
      ...spec,
      id,
      name: 'disks',
      machineType: 'q35',
      virtualisation: 'QEMU',
      mode: 'HVM',
      disks: spec.disks.map((disk) => ({ ...disk, path: path(disk.volume) })),
      seed: { ...spec.seed, path: path(spec.seed.volume) },
    })
    const file = join(hypervisor.directory, 'q35.xml')
    writeFileSync(file, xml)
    await virsh('define', '--validate', file)
    await session.start(id)
    const names = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
    for (const name of names) await session.attachDisk(id, await make(name))
    expect((await disks())?.map(({ name, attached }) => attached && name)).toEqual(['root', ...names])
    // One too many is refused, and nothing is half done.
    await session.attachDisk(id, await make('j')).catch((error: unknown) => {
      expect(isBerthError(error, 'HypervisorRefused')).toBe(true)
    })
    expect((await disks())?.every(({ attached, next }) => attached === next)).toBe(true)
  }, 60_000)
})

describe('disks of others', () => {
  test('one under the serial number of a disk of ours is never taken for it', async () => {
    await defined('root')
    await session.start(id)
    await virsh('vol-create-as', hypervisor.poolName, 'foreign', '1M', '--format', 'qcow2')
    const path = join(hypervisor.poolPath, 'foreign')
    const format = ['--driver', 'qemu', '--subdriver', 'qcow2', '--serial', 'data']
    await virsh('attach-disk', id, path, 'vdx', ...format, '--live', '--config')
    const data = await make('data')
    await expect(session.attachDisk(id, data)).rejects.toMatchObject({ code: 'Drifted' })
    await session.detachDisk(id, 'data')
    expect(await disks()).toEqual([
      { name: 'root', attached: true, next: true },
      { name: undefined, attached: true, next: true },
    ])
    expect(await virsh('domblklist', id, '--inactive')).toContain(path)
    await session.powerOff(id)
    await virsh('vol-delete', '--pool', hypervisor.poolName, 'foreign')
  })

  test('a disk that somebody moved in the definition alone is not plugged in from its past', async () => {
    const spec = await defined('root')
    await session.start(id)
    const data = await make('data')
    await session.define({ ...spec, disks: [...spec.disks, data] })
    const file = join(hypervisor.directory, 'moved.xml')
    const path = join(hypervisor.poolPath, data.volume)
    writeFileSync(file, (await virsh('dumpxml', '--inactive', id)).replace(`'${path}'`, `'${path}.copy'`))
    await virsh('define', file)
    await expect(session.attachDisk(id, data)).rejects.toMatchObject({ code: 'Drifted' })
    expect(await virsh('domblklist', id)).not.toContain(path)
  })

  test('a volume of ours that is below somebody’s snapshot is kept while the machine runs', async () => {
    const {
      disks: [, data],
    } = await defined('root', 'data')
    if (data === undefined) throw new Error('no disk')
    await session.start(id)
    await virsh('snapshot-create-as', id, 'backup', '--disk-only', '--no-metadata')
    await expect(session.deleteVolume(id, data.pool, data.volume)).rejects.toMatchObject({ code: 'InUse' })
    await session.powerOff(id)
    await virsh('pool-refresh', hypervisor.poolName)
  })

  test('a disk whose volume somebody has deleted can still be detached', async () => {
    const {
      disks: [, data],
    } = await defined('root', 'data')
    if (data === undefined) throw new Error('no disk')
    await virsh('vol-delete', '--pool', data.pool, data.volume)
    await session.detachDisk(id, 'data')
    expect(await disks()).toEqual([{ name: 'root', attached: false, next: true }])
    await session.start(id)
  })
})
