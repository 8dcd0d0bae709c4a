import { createHash, randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, test } from '@jest/globals'
import { type DiskSpec, type ImageContent, type Session, volumeNames } from '../../hypervisor/port.ts'
import { inventory, watchForDoubles } from './index.ts'
import { callTimeout, FakeBench, Outcome, spec } from './testing/bench.ts'

const GiB = 2 ** 30

let bench: FakeBench
let session: Session

beforeEach(async () => {
  bench = new FakeBench()
  session = await bench.connect()
})

const observed = async (id: string) => (await session.observe(id)).machine

async function running(on = session, tag = {}): Promise<string> {
  const id = await bench.machine(on, tag)
  await on.start(id)
  return id
}

function image(length = 1000): ImageContent {
  const content = Buffer.alloc(length, 1)
  return {
    digest: createHash('sha256').update(content).digest('hex'),
    length,
    format: 'raw',
    async *open() {
      yield content
    },
  }
}

describe('what hosts do', () => {
  test('a reboot: machines are off and nobody knows why, transient ones are gone, volumes stay', async () => {
    const [defined, transient] = [await running(), await running()]
    bench.host.makeTransient(transient)
    bench.host.reboot()
    await expect(session.list()).rejects.toMatchObject({ code: 'HypervisorUnreachable' })
    session = await bench.connect()
    expect(await observed(defined)).toMatchObject({ power: 'Stopped', stopReason: 'Unknown' })
    expect(await observed(transient)).toBeUndefined()
    expect((await session.observe(transient)).volumes).toHaveLength(1)
    expect((await session.refresh()).id).toBe(bench.host.id)
  })

  test('a restarted daemon forgets why machines are off', async () => {
    const id = await running()
    bench.host.turnOff(id, 'Guest')
    expect(await observed(id)).toMatchObject({ power: 'Stopped', stopReason: 'Guest' })
    bench.host.restartDaemon()
    session = await bench.connect()
    expect(await observed(id)).toMatchObject({ power: 'Stopped', stopReason: 'Unknown' })
  })

  test('the last run is cleared away late: off already, yet a start is refused as busy', async () => {
    bench.host.machines.releaseDelay = 500
    const id = await running()
    await session.powerOff(id)
    expect(await observed(id)).toMatchObject({ power: 'Stopped', stopReason: 'Outside' })
    await expect(session.start(id)).rejects.toMatchObject({ code: 'HypervisorBusy' })
    await bench.clock.advance(500)
    await session.start(id)
  })

  test('memory is what the machines leave: one too many does not start, and one that stopped makes room', async () => {
    bench = new FakeBench({ memory: 2.5 * GiB })
    session = await bench.connect()
    const [first, second] = [await running(), await running()]
    const third = await bench.machine(session)
    await expect(session.start(third)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    expect(await observed(third)).toMatchObject({ power: 'Stopped', stopReason: 'Failed' })
    await session.powerOff(first)
    await session.start(third)
    const { memory, freeMemory } = await session.refresh()
    expect([memory, freeMemory]).toEqual([2.5 * GiB, (2.5 * GiB * 63) / 64 - 2 * GiB])
    expect(await observed(second)).toMatchObject({ power: 'Running' })
  })

  test('a full pool takes no image, no disk and no seed; room that was given back is free again', async () => {
    bench.host.addPool('tiny', 300 * 1024)
    const placed = image()
    await expect(session.placeImage('tiny', image(400 * 1024), () => undefined)).rejects.toMatchObject({
      code: 'StorageFull',
    })
    await session.placeImage('tiny', placed, () => undefined)
    const disk = (instanceID: string) => ({
      instanceID,
      pool: 'tiny',
      volume: volumeNames.disk(instanceID, 'root'),
      image: placed,
      capacity: GiB,
    })
    const [first, second] = [randomUUID(), randomUUID()]
    await session.createDisk(disk(first))
    await expect(session.createDisk(disk(second))).rejects.toMatchObject({ code: 'StorageFull' })
    const machine = spec({ instanceID: second })
    await expect(session.define({ ...machine, seed: { ...machine.seed, pool: 'tiny' } })).rejects.toMatchObject({
      code: 'StorageFull',
    })
    await session.deleteVolume(first, 'tiny', disk(first).volume)
    await session.createDisk(disk(second))
  })

  test('a start needs its networks and its disks', async () => {
    const id = await bench.machine(session)
    bench.host.networks.clear()
    await expect(session.start(id)).rejects.toMatchObject({ code: 'NetworkNotFound' })
    bench.host.networks.add('default')
    await session.placeImage('default', image(), () => undefined)
    const { digest, format } = image()
    const volume = volumeNames.disk(id, 'root')
    await session.createDisk({ instanceID: id, pool: 'default', volume, image: { digest, format }, capacity: GiB })
    await session.define(spec({ instanceID: id }, { disks: [{ name: 'root', pool: 'default', volume }] }))
    bench.host.storage.active('default').remove(volume)
    await expect(session.start(id)).rejects.toMatchObject({ code: 'HypervisorRefused' })
  })

  test('a saved machine is Suspended, cannot be parked, and starts where it was', async () => {
    const id = await running()
    bench.host.save(id)
    expect(await observed(id)).toMatchObject({ power: 'Suspended', parked: false })
    await expect(session.park(id)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    await session.start(id)
    expect(await observed(id)).toMatchObject({ power: 'Running' })
    await session.park(id)
    bench.host.save(id)
    await expect(session.start(id)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    bench.host.discardSaved(id)
    expect(await observed(id)).toMatchObject({ power: 'Stopped', parked: true })
  })

  test('a paused machine is not off: start leaves it, powerOff ends it', async () => {
    const id = await running()
    bench.host.setPower(id, 'Paused')
    await session.start(id)
    expect(await observed(id)).toMatchObject({ power: 'Paused' })
    await session.powerOff(id)
    expect(await observed(id)).toMatchObject({ power: 'Stopped' })
  })
})

describe('a suspend that takes time', () => {
  const saving = async () => {
    bench.host.machines.saveTime = 60_000
    const id = await running()
    const outcome = new Outcome(session.suspend(id))
    await bench.clock.advance(callTimeout)
    return { id, outcome }
  }

  test('holds the machine for a job that goes on after the deadline of its caller', async () => {
    const { id, outcome } = await saving()
    expect([outcome.state, await observed(id)]).toMatchObject(['CallTimedOut', { power: 'Paused', pauseReason: 'Job' }])
    for (const call of [session.start(id), session.pause(id), session.unpause(id), session.suspend(id)]) {
      await expect(call).rejects.toMatchObject({ code: 'HypervisorBusy' })
    }
    await bench.clock.advance(60_000 - callTimeout)
    expect(await observed(id)).toMatchObject({ power: 'Suspended' })
    await session.suspend(id)
  })

  test('is ended by a power cut, and nothing is saved', async () => {
    const { id } = await saving()
    await session.powerOff(id)
    await bench.clock.advance(60_000)
    expect(await observed(id)).toMatchObject({ power: 'Stopped', stopReason: 'Outside' })
  })

  test('is forgotten with the daemon: the guest goes on, and can be suspended anew', async () => {
    const { id } = await saving()
    bench.host.restartDaemon()
    session = await bench.connect()
    await bench.clock.advance(60_000)
    expect(await observed(id)).toMatchObject({ power: 'Running' })
    bench.host.machines.saveTime = 0
    await session.suspend(id)
    expect(await observed(id)).toMatchObject({ power: 'Suspended' })
  })
})

describe('guests', () => {
  test('hear what they were told while they were held when they go on, from a saved memory too', async () => {
    bench.host.machines.guests = { shutdownTime: 1000 }
    for (const [hold, letGo] of [
      ['pause', 'unpause'],
      ['suspend', 'start'],
    ] as const) {
      const id = await running()
      await session.shutdown(id)
      await session[hold](id)
      await bench.clock.advance(1000)
      expect(await observed(id)).toMatchObject({ power: hold === 'pause' ? 'Paused' : 'Suspended' })
      await session[letGo](id)
      expect(await observed(id)).toMatchObject({ power: 'Stopped', stopReason: 'Guest' })
    }
  })

  test('shut down in their time, as if they had wanted to', async () => {
    bench.host.machines.guests = { shutdownTime: 1000 }
    const id = await running()
    await session.shutdown(id)
    await bench.clock.advance(999)
    expect(await observed(id)).toMatchObject({ power: 'Running' })
    await bench.clock.advance(1)
    expect(await observed(id)).toMatchObject({ power: 'Stopped', stopReason: 'Guest' })
  })

  test('a shutdown that is under way does not end the next run', async () => {
    bench.host.machines.guests = { shutdownTime: 1000 }
    const id = await running()
    await session.shutdown(id)
    await session.powerOff(id)
    await session.start(id)
    await bench.clock.advance(1000)
    expect(await observed(id)).toMatchObject({ power: 'Running' })
  })

  describe('that are asked to let go of a disk', () => {
    const disk = async (id: string): Promise<DiskSpec> => {
      const [pool, volume] = ['default', volumeNames.disk(id, 'data')]
      await session.createDisk({ instanceID: id, pool, volume, capacity: GiB })
      return { name: 'data', pool, volume }
    }
    const asked = async (): Promise<string> => {
      const id = await running()
      await session.attachDisk(id, await disk(id))
      await session.detachDisk(id, 'data')
      return id
    }
    const state = async (id: string) => (await observed(id))?.disks.map(({ attached, defined }) => [attached, defined])

    test('do in their time, and are asked once', async () => {
      bench.host.machines.guests = { detachTime: 1000 }
      const id = await asked()
      await bench.clock.advance(500)
      await session.detachDisk(id, 'data')
      await bench.clock.advance(499)
      expect(await state(id)).toEqual([[true, false]])
      await bench.clock.advance(1)
      expect(await state(id)).toEqual([])
    })

    test('may never do: the next start is without the disk', async () => {
      bench.host.machines.guests = {}
      const id = await asked()
      await bench.clock.advance(1_000_000)
      expect(await state(id)).toEqual([[true, false]])
      bench.host.turnOff(id, 'Guest')
      await session.start(id)
      expect(await state(id)).toEqual([])
    })

    test('do when they go on, where they were held meanwhile, from a saved memory too', async () => {
      bench.host.machines.guests = { detachTime: 1000 }
      for (const [hold, letGo] of [
        ['pause', 'unpause'],
        ['suspend', 'start'],
      ] as const) {
        const id = await asked()
        await session[hold](id)
        await bench.clock.advance(1000)
        expect((await observed(id))?.disks).toHaveLength(hold === 'pause' ? 1 : 0)
        const deletion = session.deleteVolume(id, 'default', volumeNames.disk(id, 'data'))
        await expect(deletion).rejects.toMatchObject({ code: 'InUse' })
        await session[letGo](id)
        expect(await state(id)).toEqual([])
      }
    })

    test('are asked anew in each run', async () => {
      bench.host.machines.guests = { detachTime: 1000 }
      const id = await asked()
      await session.powerOff(id)
      await session.start(id)
      await session.attachDisk(id, { name: 'data', pool: 'default', volume: volumeNames.disk(id, 'data') })
      await bench.clock.advance(1000)
      expect(await state(id)).toEqual([[true, true]])
    })
  })

  test('a host that lacks it changes no disk of a machine that is on', async () => {
    bench = new FakeBench({ capabilities: { features: [] } })
    session = await bench.connect()
    const id = await running()
    const root = { name: 'root', pool: 'default', volume: volumeNames.disk(id, 'root') }
    await session.createDisk({ ...root, instanceID: id, capacity: GiB })
    await expect(session.attachDisk(id, root)).rejects.toMatchObject({ code: 'NotSupported' })
    await session.growDisk(id, root.pool, root.volume, 2 * GiB)
    await session.powerOff(id)
    await session.define(spec({ instanceID: id }, { disks: [root] }))
    await session.start(id)
    await expect(session.growDisk(id, root.pool, root.volume, 3 * GiB)).rejects.toMatchObject({ code: 'NotSupported' })
    await expect(session.detachDisk(id, 'root')).rejects.toMatchObject({ code: 'NotSupported' })
    expect(await session.observe(id)).toMatchObject({ machine: { disks: [{ attached: true, defined: true }] } })
    expect((await session.observe(id)).volumes).toContainEqual(
      expect.objectContaining({ name: root.volume, capacity: 2 * GiB }),
    )
  })

  test('have addresses when they have booted, by their MAC, or those that the test gives', async () => {
    bench.host.machines.guests = { bootTime: 5000 }
    const id = await running()
    const macAddress = '52:54:00:01:02:03'
    expect(await session.interfaces(id)).toEqual([{ macAddress, addresses: [] }])
    await bench.clock.advance(5000)
    expect(await session.interfaces(id)).toEqual([
      { macAddress, addresses: [{ address: '10.1.2.3', prefix: 8, source: 'Lease' }] },
    ])
    bench.host.setAddresses(id, [])
    expect(await session.interfaces(id)).toEqual([])
  })
})

describe('machines of others', () => {
  test('a copy that kept our tag under its own id is not ours', async () => {
    const tag = spec().tag
    const id = bench.host.addForeign('copy', { tag, running: true })
    expect((await session.observe(id)).foreign).toContain(`its tag is of instance '${tag.instanceID}'`)
    await expect(session.powerOff(id)).rejects.toMatchObject({ code: 'ForeignObject' })
    expect(await session.list()).toMatchObject([{ id, power: 'Running' }])
    expect((await session.list())[0]).not.toHaveProperty('tag')
  })

  test('are not used up: their memory is not free', async () => {
    const before = (await session.refresh()).freeMemory
    bench.host.addForeign('theirs', { running: true, memory: 3 * GiB })
    expect((await session.refresh()).freeMemory).toBe(before - 3 * GiB)
  })
})

describe('for oracles', () => {
  test('the inventory has machines, volumes and images, in an order of its own', async () => {
    const id = await running(session, { slot: 'kvm1-a' })
    const foreign = bench.host.addForeign('theirs')
    const { digest, format } = image()
    await session.placeImage('default', image(), () => undefined)
    const volume = volumeNames.disk(id, 'data')
    await session.createDisk({ instanceID: id, pool: 'default', volume, image: { digest, format }, capacity: GiB })
    const { machines, volumes, images } = inventory(bench.host)
    expect([...machines].sort((one) => (one.ours ? -1 : 1))).toEqual([
      { id, hostName: `team_${id}`, ours: true, power: 'Running', parked: false, transient: false, slot: 'kvm1-a' },
      {
        id: foreign,
        hostName: 'theirs',
        ours: false,
        power: 'Stopped',
        parked: false,
        transient: false,
        slot: undefined,
      },
    ])
    expect(volumes).toEqual([
      { pool: 'default', name: volume, image: digest },
      { pool: 'default', name: volumeNames.seed(id), image: undefined },
    ])
    expect(images).toEqual([{ pool: 'default', digest, state: 'Complete' }])
    bench.host.storage.active('default').remove(volumeNames.imageMarker(digest))
    expect(inventory(bench.host).images).toEqual([{ pool: 'default', digest, state: 'Partial' }])
  })

  test('doubles are found when they begin: one instance on two hosts, two machines on one slot', async () => {
    const other = new FakeBench({ hostName: 'other' })
    const there = await other.connect()
    const findings = watchForDoubles([bench.host, other.host])
    const id = await running(session, { slot: 'a' })
    await running(session, { slot: 'b' })
    expect(findings).toEqual([])
    await other.machine(there, { instanceID: id, slot: 'c' })
    await there.start(id)
    await there.powerOff(id)
    expect(findings).toEqual([`${id} runs on fake.example and other`])
    const second = await running(session, { slot: 'a' })
    expect(findings.slice(1)).toEqual([`${second} and ${id} run under the claim of slot c/a`])
  })
})

test('with ten thousand machines, a listing makes nothing anew, and looking at one does not look at the others', async () => {
  const count = 10_000
  bench = new FakeBench({ memory: (count + 1000) * GiB, pools: { default: 1024 * 1024 * GiB } })
  session = await bench.connect()
  let last = ''
  for (let machine = 0; machine < count; machine++) last = await running()
  const [first, second] = [await session.list(), await session.list()]
  expect(first).toHaveLength(count)
  expect(second.every((entry, index) => entry === first[index])).toBe(true)
  await session.powerOff(last)
  const third = await session.list()
  expect(third.filter((entry, index) => entry !== second[index])).toMatchObject([{ id: last, power: 'Stopped' }])
  const { volumes } = bench.host.storage.active('default')
  volumes.values =
    volumes.keys =
    volumes.entries =
    volumes[Symbol.iterator] =
      () => {
        throw new Error('all volumes were looked at')
      }
  expect((await session.observe(last)).volumes).toHaveLength(1)
})
