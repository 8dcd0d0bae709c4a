import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from '@jest/globals'
import type { AbilityName, Lacks } from './abilities.ts'
import type { ContractRecord, ContractTest } from './record.ts'

/** Takes the parts of the contract as they are described. */
export interface Register {
  group(name: string, describeTests: () => void): void
  /** `lacking`: the need that the host does not meet, which excludes the test. */
  test(name: string, lacking: AbilityName | undefined, body: () => Promise<void>): void
}

/** Where runs leave their records, one file for each host. */
export const recordDirectory = join(import.meta.dirname, '../../../.run/contract')

/** Makes tests of jest, and remembers how they ended. */
export class JestRegister implements Register {
  readonly #host: string
  readonly #lacks: Lacks
  readonly #tests: ContractTest[] = []
  #group = ''

  constructor(host: string, lacks: Lacks) {
    this.#host = host
    this.#lacks = lacks
  }

  group(name: string, describeTests: () => void): void {
    this.#group = name
    describe(name, describeTests)
  }

  test(name: string, lacking: AbilityName | undefined, body: () => Promise<void>): void {
    const [index, group] = [this.#tests.length, this.#group]
    const become = (outcome: ContractTest['outcome']) => {
      this.#tests[index] = { group, name, outcome }
    }
    if (lacking !== undefined) {
      // Told on the page that is made from the records, and not as skipped: a test that is skipped by mistake fails a run.
      become({ excluded: lacking })
      return
    }
    become('NotRun')
    test(name, async () => {
      become('Failed')
      await body()
      become('Passed')
    })
  }

  /** Leaves the record of a whole run; one of a part of it would hide what was there. */
  write(): void {
    if (this.#tests.some(({ outcome }) => outcome === 'NotRun')) return
    const record: ContractRecord = { host: this.#host, lacks: this.#lacks, tests: this.#tests }
    mkdirSync(recordDirectory, { recursive: true })
    const file = `${this.#host.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.json`
    writeFileSync(join(recordDirectory, file), `${JSON.stringify(record, undefined, 2)}\n`)
  }
}
