import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { type DiskSpec, type MachineSpec, type ObservedDisk, volumeNames } from '../port.ts'
import type { Bench } from './bench.ts'
import { MiB } from './content.ts'
import { eventually, expectRefusal } from './expectations.ts'

const size = 8 * MiB

/** The disks of a machine come and go, and grow. */
export function describeDiskChanges(bench: Bench): void {
  const diskOf = (instanceID: string, name: string): DiskSpec => ({
    name,
    pool: bench.world.pool,
    volume: volumeNames.disk(instanceID, name),
  })
  const make = async (instanceID: string, name: string, capacity = size): Promise<DiskSpec> => {
    const disk = diskOf(instanceID, name)
    await bench.session.createDisk({ instanceID, pool: disk.pool, volume: disk.volume, capacity })
    return disk
  }
  /** A machine with blank disks, off. */
  const withDisks = async (names: readonly string[], use: (id: string, spec: MachineSpec) => Promise<void>) => {
    const instanceID = randomUUID()
    const disks: DiskSpec[] = []
    for (const name of names) disks.push(await make(instanceID, name))
    const spec = bench.spec({ tag: { instanceID }, disks })
    await bench.withMachine(spec, (id) => use(id, spec))
  }
  const started = (names: readonly string[], use: (id: string, spec: MachineSpec) => Promise<void>) =>
    withDisks(names, async (id, spec) => {
      await bench.session.start(id)
      await use(id, spec)
    })
  const disks = async (id: string) => (await bench.machine(id)).disks
  const told = (disk: DiskSpec, attached: boolean, defined: boolean): ObservedDisk => ({
    ...disk,
    target: expect.any(String) as unknown as string,
    attached,
    defined,
  })
  const targets = async (id: string) => new Map((await disks(id)).map(({ name, target }) => [name, target]))
  const capacityOf = async (id: string, { volume }: DiskSpec) =>
    (await bench.session.observe(id)).volumes.find(({ name }) => name === volume)?.capacity
  const unchanged = async (id: string, ...calls: readonly (() => Promise<void>)[]) => {
    const before = [await bench.world.describeMachine(id), await disks(id)]
    for (const call of calls) await call()
    expect([await bench.world.describeMachine(id), await disks(id)]).toEqual(before)
  }

  bench.group('disks that come, go and grow', () => {
    bench.test('a blank disk has the size asked for; one that is there is left as it is', [], async () => {
      const instanceID = randomUUID()
      const { pool, volume } = await make(instanceID, 'data')
      await make(instanceID, 'data', 2 * size)
      const { volumes } = await bench.session.observe(instanceID)
      expect(volumes).toMatchObject([{ pool, name: volume, capacity: size }])
      const other = { instanceID: randomUUID(), pool, volume, capacity: size }
      await expectRefusal(bench.session.createDisk(other), 'ForeignObject')
      await bench.session.deleteVolume(instanceID, pool, volume)
    })

    bench.test('a machine has the disks of its spec, and each is told; the seed is none', ['Definitions'], async () => {
      await withDisks(['root', 'data', 'logs'], async (id, spec) => {
        const all = (attached: boolean) => spec.disks.map((disk) => told(disk, attached, true))
        expect(await disks(id)).toEqual(all(false))
        await bench.session.park(id)
        expect(await disks(id)).toEqual(all(false))
        await bench.session.define(spec)
        await bench.session.start(id)
        expect(await disks(id)).toEqual(all(true))
        const attached = await bench.world.attachedVolumes(id)
        expect(attached).toEqual(expect.arrayContaining(spec.disks.map(({ volume }) => volume)))
        await bench.session.powerOff(id)
        expect(await disks(id)).toEqual(all(false))
      })
    })

    bench.test('a disk keeps what the guest sees it as while others come and go', ['Definitions'], async () => {
      await withDisks(['root', 'a', 'b'], async (id, spec) => {
        const before = await targets(id)
        expect(new Set(before.values()).size).toBe(3)
        const [root, , b] = spec.disks as [DiskSpec, DiskSpec, DiskSpec]
        await bench.session.define({ ...spec, disks: [root, b] })
        expect(await disks(id)).toEqual([told(root, false, true), told(b, false, true)])
        expect((await targets(id)).get('b')).toBe(before.get('b'))
        const c = await make(id, 'c')
        await bench.session.define({ ...spec, disks: [root, c, b] })
        const after = await targets(id)
        expect([after.get('root'), after.get('b')]).toEqual([before.get('root'), before.get('b')])
        expect(new Set(after.values()).size).toBe(3)
        await bench.session.define({ ...spec, disks: [root, c, b] })
        expect(await targets(id)).toEqual(after)
      })
    })

    bench.test('define takes a disk from the next start, not from what runs', ['Definitions'], async () => {
      await started(['root', 'data'], async (id, spec) => {
        const [root, data] = spec.disks as [DiskSpec, DiskSpec]
        await bench.session.define({ ...spec, disks: [root] })
        expect(await disks(id)).toEqual([told(root, true, true), told(data, true, false)])
        await expectRefusal(bench.session.deleteVolume(id, data.pool, data.volume), 'InUse')
        await bench.session.powerOff(id)
        await bench.session.define({ ...spec, disks: [root] })
        expect(await disks(id)).toEqual([told(root, false, true)])
        await bench.session.deleteVolume(id, data.pool, data.volume)
        await bench.session.start(id)
        expect(await disks(id)).toEqual([told(root, true, true)])
      })
    })

    bench.test(
      'attachDisk gives a running machine a disk, which it keeps; twice is once',
      ['Definitions', 'HotPlugDisk'],
      async () => {
        await started(['root'], async (id, spec) => {
          const before = await targets(id)
          const data = await make(id, 'data')
          await bench.session.attachDisk(id, data)
          const [root] = spec.disks as [DiskSpec]
          expect(await disks(id)).toEqual([told(root, true, true), told(data, true, true)])
          expect(await bench.world.attachedVolumes(id)).toContain(data.volume)
          expect((await bench.machine(id)).tag).toEqual(spec.tag)
          const after = await targets(id)
          expect(after.get('root')).toBe(before.get('root'))
          await unchanged(id, () => bench.session.attachDisk(id, data))
          // The same by the spec, as whoever plans it does next.
          await bench.session.define({ ...spec, disks: [root, data] })
          expect(await targets(id)).toEqual(after)
          await bench.session.powerOff(id)
          expect(await disks(id)).toEqual([told(root, false, true), told(data, false, true)])
          await bench.session.start(id)
          expect(await disks(id)).toEqual([told(root, true, true), told(data, true, true)])
          expect(await targets(id)).toEqual(after)
        })
      },
    )

    bench.test(
      'attachDisk gives a running machine what its definition alone has',
      ['Definitions', 'HotPlugDisk'],
      async () => {
        await started(['root'], async (id, spec) => {
          const data = await make(id, 'data')
          await bench.session.define({ ...spec, disks: [...spec.disks, data] })
          expect((await disks(id)).at(-1)).toEqual(told(data, expect.any(Boolean) as unknown as boolean, true))
          await bench.session.attachDisk(id, data)
          expect((await disks(id)).at(-1)).toEqual(told(data, true, true))
        })
      },
    )

    bench.test('attachDisk takes many, and a parked machine stays parked', ['Definitions', 'HotPlugDisk'], async () => {
      await started(['root'], async (id) => {
        await bench.session.park(id)
        const names = ['b', 'c', 'd', 'e', 'f']
        for (const name of names) await bench.session.attachDisk(id, await make(id, name))
        const seen = await bench.machine(id)
        expect(seen).toMatchObject({ parked: bench.has('FencedStart') || expect.any(Boolean), power: 'Running' })
        expect(seen.disks.map(({ name, attached }) => attached && name)).toEqual(['root', ...names])
        expect(new Set(seen.disks.map(({ target }) => target)).size).toBe(6)
      })
    })

    bench.test(
      'attachDisk is refused where the machine is off or absent, or the volume is not there or another',
      ['Definitions', 'HotPlugDisk'],
      async () => {
        await withDisks(['root'], async (id) => {
          const data = await make(id, 'data')
          await unchanged(id, () => expectRefusal(bench.session.attachDisk(id, data), 'HypervisorRefused'))
          const nobody = randomUUID()
          await expectRefusal(bench.session.attachDisk(nobody, { ...data, name: 'x' }), 'HypervisorRefused')
          await bench.session.start(id)
          await unchanged(
            id,
            () => expectRefusal(bench.session.attachDisk(id, diskOf(id, 'missing')), 'DiskMissing'),
            () => expectRefusal(bench.session.attachDisk(id, { ...data, name: 'root' }), 'HypervisorRefused'),
            () => expectRefusal(bench.session.attachDisk(id, { ...data, pool: 'contract-no-such' }), 'PoolNotFound'),
          )
        })
      },
    )

    bench.test(
      'detachDisk: the guest lets go, the volume stays, and can be deleted then',
      ['Definitions', 'HotPlugDisk', 'LettingGo'],
      async () => {
        await started(['root', 'data', 'logs'], async (id, spec) => {
          await bench.world.holdOnToDisks(false)
          const [root, data, logs] = spec.disks as [DiskSpec, DiskSpec, DiskSpec]
          const before = await targets(id)
          const gone = [told(root, true, true), told(logs, true, true)]
          await expectRefusal(bench.session.deleteVolume(id, data.pool, data.volume), 'InUse')
          await bench.session.detachDisk(id, 'data')
          await eventually(async () => (await disks(id)).length === 2)
          expect(await disks(id)).toEqual(gone)
          expect(await bench.world.attachedVolumes(id)).not.toContain(data.volume)
          expect(await capacityOf(id, data)).toBe(size)
          await unchanged(id, () => bench.session.detachDisk(id, 'data'))
          await bench.session.deleteVolume(id, data.pool, data.volume)
          expect(await capacityOf(id, data)).toBeUndefined()
          await bench.session.powerOff(id)
          await bench.session.start(id)
          expect(await disks(id)).toEqual(gone)
          expect((await targets(id)).get('logs')).toBe(before.get('logs'))
        })
      },
    )

    bench.test(
      'a disk that went can come back, with what is on it',
      ['Definitions', 'HotPlugDisk', 'LettingGo'],
      async () => {
        await started(['root', 'data'], async (id, spec) => {
          await bench.world.holdOnToDisks(false)
          const [, data] = spec.disks as [DiskSpec, DiskSpec]
          await bench.session.detachDisk(id, 'data')
          await eventually(async () => (await disks(id)).length === 1)
          await bench.session.attachDisk(id, data)
          expect((await disks(id)).at(-1)).toEqual(told(data, true, true))
        })
      },
    )

    bench.test(
      'detachDisk: a guest that holds on keeps the disk, and its volume, until it is off',
      ['Definitions', 'HotPlugDisk', 'HoldingOn'],
      async () => {
        await started(['root', 'data'], async (id, spec) => {
          const [root, data] = spec.disks as [DiskSpec, DiskSpec]
          await bench.world.holdOnToDisks(true)
          for (let time = 0; time < 2; time++) {
            await bench.session.detachDisk(id, 'data')
            expect(await disks(id)).toEqual([told(root, true, true), told(data, true, false)])
            await expectRefusal(bench.session.deleteVolume(id, data.pool, data.volume), 'InUse')
          }
          await bench.session.define({ ...spec, disks: [root] })
          await bench.session.powerOff(id)
          // As whoever starts it does before.
          await bench.session.define({ ...spec, disks: [root] })
          expect(await disks(id)).toEqual([told(root, false, true)])
          await bench.session.deleteVolume(id, data.pool, data.volume)
          await bench.session.start(id)
          expect(await disks(id)).toEqual([told(root, true, true)])
        })
      },
    )

    bench.test(
      'attachDisk takes back a detachDisk that the guest has not heard',
      ['Definitions', 'HotPlugDisk', 'HoldingOn'],
      async () => {
        await started(['root', 'data'], async (id, spec) => {
          const [, data] = spec.disks as [DiskSpec, DiskSpec]
          await bench.world.holdOnToDisks(true)
          const before = await targets(id)
          await bench.session.detachDisk(id, 'data')
          await bench.session.attachDisk(id, data)
          expect((await disks(id)).at(-1)).toEqual(told(data, true, true))
          await bench.session.powerOff(id)
          await bench.session.start(id)
          expect((await disks(id)).at(-1)).toEqual(told(data, true, true))
          expect(await targets(id)).toEqual(before)
        })
      },
    )

    bench.test(
      'detachDisk of a machine that is off takes the disk out of its definition',
      ['Definitions'],
      async () => {
        await withDisks(['root', 'data'], async (id, spec) => {
          const [root, data] = spec.disks as [DiskSpec, DiskSpec]
          await bench.session.detachDisk(id, 'data')
          expect(await disks(id)).toEqual([told(root, false, true)])
          expect(await capacityOf(id, data)).toBe(size)
          await unchanged(id, () => bench.session.detachDisk(id, 'data'))
          await bench.session.detachDisk(randomUUID(), 'data')
        })
      },
    )

    bench.test(
      'the seed, what somebody else attached, and what is not there are never detached',
      ['Definitions', 'HotPlugDisk'],
      async () => {
        await started(['root'], async (id) => {
          await bench.world.holdOnToDisks(false)
          await bench.world.attachForeignDisk(id)
          const seen = await disks(id)
          const foreign = seen.find(({ name }) => name === undefined)
          expect(seen).toHaveLength(2)
          expect(foreign).toMatchObject({ attached: true, defined: true })
          const names = ['seed', 'data', '', foreign?.target ?? '', volumeNames.disk(id, 'root')]
          await unchanged(id, ...names.map((name) => () => bench.session.detachDisk(id, name)))
          // What others attached is in the way of none of ours.
          const data = await make(id, 'data')
          await bench.session.attachDisk(id, data)
          expect((await disks(id)).find(({ name }) => name === undefined)).toEqual(foreign)
          expect((await disks(id)).find(({ name }) => name === 'data')).toEqual(told(data, true, true))
        })
      },
    )

    bench.test(
      'growDisk makes a disk larger while the machine is off, and never smaller',
      ['Definitions'],
      async () => {
        await withDisks(['root'], async (id, spec) => {
          const [root] = spec.disks as [DiskSpec]
          const grow = (capacity: number) => bench.session.growDisk(id, root.pool, root.volume, capacity)
          await grow(2 * size)
          expect(await capacityOf(id, root)).toBe(2 * size)
          await grow(2 * size)
          await grow(size)
          await grow(1)
          expect(await capacityOf(id, root)).toBe(2 * size)
          await bench.session.start(id)
          expect((await bench.machine(id)).power).toBe('Running')
          await grow(size)
          expect(await capacityOf(id, root)).toBe(2 * size)
        })
      },
    )

    bench.test('growDisk tells the guest of a running machine', ['Definitions', 'GrowDisk'], async () => {
      await started(['root', 'data'], async (id, spec) => {
        const [root, data] = spec.disks as [DiskSpec, DiskSpec]
        for (let time = 0; time < 2; time++) {
          await bench.session.growDisk(id, data.pool, data.volume, 3 * size)
          await bench.session.growDisk(id, data.pool, data.volume, size)
          expect(await capacityOf(id, data)).toBe(3 * size)
        }
        const seen = await targets(id)
        expect(await bench.world.guestDiskSize(id, seen.get('data') ?? '')).toBe(3 * size)
        expect(await bench.world.guestDiskSize(id, seen.get('root') ?? '')).toBe(size)
        expect(await capacityOf(id, root)).toBe(size)
        expect(await disks(id)).toEqual([told(root, true, true), told(data, true, true)])
      })
    })

    bench.test('growDisk takes only what is named after the instance, and is there', ['Definitions'], async () => {
      await withDisks(['root'], async (id, spec) => {
        const other = randomUUID()
        const data = await make(other, 'data')
        for (const volume of [data.volume, `berth-${id}-`, `berth-${id}-/x`, '']) {
          await expectRefusal(bench.session.growDisk(id, data.pool, volume, 2 * size), 'ForeignObject')
        }
        expect(await capacityOf(other, data)).toBe(size)
        const missing = diskOf(id, 'missing')
        await expectRefusal(bench.session.growDisk(id, missing.pool, missing.volume, 2 * size), 'DiskMissing')
        // One that no machine has.
        await bench.session.growDisk(other, data.pool, data.volume, 2 * size)
        expect(await capacityOf(other, data)).toBe(2 * size)
        await bench.session.deleteVolume(other, data.pool, data.volume)
        expect((await bench.session.observe(id)).volumes.map(({ name }) => name)).toEqual(
          expect.arrayContaining(spec.disks.map(({ volume }) => volume)),
        )
      })
    })

    bench.test(
      'the disks that a saved memory knows are neither detached, nor grown, nor deleted',
      ['Definitions', 'Suspending'],
      async () => {
        await started(['root', 'data'], async (id, spec) => {
          const [, data] = spec.disks as [DiskSpec, DiskSpec]
          await bench.session.suspend(id)
          await unchanged(
            id,
            () => expectRefusal(bench.session.detachDisk(id, 'data'), 'HypervisorRefused'),
            () => expectRefusal(bench.session.growDisk(id, data.pool, data.volume, 2 * size), 'HypervisorRefused'),
            () => expectRefusal(bench.session.deleteVolume(id, data.pool, data.volume), 'InUse'),
          )
          expect(await capacityOf(id, data)).toBe(size)
          await bench.session.start(id)
          expect(await disks(id)).toEqual(spec.disks.map((disk) => told(disk, true, true)))
        })
      },
    )

    bench.test(
      'a disk that a snapshot moved to another file is neither detached nor grown',
      ['Definitions', 'ExternalSnapshots'],
      async () => {
        await started(['root', 'data'], async (id, spec) => {
          const [, data] = spec.disks as [DiskSpec, DiskSpec]
          await bench.world.snapshotDisks(id)
          await unchanged(
            id,
            () => expectRefusal(bench.session.detachDisk(id, 'data'), 'Drifted'),
            () => expectRefusal(bench.session.growDisk(id, data.pool, data.volume, 2 * size), 'Drifted'),
          )
          expect(await capacityOf(id, data)).toBe(size)
          expect((await disks(id)).map(({ name }) => name)).toEqual(['root', 'data'])
        })
      },
    )
  })
}
