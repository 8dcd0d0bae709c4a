/** Any line may be the last (design, invariant 1): the whole suite, and whether it would find what it is there for. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from '@jest/globals'
import { mutants } from './mutants/all.ts'
import { rowOf } from './mutants/mutant.ts'

const minutes = 60_000

/** A process of its own: chance is seeded there, and code is changed while it is loaded. */
async function node(
  file: string,
  ...args: string[]
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [new URL(file, import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [code, output, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { code, output: `${output}${errors}` }
}

test(
  'killed at every effect of every workload, in every position: the same end, nothing twice, nothing left, silence',
  async () => {
    // Five, as each effect has three variants: all of them come up. `npm run test:fault` tries all.
    const { code, output } = await node('main.ts', '--sample', '5')
    expect(output).toMatch(/\d+ workloads, \d+ effects, \d+ runs in \d+ s: 0 found\n$/)
    expect(code).toBe(0)
  },
  20 * minutes,
)

test(
  'each wrong shortcut is found by what the documentation says',
  async () => {
    const { code, output } = await node('mutants/main.ts')
    expect(output).toContain(`${mutants.length} mutants, 0 survived`)
    expect(code).toBe(0)
  },
  10 * minutes,
)

describe('docs/fault-testing.md', () => {
  const page = readFileSync(new URL('../../docs/fault-testing.md', import.meta.url), 'utf8')
  test.each(mutants)('says by what $name is found', (mutant) => {
    expect(page).toContain(rowOf(mutant))
  })
})
