import { expect, test } from '@jest/globals'
import { backoff, sleep, systemClock } from './clock.ts'

test('back-off doubles up to the maximum, less a random half', () => {
  const least = [0, 1, 2, 3, 99].map((attempt) => backoff(attempt, 100, 500, () => 0))
  const most = [0, 1, 2, 3, 99].map((attempt) => backoff(attempt, 100, 500, () => 1))
  expect(least).toEqual([50, 100, 200, 250, 250])
  expect(most).toEqual([100, 200, 400, 500, 500])
})

test('sleep ends at once when it is aborted, before or during', async () => {
  const abort = new AbortController()
  const sleeping = sleep(systemClock, 1e6, abort.signal)
  abort.abort(new Error('up'))
  await expect(sleeping).rejects.toThrow('up')
  await expect(sleep(systemClock, 1e6, abort.signal)).rejects.toThrow('up')
})
