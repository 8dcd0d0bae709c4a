import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { Bench } from '../../controller/hypervisor/contract/bench.ts'
import { describeContract } from '../../controller/hypervisor/contract/parts.ts'
import { formatPage, parsePage } from './page.ts'
import { columnOf, failuresOf, merged } from './records.ts'

/** All tests of the contract, without running one. */
function contractTests(): { readonly group: string; readonly name: string }[] {
  const tests: { group: string; name: string }[] = []
  let current = ''
  const listing = {
    group(name: string, describeTests: () => void) {
      current = name
      describeTests()
    },
    test: (name: string) => void tests.push({ group: current, name }),
  }
  describeContract(new Bench({}, listing))
  return tests
}

describe('docs/contract.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/contract.md'), 'utf8')

  test('lists the tests of the contract, and no others', () => {
    expect(page).toBe(formatPage(contractTests(), parsePage(page)))
  })

  test('says why a host is excluded from a test; the fake, which is tested everywhere, from none', () => {
    for (const { host, lacks, tests } of parsePage(page)) {
      for (const [name, shown] of tests) {
        if (shown !== 'Passed') expect([host, name, lacks[shown]]).toEqual([host, name, expect.any(String)])
      }
    }
    const fake = parsePage(page).find(({ host }) => host === 'fake')
    expect(contractTests().filter(({ name }) => fake?.tests.get(name) !== 'Passed')).toEqual([])
  })
})

test('names of tests tell them apart', () => {
  const names = contractTests().map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})

describe('a page', () => {
  const tests = [
    { group: 'one', name: 'starts | stops' },
    { group: 'two', name: 'snapshots' },
  ]
  const columns = [
    { host: 'fake', lacks: {}, tests: new Map([['starts | stops', 'Passed' as const]]) },
    {
      host: 'xapi',
      lacks: { QCOW2: 'VDIs are raw; what else', Uploads: 'none' },
      tests: new Map([
        ['starts | stops', 'QCOW2' as const],
        ['snapshots', 'Passed' as const],
      ]),
    },
  ]

  test('reads back as it was written', () => {
    expect(parsePage(formatPage(tests, columns))).toEqual(columns)
  })

  test('takes what a run shows, and keeps hosts that did not run', () => {
    const run = columnOf({
      host: 'fake',
      lacks: { Uploads: 'none' },
      tests: [
        { group: 'one', name: 'starts | stops', outcome: { excluded: 'Uploads' } },
        { group: 'two', name: 'snapshots', outcome: 'Passed' },
      ],
    })
    const added = { ...run, host: 'new' }
    expect(merged(columns, [added, run])).toEqual([run, columns[1], added])
    expect([...run.tests]).toEqual([
      ['starts | stops', 'Uploads'],
      ['snapshots', 'Passed'],
    ])
  })

  test('is not made of a run that failed', () => {
    const failed = { group: 'one', name: 'starts', outcome: 'Failed' as const }
    expect(failuresOf([{ host: 'fake', lacks: {}, tests: [failed] }])).toEqual(['fake: starts'])
    expect(columnOf({ host: 'fake', lacks: {}, tests: [failed] }).tests.size).toBe(0)
  })
})
