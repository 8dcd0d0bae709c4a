/** What a person can ask of `node hack/run.mjs`, and what it says. */
export const tasks = {
  demo: 'from kubectl apply to a running virtual machine, on this machine alone',
  test: 'lint, types, drift, unit tests and tests with real parts',
  unit: 'unit tests only: installs and starts nothing (npm run test:unit)',
  real: 'tests with a real API server, libvirt and guests only (npm run test:real)',
  proxied: 'tests with proxies before the API server and the hosts that fail, lie and hang only (npm run test:proxied)',
  xen: 'tests with a real Xen host only, which is built at the first run (npm run test:xen)',
  bench: 'first figures of speed and memory, each beside a reference (docs/performance.md)',
  setup: 'install and build what demo and test need, and no more',
  clean: 'stop what was left running and remove .run; with --cache also what was built',
}

/** @typedef {keyof typeof tasks} Task */

export const usage = `usage: node hack/run.mjs TASK [--yes] [ARGUMENT ...]

${Object.entries(tasks)
  .map(([name, text]) => `  ${name.padEnd(7)} ${text}`)
  .join('\n')}

  --yes    install without asking, as does CI=true in the environment
  Further arguments go to the task: npm run test:unit -- controller/placement`

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {}

/**
 * @param {readonly string[]} argv
 * @returns {{ task: Task | 'help', yes: boolean, cache: boolean, rest: string[] }}
 */
export function parseArguments(argv) {
  const [task, ...others] = argv
  if (task === undefined || task === '--help' || task === '-h' || task === 'help') {
    return { task: 'help', yes: false, cache: false, rest: [] }
  }
  if (!isTask(task)) throw new UsageError(`there is no task '${task}'`)
  const rest = others.filter((argument) => argument !== '--yes' && argument !== '-y')
  const yes = rest.length < others.length
  if (task !== 'clean' && task !== 'setup') return { task, yes, cache: false, rest }
  const cache = task === 'clean' && rest.includes('--cache')
  const unknown = rest.find((argument) => !(cache && argument === '--cache'))
  if (unknown !== undefined) throw new UsageError(`${task} takes no argument '${unknown}'`)
  return { task, yes, cache, rest: [] }
}

/**
 * @param {string} name
 * @returns {name is Task}
 */
function isTask(name) {
  return Object.hasOwn(tasks, name)
}
