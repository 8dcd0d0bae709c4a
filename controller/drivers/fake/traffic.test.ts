import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Session } from '../../hypervisor/port.ts'
import type { Fault } from './index.ts'
import { callTimeout, FakeBench, Outcome, spec } from './testing/bench.ts'

let bench: FakeBench
let session: Session
let id: string

beforeEach(async () => {
  bench = new FakeBench()
  session = await bench.connect()
  id = await bench.machine(session)
})

const power = () => bench.host.machine(id).power
const pass = (time: number) => bench.clock.advance(time)

describe('time', () => {
  test('without latencies a call is done at once, and leaves no timer behind', async () => {
    await session.start(id)
    expect(power()).toBe('Running')
    expect(bench.clock.pending).toBe(0)
  })

  test('the effect comes after the way there and the work, the answer after the way back', async () => {
    bench.host.traffic.latencies = { start: { toHost: 10, atHost: 100, toCaller: 1000 } }
    const started = new Outcome(session.start(id))
    await pass(109)
    expect([power(), started.state]).toEqual(['Stopped', 'Waiting'])
    await pass(1)
    expect([power(), started.state]).toEqual(['Running', 'Waiting'])
    await pass(1000)
    expect(started.state).toBe('Done')
    expect(bench.clock.pending).toBe(0)
  })

  test('a range is drawn by the seed: equal seeds, equal runs', async () => {
    const run = async (seed: number) => {
      const other = new FakeBench({ seed, latencies: { default: { toHost: [0, 5000] } } })
      const outcome = new Outcome(other.machine(await other.connect()))
      const begun = other.clock.monotonic()
      while (outcome.state === 'Waiting') await other.clock.advance(10)
      return other.clock.monotonic() - begun
    }
    expect(await run(1)).toBe(await run(1))
    expect(await run(1)).not.toBe(await run(2))
  })

  test.each([
    ['a mutation', 'CallTimedOut', () => session.start(id)],
    ['a read', 'HypervisorUnreachable', () => session.observe(id)],
  ])('%s that is not answered in time is %s, and goes on', async (_, code, call) => {
    bench.host.traffic.latencies = { default: { atHost: callTimeout + 5000 } }
    const outcome = new Outcome(call())
    await pass(callTimeout)
    expect([power(), outcome.state]).toEqual(['Stopped', code])
    await pass(5000)
    expect(bench.host.journal.filter(({ method }) => method === 'start')).toMatchObject(
      code === 'CallTimedOut' ? [{ outcome: 'Changed' }] : [],
    )
  })

  test('while the host works on one operation, others on the same machine are refused as busy; reads and other machines are not', async () => {
    const other = await bench.machine(session)
    bench.host.traffic.latencies = { start: { atHost: callTimeout * 2 } }
    const outcome = new Outcome(session.start(id))
    await pass(callTimeout)
    expect(outcome.state).toBe('CallTimedOut')
    await expect(session.powerOff(id)).rejects.toMatchObject({ code: 'HypervisorBusy' })
    expect((await session.observe(id)).machine?.power).toBe('Stopped')
    await session.powerOff(other)
    await pass(callTimeout)
    await session.powerOff(id)
    expect(bench.host.journal.slice(-2)).toMatchObject([
      { method: 'start', outcome: 'Changed' },
      { method: 'powerOff', outcome: 'Changed' },
    ])
  })

  test('the caller may give up: before it was sent nothing happens, after that it is Ambiguous and goes on', async () => {
    await expect(session.start(id, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'TemporaryFailure' })
    expect(power()).toBe('Stopped')
    bench.host.traffic.latencies = { start: { toHost: 10 } }
    const controller = new AbortController()
    const outcome = new Outcome(session.start(id, { signal: controller.signal }))
    await pass(5)
    controller.abort()
    await pass(5)
    expect([power(), outcome.state]).toEqual(['Running', 'CallTimedOut'])
  })
})

