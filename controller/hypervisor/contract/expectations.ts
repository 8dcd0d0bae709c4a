import { expect } from '@jest/globals'
import { type ErrorCode, isBerthError } from '../../errors/index.ts'

/** Expects the call to be refused with one of the codes. */
export async function expectRefusal(call: Promise<unknown>, ...codes: readonly ErrorCode[]): Promise<void> {
  const outcome = await call.then(
    () => 'it was done',
    (error: unknown) => (isBerthError(error) ? error.code : error),
  )
  expect(codes).toContain(outcome)
}

/** Waits until the condition gives something; rejects with what it last threw, or a timeout. */
export async function eventually<T>(condition: () => Promise<T | undefined | false>, deadline = 15_000): Promise<T> {
  const end = performance.now() + deadline
  for (;;) {
    let failure: unknown = new Error(`not within ${deadline} ms`)
    try {
      const found = await condition()
      if (found !== undefined && found !== false) return found as T
    } catch (error) {
      failure = error
    }
    if (performance.now() > end) throw failure
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
