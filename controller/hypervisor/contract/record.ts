import type { AbilityName, Lacks } from './abilities.ts'

/** One test of the contract, and what became of it: `excluded` names what the host lacks. */
export interface ContractTest {
  readonly group: string
  readonly name: string
  readonly outcome: 'Passed' | 'Failed' | 'NotRun' | { readonly excluded: AbilityName }
}

/** What a run of the contract showed; `docs/contract.md` is made of these. */
export interface ContractRecord {
  readonly host: string
  readonly lacks: Lacks
  readonly tests: readonly ContractTest[]
}
