import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { type MachineSpec, type ObservedMachine, volumeNames } from '../port.ts'
import type { Bench } from './bench.ts'
import { expectRefusal } from './expectations.ts'

/** What outlives its object: left as it is, and nobody's of ours from then on. */
export function describeReleasing(bench: Bench): void {
  const released = async (id: string): Promise<ObservedMachine> => {
    const { released: machine, machine: own, foreign } = await bench.session.observe(id)
    expect(own).toBeUndefined()
    expect(foreign).toContain('released')
    if (machine === undefined) throw new Error('nothing tells that it was released')
    return machine
  }
  /** Released or not, it is removed afterwards. */
  const withReleased = async (spec: MachineSpec, use: (id: string) => Promise<void>) => {
    const id = spec.tag.instanceID
    try {
      await bench.define(spec)
      await use(id)
    } finally {
      const { released: left } = await bench.session.observe(id)
      if (left) await bench.world.removeForeign(left.id)
      await bench.remove(id)
    }
  }

  bench.group('releasing', () => {
    bench.test('one that runs, runs on; its tag tells whose it was', [], async () => {
      const spec = bench.spec()
      await withReleased(spec, async (id) => {
        await bench.session.start(id)
        const before = await bench.machine(id)
        await bench.session.release(id)
        expect(await released(id)).toEqual({ ...before, tag: { ...spec.tag, released: true } })
        const entry = (await bench.session.list()).find((one) => one.id === before.id)
        expect(entry).toMatchObject({ power: 'Running', tag: { ...spec.tag, released: true } })
      })
    })

    bench.test('one that is off holds no slot by its tag any more', [], async () => {
      const spec = bench.spec()
      await withReleased(spec, async (id) => {
        await bench.session.release(id)
        expect(await released(id)).toMatchObject({
          power: 'Stopped',
          parked: false,
          tag: { ...spec.tag, slot: '', released: true },
        })
      })
    })

    bench.test('one that is parked can be started by hand, and is as it was before', ['FencedStart'], async () => {
      const spec = bench.spec()
      await withReleased(spec, async (id) => {
        const { id: onHost } = await bench.machine(id)
        const before = await bench.world.describeMachine(id)
        await bench.session.park(id)
        await bench.session.release(id)
        expect((await released(id)).parked).toBe(false)
        await bench.world.startByHand(onHost)
        expect((await released(id)).power).toBe('Running')
        // But for the tag: as long as it was before.
        const devices = (description: string) => description.match(/<interface\b/g)?.length
        expect(devices(await bench.world.describeMachine(id))).toBe(devices(before))
      })
    })

    bench.test('parked while it runs: it runs on, and can be started again', ['FencedStart'], async () => {
      await withReleased(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.park(id)
        await bench.session.release(id)
        expect(await released(id)).toMatchObject({ power: 'Running', parked: false })
      })
    })

    bench.test('one that is paused stays so', ['Pausing'], async () => {
      await withReleased(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.pause(id)
        await bench.session.release(id)
        expect(await released(id)).toMatchObject({ power: 'Paused', pauseReason: 'Asked' })
      })
    })

    bench.test('one that is suspended keeps its memory', ['Suspending'], async () => {
      await withReleased(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.suspend(id)
        await bench.session.release(id)
        expect((await released(id)).power).toBe('Suspended')
      })
    })

    bench.test('no other effect touches it, and a second release changes nothing', ['Definitions'], async () => {
      const spec = bench.spec()
      await withReleased(spec, async (id) => {
        await bench.session.start(id)
        await bench.session.release(id)
        const before = await bench.world.describeMachine(id)
        const { volumes } = await bench.session.observe(id)
        for (const effect of [
          () => bench.session.define(spec),
          () => bench.session.start(id),
          () => bench.session.pause(id),
          () => bench.session.unpause(id),
          () => bench.session.suspend(id),
          () => bench.session.discardMemory(id),
          () => bench.session.park(id),
          () => bench.session.shutdown(id),
          () => bench.session.powerOff(id),
          () => bench.session.undefine(id),
          () => bench.session.deleteVolume(id, bench.world.pool, volumeNames.seed(id)),
          () => bench.session.attachDisk(id, { name: 'data', pool: bench.world.pool, volume: volumeNames.seed(id) }),
          () => bench.session.detachDisk(id, 'root'),
          () => bench.session.growDisk(id, bench.world.pool, volumeNames.seed(id), 1),
          ...spec.interfaces.flatMap((one) => [
            () => bench.session.attachInterface(id, one),
            () => bench.session.detachInterface(id, one.macAddress),
          ]),
          ...(bench.has('HotPlugCPU') ? [() => bench.session.resize(id, { cpus: 2 })] : []),
        ]) {
          await expectRefusal(effect(), 'ForeignObject')
        }
        await bench.session.release(id)
        expect(await bench.world.describeMachine(id)).toBe(before)
        expect((await bench.session.observe(id)).volumes).toEqual(volumes)
      })
    })

    bench.test('nothing is there: nothing', [], async () => {
      await bench.session.release(randomUUID())
    })
  })
}
