import { expect } from '@jest/globals'
import { isBerthError } from '../../errors/index.ts'
import type { HypervisorEvent, Session } from '../port.ts'
import { type Ability, type AbilityName, abilities } from './abilities.ts'
import type { Bench } from './bench.ts'
import { eventually, expectRefusal } from './expectations.ts'

/** Reads events in the background; `ended` gives the reason when there are no more. */
function listen(session: Session, signal: AbortSignal) {
  const events: HypervisorEvent[] = []
  const ended = (async () => {
    for await (const event of session.events(signal)) events.push(event)
    return undefined
  })().catch((error: unknown) => error)
  return { events, ended }
}

export function describeConnecting(bench: Bench): void {
  const connect = () => bench.world.driver.connect(bench.world.target)

  bench.group('sessions', () => {
    bench.test('the host tells who it is and what it can do', [], async () => {
      const { information } = bench.session
      expect(information.id).toMatch(/^[0-9a-f-]{36}$/)
      expect(information.hostName).not.toBe('')
      expect(information.cpus).toBeGreaterThan(0)
      expect(information.memory).toBeGreaterThan(information.freeMemory)
      const { architecture, accelerator, mode } = bench.world.machine
      if (bench.has('Definitions')) expect(information.capabilities.architectures).toContain(architecture)
      if (accelerator !== undefined) expect(information.capabilities.accelerators).toContain(accelerator)
      if (mode !== undefined) expect(information.capabilities.modes).toContain(mode)
      expect(await bench.session.refresh()).toMatchObject({ id: information.id, hostName: information.hostName })
    })

    bench.test('what is excluded of the contract agrees with the capabilities that the host tells', [], async () => {
      const { capabilities } = bench.session.information
      for (const [name, { told }] of Object.entries<Ability>(abilities)) {
        if (told !== undefined) expect([name, bench.has(name as AbilityName)]).toEqual([name, told(capabilities)])
      }
    })

    bench.test('where nothing listens: HypervisorUnreachable', [], async () => {
      await expectRefusal(bench.world.driver.connect(bench.world.nowhere), 'HypervisorUnreachable')
    })

    bench.test('events hint at starts and stops, after a Gap that asks for a listing', ['MachineEvents'], async () => {
      const spec = bench.spec()
      const stop = new AbortController()
      const { events, ended } = listen(bench.session, stop.signal)
      await eventually(async () => events.length > 0)
      expect(events[0]?.type).toBe('Gap')
      await bench.withMachine(spec, async (id) => {
        const { id: hostID } = await bench.machine(id)
        const hinted = async () => events.some((event) => event.type === 'Machine' && event.id === hostID)
        await eventually(hinted)
        for (const effect of [() => bench.session.start(id), () => bench.session.powerOff(id)]) {
          events.length = 0
          await effect()
          await eventually(hinted)
        }
      })
      stop.abort()
      expect(await ended).toBeUndefined()
    })

    bench.test(
      'two sessions at once: the same effect from both happens once; one may be told that it is busy',
      ['Definitions'],
      async () => {
        const other = await connect()
        const spec = bench.spec()
        const both = async (effect: (session: Session) => Promise<void>) => {
          const outcomes = await Promise.allSettled([effect(bench.session), effect(other)])
          const failures = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
          expect(failures.length).toBeLessThan(2)
          for (const failure of failures) expect(failure).toMatchObject({ code: 'HypervisorBusy' })
        }
        try {
          const { instanceID } = spec.tag
          if (!bench.has('Uploads')) await bench.world.makeVolume(spec.seed.pool, spec.seed.volume)
          await both((session) => session.define(spec))
          await both((session) => session.start(instanceID))
          expect((await other.observe(instanceID)).machine).toEqual(await bench.machine(instanceID))
          expect((await bench.session.list()).filter(({ tag }) => tag?.instanceID === instanceID)).toHaveLength(1)
          await both((session) => session.powerOff(instanceID))
          expect((await bench.machine(instanceID)).power).toBe('Stopped')
          await both((session) => session.undefine(instanceID))
          expect((await other.observe(instanceID)).machine).toBeUndefined()
        } finally {
          await bench.remove(spec.tag.instanceID)
          await other.close()
        }
      },
    )

    bench.test('close: closed settles without a reason, events end without error, calls are refused', [], async () => {
      const session = await connect()
      const { events, ended } = listen(session, new AbortController().signal)
      await eventually(async () => events.length > 0)
      await session.close()
      await session.close()
      expect(await session.closed).toBeUndefined()
      expect(await ended).toBeUndefined()
      await expectRefusal(session.list(), 'HypervisorUnreachable')
    })

    bench.test(
      'a lost connection settles closed with its reason and ends events with an error; machines run on',
      ['Restart'],
      async () => {
        const session = await connect()
        const spec = bench.spec()
        const { instanceID } = spec.tag
        await bench.define(spec)
        await session.start(instanceID)
        const { events, ended } = listen(session, new AbortController().signal)
        await eventually(async () => events.length > 0)
        await bench.world.restart()
        expect(await session.closed).toBeInstanceOf(Error)
        expect(isBerthError(await ended)).toBe(true)
        await expectRefusal(session.list(), 'HypervisorUnreachable')
        await session.close()
        await bench.close()
        await bench.open(bench.world)
        expect(await bench.machine(instanceID)).toMatchObject({ power: 'Running', tag: spec.tag, parked: false })
        await bench.remove(instanceID)
      },
    )
  })
}
