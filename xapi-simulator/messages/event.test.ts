import { describe, expect, test } from '@jest/globals'
import type { EventBatch } from '../state/events.ts'
import { failure, TestPool } from '../testing/client.ts'

const since = (pool: TestPool, classes: readonly string[], token: string, timeout = 0) =>
  pool.call<EventBatch>('event.from', classes, token, timeout)

const summary = (batch: EventBatch) => batch.events.map(({ class: name, operation, ref }) => [name, operation, ref])

/** Whether a promise is settled once all that can happen has happened. */
async function settled(promise: Promise<unknown>, pool: TestPool): Promise<boolean> {
  let done = false
  const mark = () => {
    done = true
  }
  promise.then(mark, mark)
  await pool.clock.advance(0)
  return done
}

describe('event.from', () => {
  test('tells everything as added to who has no token, with snapshots', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm({ name_label: 'new' })
    const batch = await since(pool, ['VM'], '')
    expect(batch.events.every(({ operation }) => operation === 'add')).toBe(true)
    expect(batch.events).toHaveLength(pool.control.database.all('VM').length)
    expect(batch.events.find(({ ref }) => ref === vm)).toMatchObject({ class: 'vm', snapshot: { name_label: 'new' } })
    expect(batch.token).toMatch(/^\d{20},\d{20}$/)
    expect(batch.valid_ref_counts['vm']).toBe(pool.control.database.all('VM').length)
  })

  test('tells of each object once, as it is now: what came and went is silent, what went has no snapshot', async () => {
    const pool = await TestPool.open()
    const gone = await pool.makeVm()
    const kept = await pool.makeVm()
    const { token } = await since(pool, ['vm'], '')
    await pool.call('VM.destroy', await pool.makeVm())
    await pool.call('VM.destroy', gone)
    await pool.call('VM.set_name_label', kept, 'once')
    await pool.call('VM.set_name_label', kept, 'twice')
    const added = await pool.makeVm()
    const batch = await since(pool, ['vm'], token)
    expect(summary(batch)).toEqual([
      ['vm', 'add', added],
      ['vm', 'mod', kept],
      ['vm', 'del', gone],
    ])
    expect(batch.events[1]).toMatchObject({ snapshot: { name_label: 'twice' } })
    expect(batch.events[2]).not.toHaveProperty('snapshot')
    expect((await since(pool, ['vm'], batch.token)).events).toEqual([])
  })

  test('tells of the classes and objects that were asked for alone', async () => {
    const pool = await TestPool.open()
    const [wanted, other] = [await pool.makeVm(), await pool.makeVm()]
    const { token } = await since(pool, ['*'], '')
    await pool.call('VM.set_name_label', wanted, 'a')
    await pool.call('VM.set_name_label', other, 'b')
    await pool.makeVdi()
    expect(summary(await since(pool, [`vm/${wanted}`], token))).toEqual([['vm', 'mod', wanted]])
    const names = new Set((await since(pool, ['*'], token)).events.map((event) => event.class))
    expect(names).toEqual(new Set(['vm', 'vdi', 'sr']))
  })

  test('tells of both ends when a reference is made', async () => {
    const pool = await TestPool.open()
    const [vm, vdi] = [await pool.makeVm(), await pool.makeVdi()]
    const { token } = await since(pool, ['*'], '')
    const vbd = await pool.makeVbd(vm, vdi)
    const told = summary(await since(pool, ['vm', 'vbd', 'vdi'], token))
    expect(told.toSorted()).toEqual(
      [
        ['vbd', 'add', vbd],
        ['vdi', 'mod', vdi],
        ['vm', 'mod', vm],
      ].toSorted(),
    )
  })

  test('waits for a change, and not for one of another class', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    const { token } = await since(pool, ['vm'], '')
    const waiting = since(pool, ['vm'], token, 60)
    await pool.makeVdi()
    expect(await settled(waiting, pool)).toBe(false)
    await pool.call('VM.set_name_label', vm, 'changed')
    expect(summary(await waiting)).toEqual([['vm', 'mod', vm]])
  })

  test('answers nothing but a token when the time is over', async () => {
    const pool = await TestPool.open()
    const { token } = await since(pool, ['vm'], '')
    const waiting = since(pool, ['vm'], token, 60)
    await pool.clock.advance(59_999)
    expect(await settled(waiting, pool)).toBe(false)
    await pool.clock.advance(1)
    expect((await waiting).events).toEqual([])
  })

  test('ends with the session', async () => {
    const pool = await TestPool.open()
    const { token } = await since(pool, ['vm'], '')
    const waiting = failure(since(pool, ['vm'], token, 60))
    await pool.clock.advance(0)
    await pool.call('session.logout')
    expect(await waiting).toEqual(['SESSION_INVALID', pool.session])
  })

  test('refuses a token that it cannot read, and one that is too old', async () => {
    const pool = await TestPool.open()
    expect(await failure(since(pool, ['vm'], 'nonsense'))).toEqual(['EVENT_FROM_TOKEN_PARSE_FAILURE', 'nonsense'])
    const { token } = await since(pool, ['vm'], '')
    pool.control.loseEvents()
    expect(await failure(since(pool, ['vm'], token))).toEqual(['EVENTS_LOST'])
    expect((await since(pool, ['vm'], '')).events.length).toBeGreaterThan(0)
  })

  test('loses events by itself when more objects were deleted than it remembers', async () => {
    const pool = await TestPool.open()
    const { token } = await since(pool, ['task'], '')
    for (let count = 0; count <= 500; count++) await pool.call('task.destroy', await pool.call('task.create', '', ''))
    expect(await failure(since(pool, ['task'], token))).toEqual(['EVENTS_LOST'])
  })
})

describe('event.inject', () => {
  test('makes a change of nothing, and answers a token from before it', async () => {
    const pool = await TestPool.open()
    const [reference] = pool.control.database.all('pool')[0] ?? []
    const token = await pool.call('event.inject', 'pool', reference)
    expect(summary(await since(pool, ['pool'], token))).toEqual([['pool', 'mod', reference]])
    expect(await failure(pool.call('event.inject', 'VM', reference))).toEqual(['HANDLE_INVALID', 'VM', reference])
  })
})
