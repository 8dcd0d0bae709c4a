import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { VirtualClock } from '../runtime/clock.ts'
import { noTracing } from '../runtime/port.ts'
import { startObservability } from './index.ts'
import { Receiver } from './testing/receiver.ts'

const log = pino({ level: 'silent' })
let receiver: Receiver
beforeEach(async () => {
  receiver = await Receiver.start()
})
afterEach(() => receiver.stop())

test('unless it is asked to it sends nothing, and does nothing', async () => {
  const clock = new VirtualClock()
  const off = await startObservability({ sentryDSN: undefined, otlpEndpoint: undefined, clock, log })
  expect(off.tracing).toBe(noTracing)
  off.report(new Error('x'), 'slot', 'error')
  await off.close()
  expect(clock.pending).toBe(0)
})

test('switched on it sends both, with the version of this package', async () => {
  const clock = new VirtualClock()
  const dsn = `http://key@${receiver.host}/1`
  const on = await startObservability({ sentryDSN: dsn, otlpEndpoint: `http://${receiver.host}`, clock, log })
  await on.tracing.pass('slot', async () => ({ outcome: 'Success' }))
  on.report(new Error('x'), 'slot', 'error')
  await on.close()
  expect(receiver.received.map(({ path }) => path).toSorted()).toEqual(['/api/1/envelope/', '/v1/traces'])
  expect(receiver.received.find(({ path }) => path.startsWith('/api'))?.body).toMatch(/"release":"berth@\d+\.\d+\.\d+/)
})

test('a receiver that hangs holds up the end of the process for five seconds at most', async () => {
  receiver.answers = false
  const clock = new VirtualClock()
  const on = await startObservability({
    sentryDSN: `http://key@${receiver.host}/1`,
    otlpEndpoint: undefined,
    clock,
    log,
  })
  on.report(new Error('x'), 'slot', 'error')
  const closed = on.close()
  await clock.advance(5_000)
  await closed
})
