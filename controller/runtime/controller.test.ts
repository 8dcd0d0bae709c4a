import { beforeEach, describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { BerthError, type ErrorCode } from '../errors/index.ts'
import { VirtualClock } from './clock.ts'
import { Controller, type ControllerOptions } from './controller.ts'
import { Metrics } from './metrics.ts'
import type { ReconcileContext, Result, Tracing } from './port.ts'

let clock: VirtualClock
let metrics: Metrics
/** When each pass began, in ms. */
let passes: { key: string; at: number }[]
beforeEach(() => {
  clock = new VirtualClock()
  metrics = new Metrics()
  passes = []
})

type Pass = (key: string, context: ReconcileContext) => Promise<Result>
function start(pass: Pass, options: Partial<ControllerOptions> = {}): Controller {
  const controller = new Controller({
    reconciler: {
      name: 'thing',
      reconcile: (key, context) => {
        passes.push({ key, at: clock.monotonic() })
        return pass(key, context)
      },
    },
    clock,
    log: pino({ level: 'silent' }),
    metrics,
    random: () => 0,
    ...options,
  })
  controller.start()
  return controller
}
const times = () => passes.map(({ at }) => at)
const fail =
  (code: ErrorCode, options: { retryAfter?: number } = {}): Pass =>
  async () => {
    throw new BerthError(code, 'why', options)
  }
const counted = async (result: string): Promise<number> => {
  const { values } = await metrics.passes.get()
  return values.find(({ labels }) => labels.result === result)?.value ?? 0
}

describe('what becomes of a key', () => {
  test('success: nothing more', async () => {
    start(async () => ({})).enqueue('a')
    await clock.advance(3_600_000)
    expect(times()).toEqual([0])
    expect(await counted('success')).toBe(1)
  })

  test('success with requeueAfter: then', async () => {
    start(async () => (passes.length === 1 ? { requeueAfter: 5_000 } : {})).enqueue('a')
    await clock.advance(3_600_000)
    expect(times()).toEqual([0, 5_000])
    expect(await counted('requeue_after')).toBe(1)
  })

  test('Waiting: at its own time, without back-off', async () => {
    start(fail('WaitingForSlot', { retryAfter: 30_000 })).enqueue('a')
    await clock.advance(90_000)
    expect(times()).toEqual([0, 30_000, 60_000, 90_000])
  })

  test('Waiting that names no time: seldom, in case that nothing tells', async () => {
    start(fail('WaitingForSlot')).enqueue('a')
    await clock.advance(600_000)
    expect(times()).toEqual([0, 300_000, 600_000])
  })

  test('Terminal: not until something changes', async () => {
    const controller = start(fail('InvalidConfiguration'))
    controller.enqueue('a')
    await clock.advance(3_600_000)
    expect(times()).toEqual([0])
    controller.enqueue('a')
    await clock.advance(0)
    expect(times()).toHaveLength(2)
  })

  test('Terminal of which no watch tells that it was mended (RBAC): at its own time', async () => {
    start(fail('APIRefused', { retryAfter: 60_000 })).enqueue('a')
    await clock.advance(60_000)
    expect(times()).toEqual([0, 60_000])
  })

  test.each(['HypervisorUnreachable', 'CallTimedOut'] as const)('%s: with back-off', async (code) => {
    start(fail(code)).enqueue('a')
    await clock.advance(15_000)
    expect(times()).toEqual([0, 1_000, 3_000, 7_000, 15_000])
    expect(await counted('error')).toBe(5)
  })

  test('success ends the back-off', async () => {
    const controller = start(async () => {
      if (passes.length === 4) return {}
      throw new BerthError('HypervisorUnreachable', 'x')
    })
    controller.enqueue('a')
    await clock.advance(10_000)
    controller.enqueue('a')
    await clock.advance(1_000)
    expect(times()).toEqual([0, 1_000, 3_000, 7_000, 10_000, 11_000])
  })

  test('Conflict: at once, then soon while it goes on; no error is counted', async () => {
    const controller = start(async () => {
      if (passes.length === 4) return {}
      throw new BerthError('Conflict', 'x')
    })
    controller.enqueue('a')
    await clock.advance(5_000)
    expect(times()).toEqual([0, 0, 40, 120])
    expect(controller.queue.failures('a')).toBe(0)
    expect((await metrics.errorCodes.get()).values).toEqual([])
  })

  test('a Conflict after another outcome is a first one again', async () => {
    const controller = start(async () => {
      if (passes.length % 2 === 0) return {}
      throw new BerthError('Conflict', 'x')
    })
    controller.enqueue('a')
    await clock.advance(1_000)
    controller.enqueue('a')
    await clock.advance(1_000)
    expect(times()).toEqual([0, 0, 1_000, 1_000])
  })

  test('a defect that throws: as InternalError, with back-off, and others go on', async () => {
    const controller = start(
      async (key) => {
        if (key === 'bad') throw new TypeError('undefined is not a function')
        return {}
      },
      { workers: 1 },
    )
    controller.enqueue('bad')
    controller.enqueue('good')
    await clock.advance(1_000)
    expect(passes.map(({ key }) => key)).toEqual(['bad', 'good', 'bad'])
    expect((await metrics.errorCodes.get()).values[0]?.labels).toEqual({ controller: 'thing', reason: 'InternalError' })
  })

  test('a reconciler that throws before it is asynchronous is caught too', async () => {
    start((() => {
      throw new Error('at once')
    }) as Pass).enqueue('a')
    await clock.advance(1_000)
    expect(times()).toEqual([0, 1_000])
  })
})

test('several keys at once, up to the number of workers; one key never twice at once', async () => {
  let running = 0
  let most = 0
  const keys = new Set<string>()
  const controller = start(
    async (key) => {
      expect(keys.has(key)).toBe(false)
      keys.add(key)
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => clock.after(100, resolve))
      running--
      keys.delete(key)
      return {}
    },
    { workers: 3 },
  )
  for (let n = 0; n < 10; n++) controller.enqueue(`${n}`)
  for (let n = 0; n < 10; n++) {
    await clock.advance(50)
    controller.enqueue('0')
  }
  await clock.advance(1_000)
  expect(most).toBe(3)
  expect(new Set(passes.map(({ key }) => key)).size).toBe(10)
})

