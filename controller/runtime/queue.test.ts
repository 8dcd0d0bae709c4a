import { beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { VirtualClock } from './clock.ts'
import { priorities } from './port.ts'
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
  let working: () => readonly number[] = () => []
  const measured = new Queue({
    clock,
    metrics: {
      added: () => seen.push('added'),
      depth: (priority, length) => seen.push(`${priority} ${length}`),
      waited: (seconds) => seen.push(`waited ${seconds}`),
      worked: (seconds) => seen.push(`worked ${seconds}`),
      retried: () => seen.push('retried'),
      working: (seconds) => {
        working = seconds
      },
    },
  })
  measured.add('a')
  measured.add('a')
  await clock.advance(2_000)
  await measured.take()
  await clock.advance(3_000)
  expect(working()).toEqual([3])
  measured.done('a')
  measured.retry('a')
  expect(seen).toEqual(['added', 'Event 1', 'Event 0', 'waited 2', 'worked 3', 'retried'])
})

describe('priorities', () => {
  test('the most urgent comes first, of one priority in order of arrival', async () => {
    const added = ['Resync', 'Retry', 'Event', 'Deletion', 'Change'] as const
    for (const priority of added) queue.add(priority, priority)
    queue.add('Change 2', 'Change')
    // The fourth is the turn of who has waited longest.
    expect(await taken()).toEqual(['Change', 'Change 2', 'Deletion', 'Resync', 'Event', 'Retry'])
  })

  test('a flood without urgency does not hold up a change', async () => {
    for (let n = 0; n < 10_000; n++) queue.add(`resync ${n}`, 'Resync')
    await clock.advance(3_600_000)
    queue.add('change', 'Change')
    const first = [await queue.take(), await queue.take()]
    expect(first).toContain('change')
  })

  test('adding again raises a key that waits, and never lowers it', async () => {
    for (const key of ['a', 'b', 'c']) queue.add(key, 'Resync')
    queue.add('c', 'Change')
    queue.add('c', 'Resync')
    expect(await taken()).toEqual(['c', 'a', 'b'])
  })

  test('one that is raised while it is worked on comes as the most urgent that it was added with', async () => {
    queue.add('a')
    await queue.take()
    queue.add('a', 'Change')
    queue.add('a', 'Resync')
    for (const key of ['b', 'c']) queue.add(key, 'Deletion')
    queue.done('a')
    expect(await taken()).toEqual(['a', 'b', 'c'])
  })

  test('a retry comes after news, and before what nobody asked for', async () => {
    queue.retry('failed')
    await clock.advance(1_000)
    queue.add('listed', 'Resync')
    queue.add('news')
    expect(await taken()).toEqual(['news', 'failed', 'listed'])
  })

  test('property: n keys wait; one more comes within 4·(n+1), though others that are more urgent come without end', async () => {
    const priority = fc.constantFrom(...priorities)
    await fc.assert(
      fc.asyncProperty(fc.array(priority, { maxLength: 12 }), priority, async (before, own) => {
        const flooded = new Queue({ clock })
        for (const [n, other] of before.entries()) flooded.add(`before ${n}`, other)
        flooded.add('mine', own)
        const given: string[] = []
        for (let n = 0; n < 4 * (before.length + 1); n++) {
          flooded.add(`flood ${n}`, 'Change')
          flooded.add(`more ${n}`, 'Change')
          const key = (await flooded.take()) as string
          given.push(key)
          flooded.done(key)
        }
        expect(given).toContain('mine')
      }),
      { numRuns: 50 },
    )
  })
})

