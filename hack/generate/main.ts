/**
 * `node hack/generate/main.ts [--check]`: writes crds/, the chart's templates of them and the tables in docs/kinds/ from the
 * schemas in controller/api, and docs/errors.md from controller/errors; or only says what is not as generated (exit code 1).
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { drift, write } from './files.ts'

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const root = join(import.meta.dirname, '../..')

if (values.check) {
  const paths = await drift(root)
  if (paths.length > 0) {
    console.error(`Not as generated: ${paths.join(', ')}. Run: npm run generate`)
    process.exitCode = 1
  }
} else {
  await write(root)
}
