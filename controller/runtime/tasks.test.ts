import { beforeEach, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { VirtualClock } from './clock.ts'
import { TaskRunner } from './tasks.ts'

let clock: VirtualClock
let tasks: TaskRunner
let changes: number
const changed = () => {
  changes++
}
beforeEach(() => {
  clock = new VirtualClock()
  tasks = new TaskRunner(clock, pino({ level: 'silent' }))
  changes = 0
})
const until = (signal: AbortSignal) =>
  new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

test('runs, is told at its end, and success leaves nothing behind', async () => {
  tasks.start('t', async () => {}, changed)
  expect(tasks.state('t')).toEqual({ state: 'Running', done: 0 })
  await clock.advance(0)
  expect(tasks.state('t')).toBeUndefined()
  expect(changes).toBe(1)
})

test('one that runs is not started again', async () => {
  let starts = 0
  for (let n = 0; n < 3; n++) {
    tasks.start(
      't',
      async (signal) => {
        starts++
        await until(signal)
      },
      changed,
    )
  }
  await clock.advance(0)
  expect(starts).toBe(1)
})

test('progress is told at most once a second, with the last numbers', async () => {
  let report: (done: number, total?: number) => void = () => {}
  tasks.start(
    't',
    async (signal, progress) => {
      report = progress
      await until(signal)
    },
    changed,
  )
  await clock.advance(0)
  for (let n = 1; n <= 30; n++) {
    report(n, 100)
    await clock.advance(100)
  }
  expect(changes).toBeGreaterThanOrEqual(2)
  expect(changes).toBeLessThanOrEqual(3)
  expect(tasks.state('t')).toEqual({ state: 'Running', done: 30, total: 100 })
})

test('a failure is kept until it is started again', async () => {
  const error = new Error('disk on fire')
  tasks.start('t', () => Promise.reject(error), changed)
  await clock.advance(0)
  expect(tasks.state('t')).toEqual({ state: 'Failed', error, at: clock.now() })
  tasks.start('t', async () => {}, changed)
  expect(tasks.state('t')?.state).toBe('Running')
  await clock.advance(0)
  expect(tasks.state('t')).toBeUndefined()
})

test('cancelled: counts as running until it has ended, then leaves nothing', async () => {
  tasks.start(
    't',
    async (signal) => {
      await until(signal).catch(() => {})
      await new Promise<void>((resolve) => clock.after(1_000, resolve))
      throw new Error('interrupted')
    },
    changed,
  )
  await clock.advance(0)
  tasks.cancel('t')
  await clock.advance(500)
  expect(tasks.state('t')?.state).toBe('Running')
  await clock.advance(500)
  expect(tasks.state('t')).toBeUndefined()
  expect(changes).toBe(1)
})

test('a listener that throws harms nothing', async () => {
  tasks.start(
    't',
    async () => {},
    () => {
      throw new Error('listener')
    },
  )
  await clock.advance(0)
  expect(tasks.state('t')).toBeUndefined()
})

test('stop ends all that runs, and nothing starts after it', async () => {
  tasks.start('t', until, changed)
  await clock.advance(0)
  await tasks.stop()
  tasks.start('u', async () => {}, changed)
  expect(tasks.state('t')).toBeUndefined()
  expect(tasks.state('u')).toBeUndefined()
})
