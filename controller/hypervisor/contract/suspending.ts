import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { isBerthError } from '../../errors/index.ts'
import type { Bench } from './bench.ts'
import { eventually, expectRefusal } from './expectations.ts'

/** A machine whose memory is on its host's disk. */
export function describeSuspending(bench: Bench): void {
  const suspended = async (id: string) => {
    await bench.session.start(id)
    await bench.session.suspend(id)
  }

  bench.group('suspending', () => {
    bench.test('suspend saves the memory, and keeps tag and definition; twice is once', ['Suspending'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        const running = await bench.machine(id)
        const interfaces = running.interfaces.map((one) => ({ ...one, attached: false }))
        for (let time = 0; time < 2; time++) {
          await bench.session.suspend(id)
          const { stopReason, pauseReason, ...machine } = await bench.machine(id)
          expect(machine).toEqual({ ...running, interfaces, power: 'Suspended' })
          expect([stopReason, pauseReason]).toEqual([undefined, undefined])
          expect(await bench.world.savedMemories()).toHaveLength(1)
        }
        expect((await bench.session.list()).find(({ tag }) => tag?.instanceID === id)?.power).toBe('Suspended')
      })
    })

    bench.test('start goes on where it was, and keeps nothing of what was saved', ['Suspending'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await suspended(id)
        await bench.session.start(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Running', tag: spec.tag, parked: false })
        if (bench.has('StartReasons')) expect(await bench.world.lastStart(id)).toBe('Resumption')
        expect(await bench.world.savedMemories()).toEqual([])
        await bench.session.suspend(id)
        expect((await bench.machine(id)).power).toBe('Suspended')
      })
    })

    bench.test('it goes on paused where that is asked for', ['Suspending', 'PausedStarts'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await suspended(id)
        await bench.session.start(id, { paused: true })
        expect(await bench.machine(id)).toMatchObject({ power: 'Paused', pauseReason: 'Asked' })
        await bench.session.unpause(id)
        expect((await bench.machine(id)).power).toBe('Running')
      })
    })

    bench.test('what is off or absent has no memory to save', ['Suspending'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await expectRefusal(bench.session.suspend(id), 'HypervisorRefused')
        await expectRefusal(bench.session.suspend(randomUUID()), 'HypervisorRefused')
        expect((await bench.machine(id)).power).toBe('Stopped')
      })
    })

    bench.test(
      'discardMemory turns it off: the next start is a boot; without one it does nothing',
      ['Suspending'],
      async () => {
        await bench.withMachine(bench.spec(), async (id) => {
          await bench.session.discardMemory(id)
          await bench.session.start(id)
          await bench.session.discardMemory(id)
          expect((await bench.machine(id)).power).toBe('Running')
          await bench.session.suspend(id)
          for (let time = 0; time < 2; time++) {
            await bench.session.discardMemory(id)
            expect((await bench.machine(id)).power).toBe('Stopped')
            expect(await bench.world.savedMemories()).toEqual([])
          }
          await bench.session.start(id)
          expect((await bench.machine(id)).power).toBe('Running')
          if (bench.has('StartReasons')) expect(await bench.world.lastStart(id)).toBe('Boot')
        })
        await bench.session.discardMemory(randomUUID())
      },
    )

    bench.test(
      'it is off: shutdown, powerOff, pause and unpause leave the memory as it is',
      ['Suspending'],
      async () => {
        await bench.withMachine(bench.spec(), async (id) => {
          await suspended(id)
          await bench.session.shutdown(id)
          await bench.session.powerOff(id)
          await expectRefusal(bench.session.pause(id), 'HypervisorRefused')
          await expectRefusal(bench.session.unpause(id), 'HypervisorRefused')
          expect((await bench.machine(id)).power).toBe('Suspended')
          expect(await bench.world.savedMemories()).toHaveLength(1)
        })
      },
    )

    bench.test(
      'define mends its tag, and loses neither memory nor seed',
      ['Suspending', 'Definitions', 'Uploads'],
      async () => {
        const spec = bench.spec()
        const { pool, volume } = spec.seed
        await bench.withMachine(spec, async (id) => {
          await suspended(id)
          const seed = await bench.world.readVolume(pool, volume)
          const tag = { ...spec.tag, slot: 'host-2' }
          await bench.session.define({ ...spec, tag, seed: { pool, volume, files: { 'user-data': 'other' } } })
          expect(await bench.machine(id)).toMatchObject({ power: 'Suspended', tag })
          expect((await bench.world.readVolume(pool, volume)).equals(seed)).toBe(true)
          await bench.session.start(id)
          expect(await bench.machine(id)).toMatchObject({ power: 'Running', tag })
          if (bench.has('StartReasons')) expect(await bench.world.lastStart(id)).toBe('Resumption')
        })
      },
    )

    bench.test(
      'park fences a suspended machine off, or is refused and leaves it open',
      ['Suspending', 'FencedStart'],
      async () => {
        await bench.withMachine(bench.spec(), async (id) => {
          await suspended(id)
          const refusal = await bench.session.park(id).catch((error: unknown) => error)
          const { parked } = await bench.machine(id)
          expect(parked).toBe(refusal === undefined)
          if (parked) await expectRefusal(bench.session.start(id), 'HypervisorRefused')
          else expect(isBerthError(refusal, 'HypervisorRefused')).toBe(true)
          expect((await bench.machine(id)).power).toBe('Suspended')
        })
      },
    )

    bench.test('undefine of a suspended machine leaves nothing of its memory behind', ['Suspending'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await suspended(id)
        await bench.session.undefine(id)
        expect((await bench.session.observe(id)).machine).toBeUndefined()
        expect(await bench.world.savedMemories()).toEqual([])
      })
    })

    bench.test(
      'a suspend whose wait is ended goes on or was never begun: the same again ends it',
      ['Suspending'],
      async () => {
        await bench.withMachine(bench.spec(), async (id) => {
          await bench.session.start(id)
          const controller = new AbortController()
          const call = bench.session.suspend(id, { signal: controller.signal }).catch((error: unknown) => error)
          controller.abort()
          const error = await call
          if (error !== undefined) {
            expect(isBerthError(error) && ['Ambiguous', 'Transient'].includes(error.class)).toBe(true)
          }
          await eventually(async () => {
            const { power, pauseReason } = await bench.machine(id)
            // Held by nobody else than the host, at work.
            if (power === 'Paused') expect(pauseReason).toBe('Job')
            await bench.session.suspend(id)
            return (await bench.machine(id)).power === 'Suspended'
          })
        })
      },
    )
  })
}
