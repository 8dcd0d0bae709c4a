import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import type { Bench } from './bench.ts'
import { MiB } from './content.ts'
import { expectRefusal } from './expectations.ts'

export function describeMachines(bench: Bench): void {
  bench.group('machines', () => {
    bench.test('define makes a machine as specified, off, and never starts it', [], async () => {
      const memory = bench.world.machine.memory + 16 * MiB
      const spec = bench.spec({ cpus: 2, memory })
      await bench.withMachine(spec, async (id) => {
        const observation = await bench.session.observe(id)
        expect(observation.foreign).toBeUndefined()
        expect(observation.machine).toMatchObject({
          id: bench.has('ChosenIDs') ? id : expect.any(String),
          tag: spec.tag,
          hostName: spec.hostName,
          power: 'Stopped',
          parked: false,
          transient: false,
          cpus: 2,
          memory,
        })
        expect(observation.volumes.map(({ name }) => name)).toEqual([spec.seed.volume])
      })
    })

    bench.test('a tag comes back as it was given, whatever is in it', [], async () => {
      const tag = { owner: `User:ä€😀 <a href="x">&amp;'</a>\n\ttwo  spaces `, name: '--]]>', slot: '' }
      const spec = bench.spec({ tag })
      await bench.withMachine(spec, async (id) => {
        expect((await bench.machine(id)).tag).toEqual(spec.tag)
        await bench.session.park(id)
        expect((await bench.machine(id)).tag).toEqual(spec.tag)
      })
    })

    bench.test('an owner that the host cannot store is refused, not changed', ['Definitions'], async () => {
      const spec = bench.spec({ tag: { owner: 'User:\u0000' } })
      await expectRefusal(bench.session.define(spec), 'InvalidConfiguration')
      expect((await bench.session.observe(spec.tag.instanceID)).machine).toBeUndefined()
      await bench.remove(spec.tag.instanceID)
    })

    bench.test('what is not a UUID is refused, and never part of a name on the host', [], async () => {
      for (const instanceID of ['', 'x', '../x', randomUUID().toUpperCase()]) {
        await expectRefusal(bench.session.define(bench.spec({ tag: { instanceID } })), 'InvalidConfiguration')
        await expectRefusal(bench.session.powerOff(instanceID), 'InvalidConfiguration')
      }
    })

    bench.test(
      'define again with another tag mends the tag, and lets a running machine run',
      ['Definitions'],
      async () => {
        const spec = bench.spec()
        await bench.withMachine(spec, async (id) => {
          await bench.session.start(id)
          const tag = { ...spec.tag, slot: 'host-2', name: 'renamed' }
          await bench.session.define({ ...spec, tag })
          expect(await bench.machine(id)).toMatchObject({ tag, power: 'Running', transient: false })
          await bench.session.powerOff(id)
          expect((await bench.machine(id)).tag).toEqual(tag)
          // Off, it also gets the CPUs and the memory that it is defined with.
          const size = { cpus: spec.cpus + 1, memory: spec.memory + 16 * MiB }
          await bench.session.define({ ...spec, ...size, tag })
          expect(await bench.machine(id)).toMatchObject({ power: 'Stopped', ...size })
        })
      },
    )

    bench.test('start starts, and starting what runs changes nothing', [], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.start(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Running', parked: false })
      })
    })

    bench.test('start of what is absent is refused', [], async () => {
      await expectRefusal(bench.session.start(randomUUID()), 'HypervisorRefused')
    })

    bench.test('powerOff cuts the power; off or absent it does nothing', [], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.powerOff(id)
        await bench.session.start(id)
        await bench.session.powerOff(id)
        expect(await bench.machine(id)).toMatchObject({ power: 'Stopped', parked: false })
        await bench.session.powerOff(id)
      })
      await bench.session.powerOff(randomUUID())
    })

    bench.test('power that was cut is told as done from outside', ['StopReasons'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.powerOff(id)
        expect((await bench.machine(id)).stopReason).toBe('Outside')
      })
    })

    bench.test('shutdown only asks: a guest that does not listen runs on', ['DeafGuests'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.start(id)
        await bench.session.shutdown(id)
        expect((await bench.machine(id)).power).toBe('Running')
      })
    })

    bench.test('shutdown of what is off or absent does nothing', [], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        await bench.session.shutdown(id)
        expect((await bench.machine(id)).power).toBe('Stopped')
      })
      await bench.session.shutdown(randomUUID())
    })

    bench.test('undefine refuses what runs, removes what is off, keeps volumes, and can be repeated', [], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        await expectRefusal(bench.session.undefine(id), 'HypervisorRefused')
        expect((await bench.machine(id)).transient).toBe(false)
        await bench.session.powerOff(id)
        await bench.session.undefine(id)
        await bench.session.undefine(id)
        const left = await bench.session.observe(id)
        expect(left.machine).toBeUndefined()
        expect(left.volumes.map(({ name }) => name)).toEqual([spec.seed.volume])
      })
    })

    bench.test(
      'a machine undefined by others while it runs is transient, and define mends it',
      ['TransientMachines', 'Definitions'],
      async () => {
        const spec = bench.spec()
        await bench.withMachine(spec, async (id) => {
          await bench.session.start(id)
          await bench.world.makeTransient(id)
          expect(await bench.machine(id)).toMatchObject({ power: 'Running', transient: true, tag: spec.tag })
          await bench.session.define(spec)
          expect(await bench.machine(id)).toMatchObject({ power: 'Running', transient: false })
        })
      },
    )

    bench.test('two machines that want one name both get one', ['UniqueNames', 'Definitions'], async () => {
      const first = bench.spec()
      const second = bench.spec({ hostName: first.hostName })
      await bench.withMachine(first, async (firstID) => {
        await bench.withMachine(second, async (secondID) => {
          expect((await bench.machine(firstID)).hostName).toBe(first.hostName)
          const { hostName } = await bench.machine(secondID)
          expect(hostName).not.toBe(first.hostName)
          expect(hostName).toContain(first.hostName)
          await bench.session.define(second)
          expect((await bench.machine(secondID)).hostName).toBe(hostName)
        })
      })
    })

    bench.test('interfaces are told of a running machine only, by their addresses', [], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        expect(await bench.session.interfaces(id)).toEqual([])
        await bench.session.start(id)
        const macAddress = spec.interfaces[0]?.macAddress
        // A guest that does not even hear the power button asks for no address.
        const addresses = bench.has('DeafGuests') ? [] : expect.any(Array)
        expect(await bench.session.interfaces(id)).toEqual([{ macAddress, addresses }])
      })
    })

    bench.test('the inventory has every machine with tag, power and parking', [], async () => {
      const running = bench.spec()
      const parked = bench.spec()
      await bench.withMachine(running, async (runningID) => {
        await bench.withMachine(parked, async (parkedID) => {
          await bench.session.start(runningID)
          await bench.session.park(parkedID)
          const list = await bench.session.list()
          const entries = (id: string) => list.filter(({ tag }) => tag?.instanceID === id)
          for (const [{ hostName, tag, memory }, power] of [
            [running, 'Running'],
            [parked, 'Stopped'],
          ] as const) {
            const { id } = await bench.machine(tag.instanceID)
            expect(entries(tag.instanceID)).toEqual([{ id, hostName, tag, power, parked: power === 'Stopped', memory }])
          }
        })
      })
    })
  })
}
