/**
 * `node hack/contract-page/main.ts [--check]`: writes docs/contract.md from what the last runs of the driver contract
 * left in .run/contract; or only says where the page differs from them (exit code 1). Hosts that did not run keep what
 * the page says of them.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { ContractRecord } from '../../controller/hypervisor/contract/record.ts'
import { formatPage, parsePage } from './page.ts'
import { columnOf, failuresOf, merged } from './records.ts'

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const root = join(import.meta.dirname, '../..')
const path = join(root, 'docs/contract.md')
const directory = join(root, '.run/contract')

const records = (existsSync(directory) ? readdirSync(directory) : [])
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as ContractRecord)
  .sort((one, other) => one.host.localeCompare(other.host))
const failures = failuresOf(records)
const page = existsSync(path) ? readFileSync(path, 'utf8') : ''
const tests = records[0]?.tests
const wanted = tests && formatPage(tests, merged(parsePage(page), records.map(columnOf)))

if (failures.length > 0) {
  console.error(`These parts of the contract failed:\n${failures.join('\n')}`)
  process.exitCode = 1
} else if (wanted === undefined) {
  console.error('No run of the contract has left a record. Run: npm run test:unit')
  process.exitCode = 1
} else if (!values.check) {
  writeFileSync(path, wanted)
} else if (page !== wanted) {
  console.error('docs/contract.md is not what the tests show. Run: node hack/contract-page/main.ts')
  process.exitCode = 1
}
