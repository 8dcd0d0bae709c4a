import { beforeEach, expect, test } from '@jest/globals'
import { BerthError } from '../errors/index.ts'
import { APIEventRecorder, cut, type RecorderOptions } from './events.ts'
import type { EventRecord } from './port.ts'
import type { Event } from './resources.ts'
import { VirtualClock } from './testing/clock.ts'
import { quiet } from './testing/fake-api.ts'

let clock: VirtualClock
let written: Event[]
let dropped: string[]
let answer: () => Promise<void>
beforeEach(() => {
  clock = new VirtualClock()
  written = []
  dropped = []
  answer = async () => {}
})

const recorder = (options: Partial<RecorderOptions> = {}) =>
  new APIEventRecorder({
    client: {
      apply: (async (_resource: unknown, event: Event) => {
        await answer()
        written.push(event)
        return event
      }) as never,
    },
    clock,
    log: quiet,
    instance: 'berth-0',
    random: () => 0,
    onDrop: (reason) => dropped.push(reason),
    ...options,
  })

const vm = { apiVersion: 'berth.dev/v1alpha1', kind: 'VirtualMachine', namespace: 'team', name: 'web', uid: 'u1' }
const started: EventRecord = { regarding: vm, type: 'Normal', reason: 'Started', action: 'Start', note: 'It runs.' }

test('an event says what, about what, by whom', async () => {
  const related = { apiVersion: 'berth.dev/v1alpha1', kind: 'Slot', name: 'rack1-1' }
  recorder().record({ ...started, related, actor: 'alice' })
  await clock.advance(0)
  expect(written).toEqual([
    {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: {
        name: expect.stringMatching(/^web\.[0-9a-f]{16}$/),
        namespace: 'team',
        annotations: { 'berth.dev/actor': 'alice' },
      },
      eventTime: '2026-01-01T00:00:00.000000Z',
      reportingController: 'berth.dev/controller',
      reportingInstance: 'berth-0',
      action: 'Start',
      reason: 'Started',
      regarding: vm,
      related,
      note: 'It runs.',
      type: 'Normal',
    },
  ])
})

test('what has no namespace has its events in default', async () => {
  recorder().record({ ...started, regarding: { apiVersion: 'v', kind: 'Slot', name: 'rack1-1' } })
  await clock.advance(0)
  expect(written[0]?.metadata.namespace).toBe('default')
})

test('repeats are one event with a series, written at most every 30 s', async () => {
  const events = recorder()
  for (let second = 0; second < 110; second++) {
    events.record(started)
    await clock.advance(1_000)
  }
  await events.flush(1_000)
  expect(new Set(written.map(({ metadata }) => metadata.name)).size).toBe(1)
  expect(written.length).toBeLessThanOrEqual(6)
  expect(written[0]?.series).toBeUndefined()
  expect(written.at(-1)).toMatchObject({
    eventTime: '2026-01-01T00:00:00.000000Z',
    series: { count: 110, lastObservedTime: '2026-01-01T00:01:49.000000Z' },
  })
})

test('a repeat after a long time is a new event', async () => {
  const events = recorder()
  events.record(started)
  await clock.advance(600_000)
  events.record(started)
  await clock.advance(0)
  expect(new Set(written.map(({ metadata }) => metadata.name)).size).toBe(2)
})

test('what is remembered of repeats is bounded', async () => {
  const events = recorder({ queueLength: 10_000 })
  const about = (n: number) => ({ ...started, regarding: { ...vm, name: `vm-${n}`, uid: `u${n}` } })
  for (let n = 0; n < 5_000; n++) events.record(about(n))
  events.record(about(0))
  events.record(about(4_999))
  await events.flush(1_000)
  const names = (n: number) =>
    new Set(written.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(`vm-${n}.`)))
  expect([names(0).size, names(4_999).size]).toEqual([2, 1])
})

test('another note, actor or object is another event', async () => {
  const events = recorder()
  events.record(started)
  events.record({ ...started, note: 'Otherwise.' })
  events.record({ ...started, actor: 'bob' })
  events.record({ ...started, regarding: { ...vm, uid: 'u2' } })
  await clock.advance(0)
  expect(new Set(written.map(({ metadata }) => metadata.name)).size).toBe(4)
})

test('an object that tells too much is cut short; others are not; it may speak again later', async () => {
  const events = recorder({ burst: 3, refill: 1_000 })
  for (let n = 0; n < 10; n++) events.record({ ...started, note: `${n}` })
  events.record({ ...started, regarding: { ...vm, uid: 'u2' } })
  await clock.advance(0)
  expect(written.map(({ note }) => note)).toEqual(['0', '1', '2', 'It runs.'])
  expect(dropped).toEqual(Array(7).fill('RateLimited'))
  await clock.advance(1_000)
  events.record({ ...started, note: 'later' })
  await clock.advance(0)
  expect(written.at(-1)?.note).toBe('later')
})

test('while the API server is slow the queue is bounded, and recording returns at once', async () => {
  let release = () => {}
  answer = () =>
    new Promise((resolve) => {
      release = resolve
    })
  const events = recorder({ queueLength: 5, burst: 1_000 })
  for (let n = 0; n < 20; n++) events.record({ ...started, note: `${n}` })
  expect(dropped.filter((reason) => reason === 'QueueFull').length).toBeGreaterThanOrEqual(14)
  answer = async () => {}
  release()
  await clock.advance(0)
  expect(written.length).toBeLessThanOrEqual(6)
  expect(written[0]?.note).toBe('0')
})

test('a passing failure is tried again, with back-off', async () => {
  let failures = 2
  answer = async () => {
    if (failures-- > 0) throw new BerthError('APIUnavailable', 'down')
  }
  recorder().record(started)
  await clock.advance(5_000)
  expect(written).toHaveLength(1)
})

test.each(['APIRefused', 'NotLeader'] as const)(
  '%s: given up at once, the next event is written, nobody is told by a throw',
  async (code) => {
    let refused = 0
    answer = async () => {
      if (refused++ === 0) throw new BerthError(code, 'no')
    }
    const events = recorder()
    events.record(started)
    events.record({ ...started, note: 'next' })
    await clock.advance(0)
    expect(dropped).toEqual(['Failed'])
    expect(written.map(({ note }) => note)).toEqual(['next'])
  },
)

test('a record that is nonsense does not throw', () => {
  const events = recorder()
  expect(() => events.record({} as EventRecord)).not.toThrow()
})

test('flush waits at most so long for a server that hangs, and nothing is taken after it', async () => {
  const events = recorder({
    client: {
      apply: ((_resource: unknown, _event: unknown, { signal }: { signal: AbortSignal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))) as never,
    },
  })
  events.record(started)
  let flushed = false
  const flushing = events.flush(2_000).then(() => {
    flushed = true
  })
  await clock.advance(1_999)
  expect(flushed).toBe(false)
  await clock.advance(1)
  await flushing
  events.record({ ...started, note: 'late' })
  await clock.advance(0)
  expect(written).toEqual([])
})

test.each([
  ['short', 1024, 'short'],
  ['x'.repeat(2_000), 1024, `${'x'.repeat(1_021)}…`],
  ['ü'.repeat(600), 1024, `${'ü'.repeat(510)}…`],
])('a note has at most 1024 bytes, and no broken character', (text, bytes, expected) => {
  expect(cut(text, bytes)).toBe(expected)
  expect(Buffer.byteLength(cut(text, bytes))).toBeLessThanOrEqual(bytes)
})
