import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { root, runDirectory } from '../setup/directories.mjs'
import { runGroup } from '../setup/processes.mjs'
import { countTier, type JestReport, type Outcome } from './summary.ts'

const bin = (name: string) => join(root, 'node_modules/.bin', name)

/** A command that passes or fails as a whole. */
export async function check(name: string, command: string, args: readonly string[]): Promise<Outcome> {
  console.log(`\n${name}`)
  const start = performance.now()
  const code = await runGroup(command, args, { cwd: root })
  if (code === 0) console.log('passed')
  return {
    name,
    passed: code === 0 ? 1 : 0,
    failed: code === 0 ? 0 : 1,
    failures: code === 0 ? [] : [`exit code ${code}`],
    milliseconds: performance.now() - start,
  }
}

export const lint = () => check('lint', bin('biome'), ['check', '--diagnostic-level=warn', '--error-on-warnings', '.'])
export const types = () => check('types', bin('tsc'), ['--noEmit'])
export const drift = () => check('drift', process.execPath, [join(root, 'hack/generate/main.ts'), '--check'])

/** The Jest projects with what they may take. A run that hangs is a failure, with time left to say so. */
const tiers = {
  unit: { minutes: 10, args: [] },
  // Guests under software emulation leave no core for a second file at once.
  real: { minutes: 45, args: ['--runInBand', '--verbose'] },
  proxied: { minutes: 30, args: ['--runInBand', '--verbose'] },
  xen: { minutes: 45, args: ['--runInBand', '--verbose'] },
}

/** Runs one Jest project, whole or as further arguments of Jest's command line narrow it. */
export async function tier(name: keyof typeof tiers, further: readonly string[]): Promise<Outcome> {
  console.log(`\n${name}`)
  const { minutes, args } = tiers[name]
  mkdirSync(runDirectory, { recursive: true })
  const outputFile = join(runDirectory, `jest-${name}-${process.pid}.json`)
  const start = performance.now()
  const code = await runGroup(
    process.execPath,
    [
      // As arguments and not by NODE_OPTIONS, which the programs under test would inherit.
      ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
      join(root, 'node_modules/jest/bin/jest.js'),
      // --selectProjects takes every word up to the next option.
      ...['--selectProjects', name, '--json', `--outputFile=${outputFile}`],
      ...(process.env['CI'] === undefined ? [] : ['--ci']),
      ...args,
      ...further,
    ],
    { cwd: root, timeoutMilliseconds: minutes * 60_000 },
  )
  const counts = countTier(readReport(outputFile), code, further.length === 0)
  return { name, ...counts, milliseconds: performance.now() - start }
}

function readReport(file: string): JestReport | undefined {
  let report: JestReport
  try {
    report = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // Jest ended before it wrote one, or was killed while it did.
    return undefined
  }
  rmSync(file)
  return { ...report, testResults: report.testResults.map((file) => ({ ...file, name: relative(root, file.name) })) }
}
