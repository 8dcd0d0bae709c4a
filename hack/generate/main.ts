/** `node hack/generate/main.ts [--check]`: writes crds/, or only says what is not as generated (exit code 1). */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { drift, write } from './files.ts'

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
const folder = join(import.meta.dirname, '../../crds')

if (values.check) {
  const names = await drift(folder)
  if (names.length > 0) {
    console.error(`Not as generated: ${names.map((name) => `crds/${name}`).join(', ')}. Run: npm run generate`)
    process.exitCode = 1
  }
} else {
  await write(folder)
}
