import { setTimeout as sleep } from 'node:timers/promises'

/** Looks again and again until `look` gives something, and gives that. Rejects after `timeout` ms, saying what was last seen. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { timeout = 60_000, every = 200 }: { readonly timeout?: number; readonly every?: number } = {},
): Promise<T> {
  const deadline = performance.now() + timeout
  let last: unknown = 'nothing'
  for (;;) {
    try {
      const seen = await look()
      if (seen !== undefined && seen !== false) return seen
    } catch (error) {
      last = error instanceof Error ? error.message : error
    }
    if (performance.now() > deadline) throw new Error(`not within ${timeout / 1000} s: ${what} (last: ${String(last)})`)
    await sleep(every)
  }
}
