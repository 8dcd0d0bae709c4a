import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

/** Everything that decides: the clock is given to it, so that a test can be it. */
const folders = ['kube', 'runtime', 'placement', 'reconcilers']
/** The clock itself, the timestamps of the log, and what runs in tests alone. */
const exempt = /(^runtime\/(clock|logger)|\.test)\.ts$|\/testing\//
const forbidden = [
  /\bset(Timeout|Interval|Immediate)\(/,
  /\bDate\.now\(/,
  /\bnew Date\(\)/,
  /\bperformance\.now\(/,
  /\bprocess\.hrtime\b/,
  /\bfrom 'node:timers/,
  /\bAbortSignal\.timeout\(/,
  /\bMath\.random\(/,
]
const root = fileURLToPath(new URL('../', import.meta.url))

const found = (source: string): boolean => forbidden.some((pattern) => pattern.test(source))

test('no timer, time or chance but through the clock and the random source that are given', () => {
  const files = globSync(`{${folders}}/**/*.ts`, { cwd: root }).filter((file) => !exempt.test(file))
  expect(files).toEqual(expect.arrayContaining(['reconcilers/wakeups.ts', 'kube/lease.ts', 'runtime/queue.ts']))
  expect(files.filter((file) => found(readFileSync(`${root}${file}`, 'utf8')))).toEqual([])
})

test.each([
  'setTimeout(() => {}, 5)',
  'setInterval(tick, 5)',
  'const now = Date.now()',
  'const now = new Date()',
  'const started = performance.now()',
  "import { setTimeout as sleep } from 'node:timers/promises'",
  'const signal = AbortSignal.timeout(5)',
  'const dice = Math.random()',
])('this would be found: %s', (source) => expect(found(source)).toBe(true))

test.each(['new Date(clock.now())', 'random = Math.random', 'Date.parse(time)'])('this would not: %s', (source) =>
  expect(found(source)).toBe(false),
)