describe('holds', () => {
  test('effect and answer come when the test says', async () => {
    const hold = bench.host.hold({ method: 'start', instanceID: id })
    const outcome = new Outcome(session.start(id))
    const held = await hold.next()
    expect(held.call).toEqual({ method: 'start', instanceID: id })
    expect([power(), outcome.state]).toEqual(['Stopped', 'Waiting'])
    await held.takeEffect()
    await pass(0)
    expect([power(), outcome.state]).toEqual(['Running', 'Waiting'])
    await held.answer()
    await pass(0)
    expect(outcome.state).toBe('Done')
  })

  test('a start that comes after its deadline, from a session that is gone, runs what should be off', async () => {
    const hold = bench.host.hold({ method: 'start' })
    const outcome = new Outcome(session.start(id))
    const late = await hold.next()
    hold.release()
    await pass(callTimeout)
    expect(outcome.state).toBe('CallTimedOut')
    await session.close()
    await (await bench.connect()).powerOff(id)
    await late.takeEffect()
    expect(power()).toBe('Running')
  })

  test('what is parked meanwhile refuses the late start', async () => {
    const hold = bench.host.hold({ method: 'start' })
    new Outcome(session.start(id))
    const late = await hold.next()
    await session.park(id)
    await late.takeEffect()
    expect(power()).toBe('Stopped')
    expect(bench.host.journal.at(-1)).toMatchObject({ method: 'start', outcome: 'HypervisorRefused' })
  })

  test('calls arrive in another order than they were sent in', async () => {
    const hold = bench.host.hold({ method: ['start', 'powerOff'] })
    new Outcome(session.start(id))
    new Outcome(session.powerOff(id))
    const [start, powerOff] = [await hold.next(), await hold.next()]
    await powerOff.takeEffect()
    await start.takeEffect()
    expect(power()).toBe('Running')
  })

  test('what is lost never arrives', async () => {
    const hold = bench.host.hold({ method: 'start' })
    const outcome = new Outcome(session.start(id))
    const held = await hold.next()
    held.lose()
    await pass(callTimeout * 10)
    expect([power(), outcome.state]).toEqual(['Stopped', 'CallTimedOut'])
  })
})

describe('faults', () => {
  test.each<[Fault, string, string]>([
    [{ type: 'Refused', code: 'StorageFull' }, 'StorageFull', 'Stopped'],
    [{ type: 'Lost' }, 'CallTimedOut', 'Stopped'],
    [{ type: 'Unanswered' }, 'CallTimedOut', 'Running'],
    [{ type: 'Late', by: callTimeout + 1 }, 'CallTimedOut', 'Running'],
    [{ type: 'Slow', by: callTimeout + 1 }, 'CallTimedOut', 'Running'],
    [{ type: 'Disconnected', effect: false }, 'ConnectionLost', 'Stopped'],
    [{ type: 'Disconnected', effect: true }, 'ConnectionLost', 'Running'],
  ])('%j: the caller learns %s, and the machine is %s', async (fault, code, after) => {
    bench.host.setFaults([{ method: 'start', fault }])
    const outcome = new Outcome(session.start(id))
    await pass(callTimeout * 2)
    expect([outcome.state, power()]).toEqual([code, after])
  })

  test('late: the host does not know of it yet; slow: it is busy with it', async () => {
    const busyWith = async (fault: Fault) => {
      bench.host.setFaults([{ method: 'start', fault }])
      const outcome = new Outcome(session.start(id))
      await pass(50)
      const stopped = new Outcome(session.powerOff(id))
      await pass(50)
      expect(outcome.state).toBe('Done')
      await session.powerOff(id)
      return stopped.state
    }
    expect(await busyWith({ type: 'Late', by: 100 })).toBe('Done')
    expect(await busyWith({ type: 'Slow', by: 100 })).toBe('HypervisorBusy')
  })

  test('a rule meets the calls that it says, so often as it says', async () => {
    bench.host.setFaults([
      {
        method: ['start', 'park'],
        instanceID: id,
        skip: 1,
        times: 1,
        fault: { type: 'Refused', code: 'HypervisorBusy' },
      },
    ])
    const other = await bench.machine(session)
    await session.start(other)
    await session.start(id)
    await expect(session.park(id)).rejects.toMatchObject({ code: 'HypervisorBusy' })
    await session.park(id)
  })

  test('one with a probability meets some, the same ones for the same seed', async () => {
    const run = async (seed: number) => {
      const fault: Fault = { type: 'Refused', code: 'HypervisorBusy' }
      const other = new FakeBench({ seed, faults: [{ method: 'park', probability: 0.5, fault }] })
      const its = await other.connect()
      let met = ''
      for (let call = 0; call < 32; call++) {
        met += await its.park(id).then(
          () => 'no ',
          () => 'yes ',
        )
      }
      return met
    }
    expect(await run(1)).toBe(await run(1))
    expect(await run(1)).not.toBe(await run(2))
    expect(await run(1)).toMatch(/no yes/)
  })

  test('a transfer that is cut in the middle leaves half an image, which the next placing replaces', async () => {
    const content = Buffer.alloc(1000, 1)
    const digest = createHash('sha256').update(content).digest('hex')
    const image = {
      digest,
      length: 1000,
      format: 'raw' as const,
      async *open() {
        for (let at = 0; at < 1000; at += 10) yield content.subarray(at, at + 10)
      },
    }
    for (const share of [0, 0.5, 1]) {
      bench.host.setFaults([{ method: 'placeImage', times: 1, fault: { type: 'TransferCut', share } }])
      const cut = await bench.connect()
      const sent: number[] = []
      await expect(cut.placeImage('default', image, (bytes) => sent.push(bytes))).rejects.toMatchObject({
        code: 'ConnectionLost',
      })
      expect([sent.at(-1) ?? 0, (await session.placedImage('default', digest)).state]).toEqual([
        share * 1000,
        'Partial',
      ])
    }
    await session.placeImage('default', image, () => undefined)
    expect(await session.placedImage('default', digest)).toEqual({ state: 'Complete', length: 1000 })
  })
})

