import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from '@jest/globals'
import { type AbilityName, abilities, type Lacks } from './abilities.ts'

/** Takes the parts of the contract as they are described. */
export interface Register {
  group(name: string, describeTests: () => void): void
  /** `lacking`: the need that the host does not meet, which excludes the test. */
  test(name: string, lacking: AbilityName | undefined, body: () => Promise<void>): void
}

/** One test of the contract, and what became of it: `Excluded` names what the host lacks. */
export interface ContractTest {
  readonly group: string
  readonly name: string
  outcome: 'Passed' | 'Failed' | { readonly excluded: AbilityName }
}

/** What a run of the contract showed; `docs/contract.md` is made of these. */
export interface ContractRecord {
  readonly host: string
  readonly lacks: Lacks
  readonly tests: readonly ContractTest[]
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
    const known: ContractTest = { group: this.#group, name, outcome: 'Failed' }
    this.#tests.push(known)
    if (lacking !== undefined) {
      known.outcome = { excluded: lacking }
      test.skip(`${name} (the host cannot ${abilities[lacking].meaning}: ${this.#lacks[lacking]})`, body)
      return
    }
    test(name, async () => {
      await body()
      known.outcome = 'Passed'
    })
  }

  write(): void {
    const record: ContractRecord = { host: this.#host, lacks: this.#lacks, tests: this.#tests }
    mkdirSync(recordDirectory, { recursive: true })
    const file = `${this.#host.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.json`
    writeFileSync(join(recordDirectory, file), `${JSON.stringify(record, undefined, 2)}\n`)
  }
}
