import { expect, test } from '@jest/globals'
import { KeyedMutex, Semaphore } from './locks.ts'

const never = new AbortController().signal

test('work for one key runs in order, one at a time, also after a failure; keys do not wait for each other', async () => {
  const mutex = new KeyedMutex()
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = mutex.run('a', async () => {
    await gate.promise
    log.push('a1')
    throw new Error('failed')
  })
  const second = mutex.run('a', async () => log.push('a2'))
  await mutex.run('b', async () => log.push('b'))
  gate.resolve()
  await expect(first).rejects.toThrow('failed')
  await second
  await mutex.idle()
  expect(log).toEqual(['b', 'a1', 'a2'])
})

test('a semaphore lets so many in, then in the order of coming; giving back twice counts once', async () => {
  const semaphore = new Semaphore(1)
  const leave = await semaphore.acquire(never)
  const log: number[] = []
  const second = semaphore.acquire(never).then((next) => {
    log.push(2)
    return next
  })
  const third = semaphore.acquire(never).then(() => log.push(3))
  leave()
  leave()
  const leaveSecond = await second
  await Promise.resolve()
  expect(log).toEqual([2])
  leaveSecond()
  await third
  expect(log).toEqual([2, 3])
})

test('one who gives up waiting takes no place', async () => {
  const semaphore = new Semaphore(1)
  const leave = await semaphore.acquire(never)
  const abort = new AbortController()
  const waiting = semaphore.acquire(abort.signal)
  abort.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  leave()
  await expect(semaphore.acquire(never)).resolves.toBeDefined()
  await expect(semaphore.acquire(abort.signal)).rejects.toThrow('enough')
})
