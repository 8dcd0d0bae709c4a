import { describe, expect, test } from '@jest/globals'
import { isBerthError } from '../../errors/index.ts'
import type { HypervisorEvent, Session } from '../port.ts'
import { type Bench, eventually, expectRefusal } from './world.ts'

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

  describe('sessions', () => {
    test('the host tells who it is and what it can do', async () => {
      const { information } = bench.session
      expect(information.id).toMatch(/^[0-9a-f-]{36}$/)
      expect(information.hostName).not.toBe('')
      expect(information.cpus).toBeGreaterThan(0)
      expect(information.memory).toBeGreaterThan(information.freeMemory)
      expect(information.capabilities.architectures).toContain(bench.world.architecture)
      expect(information.capabilities.accelerators).toContain(bench.world.accelerator)
      expect(await bench.session.refresh()).toMatchObject({ id: information.id, hostName: information.hostName })
    })

    test('where nothing listens: HypervisorUnreachable', async () => {
      await expectRefusal(bench.world.driver.connect(bench.world.nowhere), 'HypervisorUnreachable')
    })

    test('events hint at starts and stops, after a Gap that asks for a listing', async () => {
      const spec = bench.spec()
      const stop = new AbortController()
      const { events, ended } = listen(bench.session, stop.signal)
      await eventually(async () => events.length > 0)
      expect(events[0]?.type).toBe('Gap')
      await bench.withMachine(spec, async (id) => {
        const hinted = () => events.splice(0).some((event) => event.type === 'Machine' && event.id === id)
        await eventually(async () => hinted())
        await bench.session.start(id)
        await eventually(async () => hinted())
        await bench.session.powerOff(id)
        await eventually(async () => hinted())
      })
      stop.abort()
      expect(await ended).toBeUndefined()
    })

    test('two sessions at once: the same effect from both happens once; one may be told that it is busy', async () => {
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
        await both((session) => session.define(spec))
        await both((session) => session.start(instanceID))
        expect((await other.observe(instanceID)).machine).toEqual(await bench.machine(instanceID))
        expect((await bench.session.list()).filter(({ id }) => id === instanceID)).toHaveLength(1)
        await both((session) => session.powerOff(instanceID))
        expect((await bench.machine(instanceID)).power).toBe('Stopped')
        await both((session) => session.undefine(instanceID))
        expect((await other.observe(instanceID)).machine).toBeUndefined()
      } finally {
        await bench.remove(spec.tag.instanceID)
        await other.close()
      }
    })

    test('close: closed settles without a reason, events end without error, calls are refused', async () => {
      const session = await connect()
      const { events, ended } = listen(session, new AbortController().signal)
      await eventually(async () => events.length > 0)
      await session.close()
      await session.close()
      expect(await session.closed).toBeUndefined()
      expect(await ended).toBeUndefined()
      await expectRefusal(session.list(), 'HypervisorUnreachable')
    })

    test('a lost connection settles closed with its reason and ends events with an error; machines run on', async () => {
      const session = await connect()
      const spec = bench.spec()
      const { instanceID } = spec.tag
      await session.define(spec)
      await session.start(instanceID)
      const { events, ended } = listen(session, new AbortController().signal)
      await eventually(async () => events.length > 0)
      await bench.world.restartDaemon()
      expect(await session.closed).toBeInstanceOf(Error)
      expect(isBerthError(await ended)).toBe(true)
      await expectRefusal(session.list(), 'HypervisorUnreachable')
      await session.close()
      await bench.close()
      await bench.open(bench.world)
      expect(await bench.machine(instanceID)).toMatchObject({ power: 'Running', tag: spec.tag, parked: false })
      await bench.remove(instanceID)
    })
  })
}
