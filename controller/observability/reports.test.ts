import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { BerthError } from '../errors/index.ts'
import { VirtualClock } from '../runtime/clock.ts'
import { Reporter } from './reports.ts'
import { Receiver } from './testing/receiver.ts'

let receiver: Receiver
let clock: VirtualClock
let logged: string[]
beforeEach(async () => {
  receiver = await Receiver.start()
  clock = new VirtualClock()
  logged = []
})
afterEach(() => receiver.stop())

const reporter = (host = receiver.host) =>
  new Reporter({
    dsn: `http://abc123@${host}/some/path/42`,
    version: '1.2.3',
    clock,
    log: pino({ level: 'debug' }, { write: (line) => void logged.push(line) }),
  })

test('a defect is sent as an envelope: class, code, frames, version, controller', async () => {
  const reports = reporter()
  reports.report(new BerthError('InternalError', 'x', { cause: new TypeError('y') }), 'virtualmachine', 'error')
  await reports.close()
  const [{ path, headers, body }] = receiver.received as [(typeof receiver.received)[number]]
  expect(path).toBe('/some/path/api/42/envelope/')
  expect(headers).toMatchObject({
    'content-type': 'application/x-sentry-envelope',
    'x-sentry-auth': 'Sentry sentry_version=7, sentry_client=berth/1.2.3, sentry_key=abc123',
  })
  const [header, type, event, ...rest] = body.split('\n').map((line) => (line === '' ? line : JSON.parse(line)))
  expect(rest).toEqual([''])
  expect(header).toEqual({ event_id: event.event_id, sent_at: '2026-01-01T00:00:00.000Z' })
  expect(type).toEqual({ type: 'event' })
  expect(event).toMatchObject({
    event_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    platform: 'node',
    level: 'error',
    release: 'berth@1.2.3',
    tags: { controller: 'virtualmachine' },
    exception: { values: [{ type: 'TypeError' }, { type: 'BerthError InternalError' }] },
  })
  expect(event.exception.values[1].stacktrace.frames.at(-1).filename).toBe('controller/observability/reports.test.ts')
})

test('nothing that a message holds leaves: no secret, address, name or path', async () => {
  const told = 'hunter2 at https://10.1.2.3:6443 for team/web of alice in /home/alice/kubeconfig'
  const cause = Object.assign(new Error(told, { cause: new SyntaxError(`"${told}" is not JSON`) }), { detail: told })
  const reports = reporter()
  reports.report(new BerthError('InternalError', told, { cause }), 'slot', 'fatal')
  await reports.close()
  for (const word of ['hunter2', '10.1.2.3', '6443', 'team', 'alice', 'kubeconfig', process.cwd()]) {
    expect(receiver.received[0]?.body).not.toContain(word)
  }
})

test('a defect that repeats without end is told ten times, then once a minute', async () => {
  const reports = reporter()
  const flood = async () => {
    for (let n = 0; n < 50; n++) reports.report(new Error('x'), 'slot', 'error')
    await reports.close()
    return receiver.received.length
  }
  expect(await flood()).toBe(10)
  await clock.advance(120_000)
  expect(await flood()).toBe(12)
})

test('a receiver that refuses, or is not there, is logged without the key, and harms nobody', async () => {
  receiver.status = 429
  const refused = reporter()
  refused.report(new Error('x'), 'slot', 'error')
  await refused.close()
  const unreachable = reporter('127.0.0.1:1')
  unreachable.report(new Error('x'), 'slot', 'error')
  await unreachable.close()
  expect(logged).toHaveLength(2)
  expect(logged.join()).not.toContain('abc123')
})

test.each(['', 'https://sentry.example/1', 'https://k@h', 'ftp://k@h/1', 'https://k:secret@h/1'])(
  '"%s" is no DSN, and is not quoted',
  (dsn) => {
    const make = () => new Reporter({ dsn, version: '1', clock, log: pino({ level: 'silent' }) })
    expect(make).toThrow('must be a DSN: https://KEY@HOST/PROJECT')
  },
)
