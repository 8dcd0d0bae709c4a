/**
 * The entry of `npm run demo`, `test`, `test:unit`, `test:real`, `test:proxied`, `test:xen`, `bench`, `setup` and
 * `clean`. Plain JavaScript that runs on Node 18 straight after a clone: it makes what the task needs, then runs the task
 * by the Node of node_modules.
 *
 * Exit codes: 0 done, 1 failed, 2 usage or no consent, 128 plus the number of the signal that ended it.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArguments, UsageError, usage } from './setup/arguments.mjs'
import { clean } from './setup/clean.mjs'
import { cacheDirectory, root } from './setup/directories.mjs'
import { withLock } from './setup/lock.mjs'
import { findNeeds } from './setup/needs.mjs'
import { node, nodeModulesState, nodeProblem } from './setup/node-modules.mjs'
import { consent, planText, problemText } from './setup/plan.mjs'
import { endOnSignals } from './setup/processes.mjs'
import { showStep } from './setup/progress.mjs'

/** What each task runs by the Node of node_modules. */
const programs = {
  demo: ['hack/demo/main.ts'],
  test: ['hack/check/main.ts', 'all'],
  unit: ['hack/check/main.ts', 'unit'],
  real: ['hack/check/main.ts', 'real'],
  proxied: ['hack/check/main.ts', 'proxied'],
  xen: ['hack/check/main.ts', 'xen'],
  bench: ['test/bench/main.ts'],
}

/** @returns {Promise<number>} */
async function main() {
  const { task, yes, cache, rest } = parseArguments(process.argv.slice(2))
  if (task === 'help') {
    console.log(usage)
    return 0
  }
  if (task === 'clean') {
    await clean({ cache })
    return 0
  }
  const asksForHelp = rest.includes('--help') && nodeModulesState() === 'ready'
  if (task === 'unit' || asksForHelp) {
    const state = nodeModulesState()
    const problem = state === 'ready' ? nodeProblem() : `node_modules is ${state}: run npm ci`
    if (problem !== undefined) {
      console.error(problem)
      return 1
    }
  } else {
    const code = await setUp(yes)
    if (code !== 0) return code
  }
  return task === 'setup' ? 0 : runTask([...programs[task], ...rest])
}

/**
 * Makes what is missing, with consent. Answers an exit code.
 * @param {boolean} yes
 */
async function setUp(yes) {
  const { needs, problems } = findNeeds()
  if (problems.length > 0) {
    console.error(problemText(problems))
    return 1
  }
  if (needs.length === 0) return 0
  console.error(planText(needs, cacheDirectory()))
  const terminal = process.stdin.isTTY === true && process.stderr.isTTY === true
  const decision = consent({ yes, terminal, environment: process.env })
  if (decision === 'refuse') {
    console.error('Nobody can be asked here: say --yes (npm run TASK -- --yes) or set CI=true to go on.')
    return 2
  }
  if (decision === 'ask' && !(await asked('Go on? [y/N] '))) return 2
  endOnSignals()
  const install = async () => {
    for (const { name, install } of needs) await showStep(name, install)
  }
  await withLock(join(cacheDirectory(), 'setup.lock'), install, () => console.error('Another set-up runs; waiting.'))
  return 0
}

/**
 * @param {string} question
 * @returns {Promise<boolean>}
 */
function asked(question) {
  return new Promise((resolve) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    terminal.once('close', () => resolve(false))
    terminal.once('SIGINT', () => process.exit(130))
    terminal.question(question, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()))
      terminal.close()
    })
  })
}

/**
 * Runs a task in this process's own group, so that it has the terminal; it ends what it started by itself.
 * @param {readonly string[]} program
 * @returns {Promise<number>}
 */
function runTask([script = '', ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [join(root, script), ...args], { stdio: 'inherit' })
    const codes = /** @type {const} */ ({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })
    for (const signal of /** @type {(keyof typeof codes)[]} */ (Object.keys(codes))) {
      process.removeAllListeners(signal)
      process.on(signal, () => child.kill(signal))
    }
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? codes[/** @type {keyof typeof codes} */ (signal)] ?? 1))
  })
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    console.error(error instanceof Error ? error.message : error)
    if (error instanceof UsageError) console.error(`\n${usage}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
