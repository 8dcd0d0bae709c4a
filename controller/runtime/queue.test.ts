import { beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { VirtualClock } from './clock.ts'
import { Queue } from './queue.ts'

let clock: VirtualClock
let queue: Queue
beforeEach(() => {
  clock = new VirtualClock()
  queue = new Queue({ clock, random: () => 0 })
})

/** What a free worker would be given now. */
async function taken(from = queue): Promise<string[]> {
  const keys: string[] = []
  while (from.length > 0) keys.push((await from.take()) as string)
  return keys
}

describe('keys', () => {
  test('come out in order of arrival, each once', async () => {
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key)
    expect(await taken()).toEqual(['a', 'b', 'c'])
  })

  test('one that is added while it is worked on comes again, after that and once', async () => {
    queue.add('a')
    await queue.take()
    queue.add('a')
    queue.add('a')
    expect(queue.length).toBe(0)
    queue.done('a')
    expect(await taken()).toEqual(['a'])
    queue.done('a')
    expect(queue.length).toBe(0)
  })

  test('go to who waits, in order', async () => {
    const takers = [queue.take(), queue.take()]
    queue.add('a')
    queue.add('b')
    expect(await Promise.all(takers)).toEqual(['a', 'b'])
  })

  test('done of what is not worked on is nothing', () => {
    queue.done('x')
    expect(queue.length).toBe(0)
  })
})

describe('delays', () => {
  test('come in order of time', async () => {
    queue.addAfter('late', 300)
    queue.addAfter('soon', 100)
    await clock.advance(99)
    expect(queue.length).toBe(0)
    await clock.advance(1)
    expect(await taken()).toEqual(['soon'])
    await clock.advance(200)
    expect(await taken()).toEqual(['late'])
  })

  test.each([
    [100, 500],
    [500, 100],
  ])('of %d and %d ms the earlier wins, and it comes once', async (first, second) => {
    queue.addAfter('a', first)
    queue.addAfter('a', second)
    await clock.advance(100)
    expect(await taken()).toEqual(['a'])
    queue.done('a')
    await clock.advance(1_000)
    expect(queue.length).toBe(0)
  })

  test('adding at once overtakes the delay, which then is void: the pass decides anew', async () => {
    queue.addAfter('a', 100)
    queue.add('a')
    await taken()
    queue.done('a')
    await clock.advance(1_000)
    expect(queue.length).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('a worker’s own delay is kept though it is still on the key', async () => {
    queue.add('a')
    await queue.take()
    queue.addAfter('a', 100)
    queue.done('a')
    expect(queue.length).toBe(0)
    await clock.advance(100)
    expect(await taken()).toEqual(['a'])
  })

  test.each([0, -5])('%d ms is at once', async (delay) => {
    queue.addAfter('a', delay)
    expect(await taken()).toEqual(['a'])
  })
})

describe('back-off', () => {
  test('doubles from 1 s to 60 s, per key, until forgotten', async () => {
    const delays: number[] = []
    for (let n = 0; n < 9; n++) {
      const before = clock.monotonic()
      queue.retry('a')
      while (queue.length === 0) await clock.advance(500)
      delays.push(clock.monotonic() - before)
      await taken()
      queue.done('a')
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000))
    expect(queue.failures('b')).toBe(0)
    queue.forget('a')
    expect(queue.failures('a')).toBe(0)
  })

  test('is shortened at random, by a fifth at most', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (random) => {
        const own = new VirtualClock()
        const jittered = new Queue({ clock: own, random: () => random })
        jittered.retry('a')
        own.stall(799)
        expect(jittered.length).toBe(0)
      }),
    )
  })

  test('waits at least as long as the server asked for', async () => {
    queue.retry('a', 7_000)
    await clock.advance(6_999)
    expect(queue.length).toBe(0)
    await clock.advance(1)
    expect(queue.length).toBe(1)
  })
})

test('shut down: who waits gets nothing, nothing is taken any more, no timer is left', async () => {
  const taker = queue.take()
  queue.addAfter('a', 100)
  queue.shutDown()
  expect(await taker).toBeUndefined()
  queue.add('b')
  queue.addAfter('c', 1)
  expect(await queue.take()).toBeUndefined()
  expect(queue.length).toBe(0)
  expect(clock.pending).toBe(0)
})

test('metrics count what happened', async () => {
  const seen: string[] = []
  const measured = new Queue({
    clock,
    metrics: {
      added: () => seen.push('added'),
      depth: (length) => seen.push(`depth ${length}`),
      waited: (seconds) => seen.push(`waited ${seconds}`),
      worked: (seconds) => seen.push(`worked ${seconds}`),
      retried: () => seen.push('retried'),
    },
  })
  measured.add('a')
  measured.add('a')
  await clock.advance(2_000)
  await measured.take()
  await clock.advance(3_000)
  measured.done('a')
  measured.retry('a')
  expect(seen).toEqual(['added', 'depth 1', 'waited 2', 'depth 0', 'worked 3', 'retried'])
})

test('property: whatever happens, no key is lost and none is with two workers', async () => {
  const key = fc.constantFrom('a', 'b', 'c')
  const action = fc.oneof(
    fc.record({ do: fc.constant('add' as const), key }),
    fc.record({ do: fc.constant('addAfter' as const), key, delay: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ do: fc.constant('retry' as const), key }),
    fc.record({ do: fc.constant('take' as const) }),
    fc.record({ do: fc.constant('done' as const), key }),
    fc.record({ do: fc.constant('advance' as const), by: fc.integer({ min: 1, max: 40 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const time = new VirtualClock()
      const tested = new Queue({ clock: time, backoff: { base: 10, max: 40 } })
      const working = new Set<string>()
      /** Added, and not begun since. */
      const owed = new Set<string>()
      const take = async () => {
        const next = (await tested.take()) as string
        expect(working.has(next)).toBe(false)
        working.add(next)
        owed.delete(next)
      }
      for (const step of actions) {
        if (step.do === 'take') {
          if (tested.length > 0) await take()
        } else if (step.do === 'advance') {
          time.stall(step.by)
          await time.advance(0)
        } else if (step.do === 'done') {
          working.delete(step.key)
          tested.done(step.key)
        } else {
          owed.add(step.key)
          if (step.do === 'add') tested.add(step.key)
          else if (step.do === 'addAfter') tested.addAfter(step.key, step.delay)
          else tested.retry(step.key)
        }
      }
      for (let round = 0; round < 3; round++) {
        for (const busy of [...working]) {
          working.delete(busy)
          tested.done(busy)
        }
        await time.advance(100)
        while (tested.length > 0) await take()
      }
      expect([...owed]).toEqual([])
    }),
    { numRuns: 60 },
  )
})