test('a pass that takes too long is aborted, and tried again', async () => {
  start(
    (_key, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    { passDeadline: 10_000 },
  ).enqueue('a')
  await clock.advance(11_000)
  expect(times()).toEqual([0, 11_000])
})

describe('a pass that does not end though it was aborted', () => {
  /** Hangs on `hung…` until it is let go. */
  const hanging = (letGo: Promise<void>): Pass => {
    return async (key) => {
      if (key.startsWith('hung')) await letGo
      return {}
    }
  }
  const abandoned = async () => (await metrics.abandonedPasses.get()).values[0]?.value

  test('keeps no worker, but its key: nothing else is begun for that object', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const controller = start(hanging(promise), { passDeadline: 10_000, abandonAfter: 5_000 })
    controller.enqueue('hung')
    await clock.advance(0)
    controller.enqueue('other')
    controller.enqueue('hung')
    await clock.advance(14_999)
    expect(passes.map(({ key }) => key)).toEqual(['hung'])
    await clock.advance(1)
    expect(passes.map(({ key }) => key)).toEqual(['hung', 'other'])
    expect(await abandoned()).toBe(1)
    resolve()
    await clock.advance(0)
    expect(passes.map(({ key }) => key)).toEqual(['hung', 'other', 'hung'])
    expect(await abandoned()).toBe(0)
    expect((await metrics.activeWorkers.get()).values[0]?.value).toBe(0)
    expect((await metrics.passTimeouts.get()).values[0]?.value).toBe(1)
  })

  test('keeps its place in its group: what hangs on one host stays bounded', async () => {
    const controller = start(hanging(new Promise(() => {})), {
      passDeadline: 10_000,
      abandonAfter: 5_000,
      groupOf: () => 'host',
      groupLimit: 2,
    })
    for (const key of ['hung 1', 'hung 2', 'hung 3']) controller.enqueue(key)
    await clock.advance(3_600_000)
    expect(passes.map(({ key }) => key)).toEqual(['hung 1', 'hung 2'])
  })

  test('is no clean end: the lease must not be released', async () => {
    const controller = start(hanging(new Promise(() => {})), { passDeadline: 10_000, abandonAfter: 5_000 })
    controller.enqueue('hung')
    await clock.advance(20_000)
    const stopped = controller.stop(20_000)
    await clock.advance(20_000)
    expect(await stopped).toBe(false)
  })
})

