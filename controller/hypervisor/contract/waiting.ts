import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { BerthError, isBerthError } from '../../errors/index.ts'
import type { Session } from '../port.ts'
import type { Bench } from './bench.ts'
import { eventually, expectRefusal } from './expectations.ts'

/** Short, as a host that hangs is waited for so long; the calls of these tests need much less. */
const callTimeout = 2_000

/** A call that nobody waits for any more has an unknown effect: it is observed, never taken for undone. */
export function describeWaiting(bench: Bench): void {
  const errorOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    )

  bench.group('calls without an answer', () => {
    bench.test('a call whose signal is aborted already, or to which the caller objects, is not sent', [], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        const signal = AbortSignal.abort()
        for (const call of [bench.session.start(id, { signal }), bench.session.observe(id, { signal })]) {
          const error = await errorOf(call)
          expect(isBerthError(error) && error.class).toBe('Transient')
        }
        const { session } = bench
        const beforeSend = () => {
          throw new BerthError('NotLeader', 'deposed')
        }
        for (const call of [
          session.start(id, { beforeSend }),
          session.park(id, { beforeSend }),
          session.undefine(id, { beforeSend }),
        ]) {
          expect(isBerthError(await errorOf(call), 'NotLeader')).toBe(true)
        }
        expect((await bench.machine(id)).parked).toBe(false)
        expect((await bench.machine(id)).power).toBe('Stopped')
      })
    })

    bench.test(
      'a call whose wait is ended is Ambiguous, or was done; what is seen then is what stays',
      [],
      async () => {
        await bench.withMachine(bench.spec(), async (id) => {
          const controller = new AbortController()
          const call = errorOf(bench.session.start(id, { signal: controller.signal }))
          controller.abort()
          const error = await call
          // Not sent at all is the other way in which nothing was lost.
          if (error !== undefined) {
            expect(isBerthError(error) && ['Ambiguous', 'Transient'].includes(error.class)).toBe(true)
          }
          await eventually(async () => {
            await bench.session.start(id)
            return (await bench.machine(id)).power === 'Running'
          })
        })
      },
    )

    bench.test(
      'a host that hangs: reads end as Unreachable, mutations as Ambiguous; other hosts’ calls go on',
      ['Freezing'],
      async () => {
        const spec = bench.spec()
        await bench.withMachine(spec, async (id) => {
          const session = await bench.world.driver.connect({ ...bench.world.target, callTimeout })
          // What is opened when it is first needed is there before the host hangs.
          await session.powerOff(id)
          const thaw = await bench.world.freeze()
          try {
            const read = errorOf(session.observe(id))
            const mutation = errorOf(session.start(id))
            await expectRefusal(Promise.reject(await read), 'HypervisorUnreachable')
            await expectRefusal(Promise.reject(await mutation), 'CallTimedOut', 'ConnectionLost')
            await expectRefusal(
              bench.world.driver.connect({ ...bench.world.target, callTimeout }),
              'HypervisorUnreachable',
            )
          } finally {
            await thaw()
            await session.close()
          }
          // Done or not, it comes to the same state by what is done again.
          await eventually(async () => {
            await reconnected(bench, (fresh) => fresh.start(id))
            return true
          })
          expect((await bench.machine(id)).power).toBe('Running')
        })
      },
    )

    bench.test('every mutation that is repeated changes nothing the second time', ['Definitions'], async () => {
      const spec = bench.spec()
      const nobody = randomUUID()
      await bench.withMachine(spec, async (id) => {
        const twice = async (effect: () => Promise<void>) => {
          await effect()
          const once = await bench.world.describeMachine(id)
          await effect()
          expect(await bench.world.describeMachine(id)).toBe(once)
        }
        await twice(() => bench.session.define(spec))
        await twice(() => bench.session.park(id))
        await twice(() => bench.session.define(spec))
        await twice(() => bench.session.start(id))
        await twice(() => bench.session.park(id))
        await twice(() => bench.session.powerOff(id))
        for (const effect of [
          () => bench.session.undefine(id),
          () => bench.session.deleteVolume(id, spec.seed.pool, spec.seed.volume),
          () => bench.session.undefine(nobody),
          () => bench.session.deleteVolume(nobody, spec.seed.pool, spec.seed.volume.replace(id, nobody)),
        ]) {
          await effect()
          await effect()
        }
        expect(await bench.session.observe(id)).toMatchObject({ volumes: [] })
        expect((await bench.session.observe(id)).machine).toBeUndefined()
      })
    })
  })
}

/** On a session of its own: the bench's may have been lost while the host hung. */
async function reconnected(bench: Bench, use: (session: Session) => Promise<void>): Promise<void> {
  const session = await bench.world.driver.connect(bench.world.target)
  try {
    await use(session)
  } finally {
    await session.close()
  }
}
