import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import type { Bench } from './bench.ts'
import { expectRefusal } from './expectations.ts'

/** The fence of the claim protocol: a slot is released only when its machine is gone, or parked and off. */
export function describeParking(bench: Bench): void {
  bench.group('parking', () => {
    bench.test(
      'parked: a start is refused, the tag is kept; define opens it again',
      ['Definitions', 'FencedStart'],
      async () => {
        const spec = bench.spec()
        await bench.withMachine(spec, async (id) => {
          await bench.session.park(id)
          await expectRefusal(bench.session.start(id), 'HypervisorRefused')
          expect(await bench.machine(id)).toMatchObject({
            power: 'Stopped',
            parked: true,
            transient: false,
            tag: spec.tag,
            hostName: spec.hostName,
            cpus: spec.cpus,
            memory: spec.memory,
          })
          await bench.session.define(spec)
          expect((await bench.machine(id)).parked).toBe(false)
          await bench.session.start(id)
          expect(await bench.machine(id)).toMatchObject({ power: 'Running', parked: false, tag: spec.tag })
        })
      },
    )

    bench.test('parked while it runs: it runs on, and once off it stays off', ['FencedStart'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        await bench.session.park(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Running', parked: true, tag: spec.tag })
        await bench.session.powerOff(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Stopped', parked: true, tag: spec.tag })
        await expectRefusal(bench.session.start(id), 'HypervisorRefused')
        expect((await bench.machine(id)).power).toBe('Stopped')
      })
    })

    bench.test('a transient machine that is parked does not vanish when it stops', ['TransientMachines'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        await bench.world.makeTransient(id)
        await bench.session.park(id)
        await bench.session.powerOff(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Stopped', parked: true, tag: spec.tag })
      })
    })

    bench.test('park can be repeated, and changes nothing where there is nothing', [], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.park(id)
        const parked = await bench.world.describeMachine(id)
        await bench.session.park(id)
        expect(await bench.world.describeMachine(id)).toBe(parked)
      })
      const nobody = randomUUID()
      await bench.session.park(nobody)
      expect((await bench.session.observe(nobody)).machine).toBeUndefined()
    })

    bench.test('parking and opening again leaves the definition as it was', ['Definitions'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        const defined = await bench.world.describeMachine(id)
        await bench.session.park(id)
        expect(await bench.world.describeMachine(id)).not.toBe(defined)
        await bench.session.define(spec)
        expect(await bench.world.describeMachine(id)).toBe(defined)
      })
    })

    bench.test('a parked machine can be undefined', [], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.park(id)
        await bench.session.undefine(id)
        expect((await bench.session.observe(id)).machine).toBeUndefined()
      })
    })
  })
}