test('one hung host: what belongs to others is passed as if it were not there', async () => {
  const controller = start(async (key) => (key.startsWith('hung') ? new Promise(() => {}) : {}), {
    workers: 4,
    groupOf: (key) => key.split('/')[0],
    groupLimit: 1,
    passDeadline: 600_000,
  })
  for (let n = 0; n < 100; n++) controller.enqueue(`hung/${n}`)
  for (let n = 0; n < 100; n++) controller.enqueue(`well/${n}`)
  await clock.advance(0)
  expect(passes.filter(({ key, at }) => key.startsWith('well') && at === 0)).toHaveLength(100)
})

test('what nobody foresaw is counted and told; what was foreseen is not', async () => {
  const told: string[] = []
  const controller = start(
    async (key) => {
      if (key === 'defect') throw new TypeError('x is undefined')
      throw new BerthError('HypervisorUnreachable', 'x')
    },
    { onDefect: (error, name) => told.push(`${name} ${error.code} ${error.cause}`) },
  )
  controller.enqueue('defect')
  controller.enqueue('unreachable')
  await clock.advance(0)
  expect(told).toEqual(['thing InternalError TypeError: x is undefined'])
  expect((await metrics.panics.get()).values[0]?.value).toBe(1)
  expect((await metrics.passErrors.get()).values[0]?.value).toBe(2)
})

test('each pass is traced with its outcome; the log names the trace', async () => {
  const traced: string[] = []
  const lines: string[] = []
  const tracing: Tracing = {
    async pass(controller, work) {
      const ended = await work('trace-1')
      traced.push(`${controller} ${ended.outcome}`)
      return ended
    },
    call() {},
  }
  const controller = start(
    async (key, { log }) => {
      log.info('looking')
      if (key === 'bad') throw new BerthError('HypervisorUnreachable', 'x')
      return {}
    },
    { tracing, log: pino({ level: 'info' }, { write: (line) => void lines.push(line) }) },
  )
  controller.enqueue('good')
  controller.enqueue('bad')
  await clock.advance(0)
  expect(traced).toEqual(['thing Success', 'thing HypervisorUnreachable'])
  expect(lines.filter((line) => line.includes('"traceID":"trace-1"'))).toHaveLength(2)
})

describe('stop', () => {
  test('waits for the pass that runs, and takes no other', async () => {
    const controller = start(async () => {
      await new Promise<void>((resolve) => clock.after(1_000, resolve))
      return {}
    })
    controller.enqueue('a')
    controller.enqueue('b')
    await clock.advance(500)
    const stopped = controller.stop(20_000)
    await clock.advance(500)
    expect(await stopped).toBe(true)
    expect(passes.map(({ key }) => key)).toEqual(['a'])
  })

  test('a pass that does not end in time is aborted, and said so', async () => {
    let reason: unknown
    const controller = start(
      (_key, { signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => {
            reason = signal.reason
          })
        }),
    )
    controller.enqueue('a')
    await clock.advance(0)
    const stopped = controller.stop(20_000)
    await clock.advance(20_000)
    expect(await stopped).toBe(false)
    expect(reason).toMatchObject({ code: 'NotLeader' })
  })
})