describe('groups', () => {
  const groupOf = (key: string): string | undefined => (key.startsWith('none') ? undefined : key.split('/')[0])
  const handed = async (from: Queue, count: number) => {
    const keys: (string | undefined)[] = []
    for (let n = 0; n < count; n++) keys.push(await from.take())
    return keys
  }

  test('a host that hangs holds as many workers as its limit; the others go on, in order', async () => {
    const grouped = new Queue({ clock, groupOf, groupLimit: 2 })
    for (const key of ['slow/1', 'slow/2', 'slow/3', 'fast/1', 'slow/4', 'none', 'fast/2']) grouped.add(key)
    expect(await handed(grouped, 5)).toEqual(['slow/1', 'slow/2', 'fast/1', 'none', 'fast/2'])
    const waits = grouped.take()
    let given: string | undefined
    void waits.then((key) => {
      given = key
    })
    await clock.advance(60_000)
    expect(given).toBeUndefined()
    expect(grouped.length).toBe(2)
    // It answers again.
    grouped.done('slow/1')
    expect(await waits).toBe('slow/3')
  })

  test('what belongs to no group has no limit', async () => {
    const grouped = new Queue({ clock, groupOf, groupLimit: 1 })
    for (const key of ['none/1', 'none/2', 'none/3']) grouped.add(key)
    expect(await handed(grouped, 3)).toEqual(['none/1', 'none/2', 'none/3'])
  })

  test('of a group that has room again the most urgent comes first', async () => {
    const grouped = new Queue({ clock, groupOf, groupLimit: 1 })
    grouped.add('a/1')
    await grouped.take()
    grouped.add('a/2', 'Resync')
    grouped.add('a/3', 'Change')
    grouped.done('a/1')
    expect(await grouped.take()).toBe('a/3')
  })

  test('a key whose group has changed counts for the new one: when it is added again, or handed out', async () => {
    const group = new Map([
      ['first', 'a'],
      ['moves', 'a'],
      ['later', 'b'],
    ])
    const grouped = new Queue({ clock, groupOf: (key) => group.get(key), groupLimit: 1 })
    for (const key of ['first', 'moves', 'later']) grouped.add(key)
    await grouped.take()
    group.set('moves', 'c')
    grouped.add('moves')
    group.set('later', 'a')
    // `later` is of the group now that is full.
    expect(await grouped.take()).toBe('moves')
    expect(grouped.length).toBe(1)
    grouped.done('first')
    expect(await grouped.take()).toBe('later')
  })
})

test('property: whatever happens, no key is lost, none is with two workers, no group is over its limit', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const priority = fc.constantFrom(...priorities)
  const group = fc.constantFrom('x', 'y', undefined)
  const action = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const), key, priority }) },
    fc.record({ do: fc.constant('move' as const), key, group }),
    fc.record({ do: fc.constant('addAfter' as const), key, delay: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ do: fc.constant('retry' as const), key }),
    { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
    fc.record({ do: fc.constant('done' as const), key }),
    fc.record({ do: fc.constant('advance' as const), by: fc.integer({ min: 1, max: 40 }) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const time = new VirtualClock()
      const groups = new Map<string, string | undefined>([
        ['a', 'x'],
        ['b', 'x'],
        ['c', 'y'],
      ])
      const tested = new Queue({
        clock: time,
        backoff: { base: 10, max: 40 },
        groupOf: (asked) => groups.get(asked),
        groupLimit: 1,
      })
      /** Key → the group that it counts for. */
      const working = new Map<string, string | undefined>()
      /** Added, and not begun since. */
      const owed = new Set<string>()
      const wrong: string[] = []
      let asking = 0
      const ask = () => {
        asking++
        void tested.take().then((next = '') => {
          asking--
          const mine = groups.get(next)
          if (working.has(next)) wrong.push(`${next} is worked on already`)
          if (mine !== undefined && [...working.values()].includes(mine)) wrong.push(`${next}: ${mine} is full`)
          working.set(next, mine)
          owed.delete(next)
        })
      }
      const done = (busy: string) => {
        working.delete(busy)
        tested.done(busy)
      }
      for (const step of actions) {
        if (step.do === 'take') ask()
        else if (step.do === 'move') groups.set(step.key, step.group)
        else if (step.do === 'done') done(step.key)
        else if (step.do === 'advance') {
          time.stall(step.by)
          await time.advance(0)
        } else {
          owed.add(step.key)
          if (step.do === 'add') tested.add(step.key, step.priority)
          else if (step.do === 'addAfter') tested.addAfter(step.key, step.delay)
          else tested.retry(step.key)
        }
        await Promise.resolve()
      }
      for (let round = 0; round < 12; round++) {
        for (const busy of [...working.keys()]) done(busy)
        while (asking < tested.length) ask()
        await time.advance(20)
      }
      expect(wrong).toEqual([])
      expect([...owed]).toEqual([])
      expect(tested.length).toBe(0)
    }),
    { numRuns: 100 },
  )
})
