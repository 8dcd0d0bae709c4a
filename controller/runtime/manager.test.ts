import { beforeEach, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { BerthError } from '../errors/index.ts'
import { VirtualClock } from './clock.ts'
import { Controller } from './controller.ts'
import { Manager, type ManagerOptions } from './manager.ts'
import { Metrics } from './metrics.ts'
import { LeaderTerm } from './term.ts'

const log = pino({ level: 'silent' })
let clock: VirtualClock
let metrics: Metrics
let term: LeaderTerm
let happened: string[]
let stop: AbortController
beforeEach(() => {
  clock = new VirtualClock()
  metrics = new Metrics()
  term = new LeaderTerm(clock)
  happened = []
  stop = new AbortController()
})

function informer() {
  const { promise: ready, resolve } = Promise.withResolvers<void>()
  const made = {
    ready,
    synced: false,
    fill() {
      made.synced = true
      resolve()
    },
    run: (signal: AbortSignal) =>
      new Promise<void>((done) =>
        signal.addEventListener('abort', () => {
          happened.push('informer ended')
          done()
        }),
      ),
  }
  return made
}
function elector() {
  const { promise: elected, resolve: elect } = Promise.withResolvers<boolean>()
  const lost = new AbortController()
  return {
    lost: lost.signal,
    lose: () => lost.abort(new BerthError('NotLeader', 'lost the lease')),
    elect,
    acquire: async (signal: AbortSignal) => {
      signal.addEventListener('abort', () => elect(false))
      const won = await elected
      if (won) happened.push('elected')
      return won
    },
    release: async () => {
      happened.push('released')
    },
  }
}
/** A pass takes a second. */
const controller = (time = 1_000, aborted = () => {}) =>
  new Controller({
    reconciler: {
      name: 'thing',
      reconcile: async (key, { signal }) => {
        signal.addEventListener('abort', aborted)
        happened.push(`pass ${key}`)
        await new Promise<void>((resolve) => clock.after(time, resolve))
        happened.push(`passed ${key}`)
        return {}
      },
    },
    clock,
    log,
    metrics,
  })

function run(options: Partial<ManagerOptions>) {
  const manager = new Manager({
    clock,
    log,
    metrics,
    term,
    informers: [],
    controllers: [],
    random: () => 0,
    inheritedUIDs: async () => {
      happened.push('listed')
      return ['u1']
    },
    flush: async () => {
      happened.push('flushed')
    },
    ...options,
  })
  let outcome: string | undefined
  const ended = manager.run(stop.signal).then(
    () => {
      outcome = 'ended'
    },
    (error: Error) => {
      outcome = error.message
    },
  )
  return { manager, ended, outcome: () => outcome }
}

test('in order: fill the caches, be elected, list, work; then pass, flush, release, end', async () => {
  const [cache, election, things] = [informer(), elector(), controller()]
  const { manager, ended, outcome } = run({ informers: [cache], elector: election, controllers: [things] })
  things.enqueue('a')
  await clock.advance(1_000)
  expect(manager.notReady()).toBe('caches are not filled yet')
  expect(happened).toEqual([])
  cache.fill()
  await clock.advance(1_000)
  expect(manager.notReady()).toBeUndefined()
  expect([happened, manager.leading, term.inherited('u2')]).toEqual([[], false, true])
  election.elect(true)
  await clock.advance(500)
  expect([manager.leading, term.inherited('u1'), term.inherited('u2')]).toEqual([true, true, false])
  things.enqueue('b')
  stop.abort()
  await clock.advance(500)
  await ended
  expect(outcome()).toBe('ended')
  expect(happened).toEqual(['elected', 'listed', 'pass a', 'passed a', 'flushed', 'released', 'informer ended'])
})

test('a cache that is not filled within two minutes ends the process', async () => {
  const { outcome } = run({ informers: [informer()] })
  await clock.advance(119_999)
  expect(outcome()).toBeUndefined()
  await clock.advance(1)
  expect(outcome()).toBe('The caches were not filled within 120 s.')
})

test('told to stop while caches fill, or while standing by: ends, with no pass and no release', async () => {
  const things = controller()
  things.enqueue('a')
  const waiting = run({ informers: [informer()], controllers: [things] })
  await clock.advance(0)
  stop.abort()
  await waiting.ended
  stop = new AbortController()
  const standby = run({ elector: elector(), controllers: [things] })
  await clock.advance(0)
  stop.abort()
  await standby.ended
  expect([waiting.outcome(), standby.outcome()]).toEqual(['ended', 'ended'])
  expect(happened).toEqual(['informer ended'])
})

test('the listing at the beginning of the term is tried again until it works; no pass before', async () => {
  const things = controller()
  things.enqueue('a')
  let failures = 3
  run({
    controllers: [things],
    inheritedUIDs: async () => {
      if (failures-- > 0) throw new BerthError('APIUnavailable', 'down')
      happened.push('listed')
      return []
    },
  })
  await clock.advance(3_499)
  expect(happened).toEqual([])
  await clock.advance(1)
  expect(happened).toEqual(['listed', 'pass a'])
})

test('a lost lease ends it at once: passes are aborted, nothing is waited for, nothing is released', async () => {
  const election = elector()
  const things = controller(1_000, () => happened.push('aborted'))
  const { manager, outcome } = run({ elector: election, controllers: [things] })
  things.enqueue('a')
  election.elect(true)
  await clock.advance(100)
  election.lose()
  await clock.advance(0)
  expect(outcome()).toBe('lost the lease')
  expect(manager.leading).toBe(false)
  expect(happened).toEqual(['elected', 'listed', 'pass a', 'aborted'])
})

test('a pass that does not end in time: stops all the same, but the lease is left to expire', async () => {
  const election = elector()
  const things = controller(3_600_000)
  const { ended } = run({ elector: election, controllers: [things], stopTimeout: 5_000 })
  things.enqueue('a')
  election.elect(true)
  await clock.advance(100)
  stop.abort()
  await clock.advance(5_000)
  await ended
  expect(happened).toEqual(['elected', 'listed', 'pass a', 'flushed'])
})

test('a task that does not end in time (a host that hangs): stops all the same, but the lease is left to expire', async () => {
  const election = elector()
  const { ended } = run({ elector: election, flush: () => new Promise(() => {}), flushTimeout: 5_000 })
  election.elect(true)
  await clock.advance(100)
  stop.abort()
  await clock.advance(5_000)
  await ended
  expect(happened).toEqual(['elected', 'listed'])
})

test('what runs while leading is told to end, after the passes', async () => {
  const things = controller()
  const { ended } = run({
    controllers: [things],
    whileLeading: [
      (signal) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            happened.push('sessions closed')
            resolve()
          }),
        ),
    ],
  })
  things.enqueue('a')
  await clock.advance(100)
  stop.abort()
  await clock.advance(1_000)
  await ended
  expect(happened).toEqual(['listed', 'pass a', 'passed a', 'sessions closed', 'flushed'])
})

test('what runs while leading and fails ends the process', async () => {
  const { outcome } = run({ whileLeading: [() => Promise.reject(new Error('sweep broke'))] })
  await clock.advance(0)
  expect(outcome()).toBe('sweep broke')
})
