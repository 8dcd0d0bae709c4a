/**
 * The command `npm run bench`: see `usage`. Exit codes: 0 measured, 1 a bench failed, 2 usage. A figure that misses its
 * goal is said, and is no failure: times are of this machine and of what else runs on it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../../hack/setup/directories.mjs'
import { benchController, full, scaled } from './controller/bench.ts'
import { type BenchResult, table } from './figures.ts'
import { benchCalls } from './libvirt/calls.ts'
import { benchSSH } from './libvirt/ssh.ts'
import { benchUpload } from './libvirt/upload.ts'
import { type Machine, machineText, observeMachine } from './machine.ts'
import { withResult } from './page.ts'

type Bench = (tell: (text: string) => void, machines: number) => Promise<BenchResult>

/** Not said in any order: one after the other, so that none is in the other's way. */
const benches: Readonly<Record<string, { readonly says: string; readonly run: Bench }>> = {
  controller: {
    says: 'the controller with 10,000 machines in memory (10 min)',
    run: (tell, machines) => benchController(scaled(machines), tell),
  },
  calls: { says: 'calls a second beside virsh and python3-libvirt (1 min; root)', run: benchCalls },
  upload: { says: 'a file into a volume beside virsh (3 min; root)', run: benchUpload },
  ssh: { says: 'from kubectl apply to SSH beside virsh (5 min; root)', run: benchSSH },
}

const usage = `usage: npm run bench -- [NAME ...] [--machines N] [--json FILE] [--write]

${Object.entries(benches)
  .map(([name, { says }]) => `  ${name.padEnd(11)} ${says}`)
  .join('\n')}

  --machines N  instead of 10,000
  --json FILE   write figures and machine to FILE
  --write       write the tables into docs/performance.md`

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      machines: { type: 'string' },
      json: { type: 'string' },
      write: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name))
  const machines = Number(values.machines ?? full.machines)
  if (values.help || unknown.length > 0 || !Number.isInteger(machines) || machines < 1) {
    console.error(usage)
    return values.help ? 0 : 2
  }
  const names = positionals.length === 0 ? Object.keys(benches) : positionals
  const measured: { readonly result: BenchResult; readonly machine: Machine }[] = []
  for (const name of names) {
    const observed = observeMachine()
    const result = await benches[name]?.run((text) => console.error(`${name}: ${text}`), machines)
    if (result === undefined) continue
    const machine = observed()
    measured.push({ result, machine })
    console.log(`\n## ${result.title}\n\n${machineText(machine)}\n\n${table(result.figures)}`)
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(measured, undefined, 2)}\n`)
  if (values.write) {
    const path = join(root, 'docs', 'performance.md')
    const page = measured.reduce(
      (text, { result, machine }) => withResult(text, result, machine),
      readFileSync(path, 'utf8'),
    )
    writeFileSync(path, page)
  }
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  const wrongOption = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (wrongOption) console.error(`\n${usage}`)
  process.exitCode = wrongOption ? 2 : 1
}