describe('a hung host', () => {
  test('answers nothing, and goes on where it was', async () => {
    bench.host.hang()
    const [read, mutation] = [new Outcome(session.list()), new Outcome(session.start(id))]
    const connecting = new Outcome(bench.connect())
    await pass(callTimeout)
    expect([read.state, mutation.state, connecting.state, power()]).toEqual([
      'HypervisorUnreachable',
      'CallTimedOut',
      'HypervisorUnreachable',
      'Stopped',
    ])
    bench.host.resume()
    await pass(0)
    expect(power()).toBe('Running')
    await session.list()
  })

  test('in the middle of an image ends the transfer, and what is there is Partial', async () => {
    const digest = 'a'.repeat(64)
    const content = {
      digest,
      length: 2,
      format: 'raw' as const,
      async *open() {
        yield Buffer.alloc(1)
        bench.host.hang()
        yield Buffer.alloc(1)
      },
    }
    const outcome = new Outcome(session.placeImage('default', content, () => undefined))
    await pass(callTimeout)
    expect(outcome.state).toBe('CallTimedOut')
    bench.host.resume()
    expect((await session.placedImage('default', digest)).state).toBe('Partial')
  })
})

describe('connections', () => {
  test('lost: calls that wait are Ambiguous, later ones are refused, the host goes on', async () => {
    bench.host.traffic.latencies = { start: { atHost: 100 } }
    const outcome = new Outcome(session.start(id))
    await pass(50)
    bench.host.disconnect()
    await pass(50)
    expect([outcome.state, power()]).toEqual(['ConnectionLost', 'Running'])
    expect(await session.closed).toMatchObject({ code: 'HypervisorUnreachable' })
    await expect(session.list()).rejects.toMatchObject({ code: 'HypervisorUnreachable' })
    expect((await (await bench.connect()).list()).map((entry) => entry.power)).toEqual(['Running'])
  })

  test('a restarted daemon forgets what it worked on, and what was on its way', async () => {
    bench.host.traffic.latencies = { start: { atHost: 100 } }
    new Outcome(session.start(id))
    await pass(50)
    bench.host.restartDaemon()
    await pass(100)
    expect(power()).toBe('Stopped')
    bench.host.traffic.latencies = {}
    await (await bench.connect()).start(id)
  })

  test('refused with the code that was asked for', async () => {
    bench.host.refuseConnections('CredentialsInvalid')
    await expect(bench.connect()).rejects.toMatchObject({ code: 'CredentialsInvalid' })
    bench.host.acceptConnections()
    await bench.connect()
  })
})

test('the journal tells what came of every mutation, and nothing of reads', async () => {
  await session.define(spec({ instanceID: id }))
  await session.list()
  await session.start(id)
  await session.start(id)
  await expect(session.undefine(id)).rejects.toThrow()
  expect(bench.host.journal.map(({ method, outcome }) => [method, outcome])).toEqual([
    ['define', 'Changed'],
    ['define', 'Unchanged'],
    ['start', 'Changed'],
    ['start', 'Unchanged'],
    ['undefine', 'HypervisorRefused'],
  ])
})
