import { spawn } from 'node:child_process'

/** What this process has started in groups of their own and has not ended. @type {Set<number>} */
const groups = new Set()

// A process that ends leaves nothing behind, whichever way it ends: see also endOnSignals.
process.on('exit', () => {
  for (const group of groups) signalGroup(group, 'SIGKILL')
})

/**
 * @param {number} group
 * @param {NodeJS.Signals} signal
 */
function signalGroup(group, signal) {
  try {
    process.kill(-group, signal)
  } catch {
    // It has ended already.
  }
}

/**
 * Runs a program and its children in a process group of their own, which is killed when this process ends. Resolves
 * with the exit code, or 128 plus the signal's number; rejects when the program cannot be started.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onOutput?: (text: string) => void,
 *   timeoutMilliseconds?: number }} [options]
 *   `onOutput` gets what it writes, both streams; without it the program writes to this process's own streams. After
 *   `timeoutMilliseconds` the group is asked to end, and killed 15 s later.
 * @returns {Promise<number>}
 */
export function runGroup(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const output = options.onOutput ? 'pipe' : 'inherit'
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', output, output],
      detached: true,
    })
    const { pid } = child
    if (pid !== undefined) groups.add(pid)
    child.stdout?.setEncoding('utf8').on('data', (text) => options.onOutput?.(text))
    child.stderr?.setEncoding('utf8').on('data', (text) => options.onOutput?.(text))
    const { timeoutMilliseconds } = options
    const timers =
      pid === undefined || timeoutMilliseconds === undefined
        ? []
        : [
            setTimeout(() => signalGroup(pid, 'SIGTERM'), timeoutMilliseconds),
            setTimeout(() => signalGroup(pid, 'SIGKILL'), timeoutMilliseconds + 15_000),
          ]
    child.once('error', reject)
    child.once('close', (code, signal) => {
      for (const timer of timers) clearTimeout(timer)
      if (pid !== undefined) {
        // Children that it left behind go with it.
        signalGroup(pid, 'SIGKILL')
        groups.delete(pid)
      }
      resolve(code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGKILL' ? 9 : 15))
    })
  })
}

/** Exit codes by convention: 128 plus the signal's number. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }

/**
 * From now on a signal ends this process with the conventional exit code, and what runs in its groups with it: first
 * asked by the same signal, then killed after `graceMilliseconds`. A second signal kills at once; the pair that npm and
 * the terminal make of one Ctrl-C counts as one.
 * @param {number} [graceMilliseconds]
 */
export function endOnSignals(graceMilliseconds = 15_000) {
  let first = 0
  for (const [signal, code] of /** @type {[keyof typeof exitCodes, number][]} */ (Object.entries(exitCodes))) {
    process.on(signal, () => {
      if (first !== 0) {
        if (Date.now() - first > 1_000) process.exit(code)
        return
      }
      first = Date.now()
      for (const group of groups) signalGroup(group, signal)
      const poll = setInterval(() => {
        if (groups.size === 0 || Date.now() - first > graceMilliseconds) {
          clearInterval(poll)
          process.exit(code)
        }
      }, 50)
    })
  }
}

/**
 * Like runGroup, but says every line that the program writes, and an exit code other than 0 is an error that quotes
 * its last words.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {(line: string) => void} say
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 */
export async function runSaying(command, args, say, options = {}) {
  let last = ''
  const onOutput = (/** @type {string} */ text) => {
    last = (last + text).slice(-3000)
    for (const line of text.split('\n')) if (line.trim() !== '') say(line)
  }
  const code = await runGroup(command, args, { ...options, onOutput })
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}\nfailed with exit code ${code}:\n${last.trim()}`)
}
