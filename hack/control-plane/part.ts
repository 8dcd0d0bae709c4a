import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One running program of the control plane. */
export interface Part {
  readonly name: string
  readonly pid: number
  isRunning(): boolean
  /** Its last lines, for an error message. */
  lastWords(): string
  /** Sends the signal, and SIGKILL when the program is still there after 10 s; resolves when it has ended. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

const graceMilliseconds = 10_000

/**
 * Starts `kube-one NAME ARGUMENTS` in `directory`, its output in `log/NAME.log` there. It never outlives this process:
 * the kernel kills it when this process ends, however that happens.
 */
export function startPart(kubeOne: string, directory: string, name: string, args: readonly string[]): Part {
  const logFile = join(directory, 'log', `${name}.log`)
  const log = openSync(logFile, 'a', 0o600)
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', kubeOne, name, ...args], {
    cwd: directory,
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C on the terminal is for whoever started it to act upon.
    detached: true,
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  return {
    name,
    pid: child.pid ?? 0,
    isRunning: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    lastWords: () => `--- ${name}\n${readFileSync(logFile, 'utf8').slice(-2000)}`,
    async stop(signal) {
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMilliseconds)
      await ended
      clearTimeout(timer)
    },
  }
}
