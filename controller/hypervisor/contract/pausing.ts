import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import type { Bench } from './bench.ts'
import { expectRefusal } from './expectations.ts'

/** A machine whose processors are held. */
export function describePausing(bench: Bench): void {
  bench.group('pausing', () => {
    bench.test('pause holds a running machine, unpause lets it go on; each twice is once', ['Pausing'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        for (let time = 0; time < 2; time++) {
          await bench.session.pause(id)
          expect(await bench.machine(id)).toMatchObject({ power: 'Paused', pauseReason: 'Asked', tag: spec.tag })
        }
        expect((await bench.session.list()).find(({ tag }) => tag?.instanceID === id)?.power).toBe('Paused')
        for (let time = 0; time < 2; time++) {
          await bench.session.unpause(id)
          expect(await bench.machine(id)).toMatchObject({ power: 'Running', tag: spec.tag })
        }
        expect((await bench.machine(id)).pauseReason).toBeUndefined()
      })
    })

    bench.test('what is off or absent is neither paused nor let go on', ['Pausing'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        for (const instanceID of [id, randomUUID()]) {
          await expectRefusal(bench.session.pause(instanceID), 'HypervisorRefused')
          await expectRefusal(bench.session.unpause(instanceID), 'HypervisorRefused')
        }
        expect((await bench.machine(id)).power).toBe('Stopped')
      })
    })

    bench.test(
      'started paused, it is held until it is let go on, whoever starts it again',
      ['PausedStarts'],
      async () => {
        await bench.withMachine(bench.spec(), async (id) => {
          await bench.session.start(id, { paused: true })
          expect(await bench.machine(id)).toMatchObject({ power: 'Paused', pauseReason: 'Asked' })
          await bench.session.start(id)
          expect((await bench.machine(id)).power).toBe('Paused')
          await bench.session.unpause(id)
          await bench.session.start(id, { paused: true })
          expect((await bench.machine(id)).power).toBe('Running')
        })
      },
    )

    bench.test('a paused guest hears no request to shut down; its power can be cut', ['Pausing'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.pause(id)
        await bench.session.shutdown(id)
        expect((await bench.machine(id)).power).toBe('Paused')
        await expectRefusal(bench.session.undefine(id), 'HypervisorRefused')
        await bench.session.powerOff(id)
        expect((await bench.machine(id)).power).toBe('Stopped')
        await bench.session.start(id)
        expect((await bench.machine(id)).power).toBe('Running')
      })
    })

    bench.test('parked or defined anew while it is paused, it stays paused', ['Pausing', 'Definitions'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        await bench.session.pause(id)
        await bench.session.park(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Paused', parked: true, tag: spec.tag })
        await bench.session.define(spec)
        expect(await bench.machine(id)).toMatchObject({ power: 'Paused', parked: false, tag: spec.tag })
      })
    })
  })
}
