import { describe, expect, test } from '@jest/globals'
import { failure, TestPool } from '../testing/client.ts'

const record = (pool: TestPool, task: string) => pool.control.database.get('task', task)

describe('a message sent asynchronously', () => {
  test('is pending for as long as it is set to take, tells its progress, and has its effect at the end', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    pool.control.setDuration('VM.start', 4000)
    const task = await pool.call('Async.VM.start', vm, false, false)
    expect(record(pool, task)).toMatchObject({ name_label: 'Async.VM.start', status: 'pending', progress: 0 })
    await pool.clock.advance(3999)
    expect(record(pool, task)).toMatchObject({ status: 'pending', progress: 0.75 })
    expect(await pool.call('VM.get_power_state', vm)).toBe('Halted')
    await pool.clock.advance(1)
    expect(record(pool, task)).toMatchObject({ status: 'success', progress: 1, result: '', error_info: [] })
    expect(await pool.call('VM.get_power_state', vm)).toBe('Running')
  })

  test('has its result as XML-RPC writes it', async () => {
    const pool = await TestPool.open()
    const task = await pool.call('Async.VM.clone', await pool.makeVm(), 'clone & more')
    await pool.clock.advance(0)
    const [clone] = await pool.call<string[]>('VM.get_by_name_label', 'clone & more')
    expect(record(pool, task).result).toBe(`<value>${clone}</value>`)
  })

  test('fails by its task, with the error and its parameters', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    const task = await pool.call('Async.VM.pause', vm)
    await pool.clock.advance(0)
    expect(record(pool, task)).toMatchObject({
      status: 'failure',
      error_info: ['VM_BAD_POWER_STATE', vm, 'running', 'halted'],
    })
  })

  test('goes on when its session is gone', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    pool.control.setDuration('VM.start', 1000)
    const task = await pool.call('Async.VM.start', vm, false, false)
    pool.control.endSessions()
    await pool.clock.advance(1000)
    expect(record(pool, task).status).toBe('success')
  })

  test('can be cancelled while it goes on, without effect', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    const free = pool.control.database.all('host_metrics')[0]?.[1].memory_free
    pool.control.setDuration('VM.start', 1000)
    const task = await pool.call('Async.VM.start', vm, false, false)
    expect(pool.control.database.all('host_metrics')[0]?.[1].memory_free).toBeLessThan(free ?? 0)
    await pool.call('task.cancel', task)
    await pool.clock.advance(1000)
    expect(record(pool, task)).toMatchObject({ status: 'cancelled', error_info: [] })
    expect(await pool.call('VM.get_record', vm)).toMatchObject({
      power_state: 'Halted',
      current_operations: {},
      scheduled_to_be_resident_on: 'OpaqueRef:NULL',
    })
    expect(pool.control.database.all('host_metrics')[0]?.[1].memory_free).toBe(free)
    expect((await failure(pool.call('task.cancel', task)))[0]).toBe('OPERATION_NOT_ALLOWED')
  })

  test('that is destroyed is gone when it has ended, and is carried out', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    pool.control.setDuration('VM.start', 1000)
    const task = await pool.call('Async.VM.start', vm, false, false)
    await pool.call('task.destroy', task)
    expect(record(pool, task)).toMatchObject({ status: 'pending', current_operations: { task: 'destroy' } })
    await pool.clock.advance(1000)
    expect(await failure(pool.call('task.get_status', task))).toEqual(['HANDLE_INVALID', 'task', task])
    expect(await pool.call('VM.get_power_state', vm)).toBe('Running')
  })

  test('is not known for what is answered from the records', async () => {
    const pool = await TestPool.open()
    expect(await failure(pool.call('Async.VM.get_all'))).toEqual(['MESSAGE_METHOD_UNKNOWN', 'Async.VM.get_all'])
    expect(await failure(pool.call('VM.nonsense'))).toEqual(['MESSAGE_METHOD_UNKNOWN', 'VM.nonsense'])
  })
})

test('a task that a client made is ended by the client', async () => {
  const pool = await TestPool.open()
  const task = await pool.call('task.create', 'label', 'description')
  await pool.call('task.set_progress', task, 0.5)
  await pool.call('task.set_status', task, 'success')
  expect(record(pool, task)).toMatchObject({ name_description: 'description', progress: 0.5, status: 'success' })
})

describe('sessions', () => {
  test('want the right name and password', async () => {
    const pool = await TestPool.open()
    for (const credentials of [
      ['root', 'wrong'],
      ['nobody', 'secret'],
    ]) {
      const [code] = await failure(pool.send('session.login_with_password', credentials))
      expect(code).toBe('SESSION_AUTHENTICATION_FAILED')
    }
  })

  test('are at the master alone: others name its address, whatever the password', async () => {
    const pool = await TestPool.open({ members: 2 })
    const login = pool.send('session.login_with_password', ['root', 'wrong'], 1)
    expect(await failure(login)).toEqual(['HOST_IS_SLAVE', '192.0.2.1'])
    expect(await failure(pool.send('VM.get_all', [pool.session], 1))).toEqual(['HOST_IS_SLAVE', '192.0.2.1'])
  })

  test('follow the master when it changes', async () => {
    const pool = await TestPool.open({ members: 2 })
    await pool.call('pool.designate_new_master', pool.members[1]?.host)
    expect(await failure(pool.call('VM.get_all'))).toEqual(['HOST_IS_SLAVE', '192.0.2.2'])
    expect(await failure(pool.logIn(0))).toEqual(['HOST_IS_SLAVE', '192.0.2.2'])
    expect(await pool.send('pool.get_all', [await pool.logIn(1)], 1)).toHaveLength(1)
  })

  test('end when they were not used for a day', async () => {
    const pool = await TestPool.open()
    const day = 24 * 60 * 60 * 1000
    await pool.clock.advance(day)
    await pool.call('VM.get_all')
    await pool.clock.advance(day)
    await pool.call('VM.get_all')
    await pool.clock.advance(day + 1)
    expect(await failure(pool.call('VM.get_all'))).toEqual(['SESSION_INVALID', pool.session])
  })
})
