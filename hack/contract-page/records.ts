import type { ContractRecord } from '../../controller/hypervisor/contract/record.ts'
import type { HostColumn, Showing } from './page.ts'

/** `host: test` of each test that failed. */
export function failuresOf(records: readonly ContractRecord[]): string[] {
  return records.flatMap(({ host, tests }) =>
    tests.filter(({ outcome }) => outcome === 'Failed').map(({ name }) => `${host}: ${name}`),
  )
}

export function columnOf({ host, lacks, tests }: ContractRecord): HostColumn {
  const shown = tests.flatMap(({ name, outcome }): readonly (readonly [string, Showing])[] => {
    if (outcome === 'Passed') return [[name, outcome]]
    return typeof outcome === 'object' ? [[name, outcome.excluded]] : []
  })
  return { host, lacks, tests: new Map(shown) }
}

/** The columns of the page: those of `runs` in the place of what was there, new ones at the end. */
export function merged(page: readonly HostColumn[], runs: readonly HostColumn[]): HostColumn[] {
  const byHost = new Map(runs.map((column) => [column.host, column]))
  const kept = page.map((column) => byHost.get(column.host) ?? column)
  const known = new Set(page.map(({ host }) => host))
  return [...kept, ...runs.filter(({ host }) => !known.has(host))]
}
