import { expect, test } from '@jest/globals'
import type { HypervisorEvent, Session } from '../../hypervisor/port.ts'
import { FakeBench, Outcome } from './testing/bench.ts'

/** What a listener has heard so far; the Gap at the beginning is left out. */
async function listen(session: Session, bench: FakeBench) {
  const events: HypervisorEvent[] = []
  const stop = new AbortController()
  const ended = new Outcome(
    (async () => {
      for await (const event of session.events(stop.signal)) events.push(event)
    })(),
  )
  await bench.clock.advance(0)
  expect(events.splice(0)).toEqual([{ type: 'Gap', reason: 'events are told from here on' }])
  const details = () => events.map((event) => (event.type === 'Machine' ? event.detail : event.type))
  return { events, details, stop, ended }
}

async function started(bench: FakeBench, times = 1) {
  const session = await bench.connect()
  const id = await bench.machine(session)
  const listener = await listen(session, bench)
  for (let time = 0; time < times; time++) {
    await session.start(id)
    await session.powerOff(id)
  }
  return { session, id, ...listener }
}

test('tell which machine, ours by its instance id', async () => {
  const bench = new FakeBench()
  const { id, events, session } = await started(bench)
  const foreign = bench.host.addForeign('theirs')
  await session.undefine(id)
  await bench.clock.advance(0)
  expect(events).toEqual([
    { type: 'Machine', id, instanceID: id, detail: 'Started' },
    { type: 'Machine', id, instanceID: id, detail: 'Stopped' },
    { type: 'Machine', id: foreign, detail: 'Defined' },
    { type: 'Machine', id, instanceID: id, detail: 'Undefined' },
  ])
})

test('late: told after their delay', async () => {
  const bench = new FakeBench({ eventFaults: { delay: 1000 } })
  const { details } = await started(bench)
  await bench.clock.advance(999)
  expect(details()).toEqual([])
  await bench.clock.advance(1)
  expect(details()).toEqual(['Started', 'Stopped'])
})

test('in another order: each has a delay of its own', async () => {
  const bench = new FakeBench({ eventFaults: { delay: [0, 1000] } })
  const { details } = await started(bench, 10)
  await bench.clock.advance(1000)
  const inOrder = Array.from({ length: 10 }, () => ['Started', 'Stopped']).flat()
  expect(details()).not.toEqual(inOrder)
  expect(details().sort()).toEqual(inOrder.sort())
})

test('doubled', async () => {
  const { details } = await started(new FakeBench({ eventFaults: { doubled: 1 } }))
  await new Promise(setImmediate)
  expect(details()).toEqual(['Started', 'Started', 'Stopped', 'Stopped'])
})

test('lost: some or all, and nothing tells of it', async () => {
  const bench = new FakeBench({ eventFaults: { lost: 0.5 } })
  const some = await started(bench, 20)
  await bench.clock.advance(0)
  expect(some.details().length).toBeGreaterThan(0)
  expect(some.details().length).toBeLessThan(40)
  bench.host.events.faults = { lost: 1 }
  some.events.length = 0
  await some.session.start(some.id)
  await bench.clock.advance(0)
  expect(some.details()).toEqual([])
})

test('a gap is told when it is asked for, whatever is lost', async () => {
  const bench = new FakeBench({ eventFaults: { lost: 1 } })
  const { events } = await started(bench)
  bench.host.loseEvents('the queue ran over')
  await bench.clock.advance(0)
  expect(events).toEqual([{ type: 'Gap', reason: 'the queue ran over' }])
})

test('end with the signal, with the session, and with an error when the connection is lost', async () => {
  const bench = new FakeBench()
  const listener = async () => listen(await bench.connect(), bench)
  const [stopped, lost] = [await listener(), await listener()]
  stopped.stop.abort()
  bench.host.disconnect()
  await bench.clock.advance(0)
  expect([stopped.ended.state, lost.ended.state]).toEqual(['Done', 'HypervisorUnreachable'])
  const session = await bench.connect()
  const closed = await listen(session, bench)
  await session.close()
  await bench.clock.advance(0)
  expect(closed.ended.state).toBe('Done')
})

test('a reboot is told by nothing but the end of the connection', async () => {
  const bench = new FakeBench()
  const { session, id, details, ended } = await started(bench)
  await session.start(id)
  await bench.clock.advance(0)
  const before = details()
  bench.host.reboot()
  await bench.clock.advance(0)
  expect([details(), ended.state]).toEqual([before, 'HypervisorUnreachable'])
})
