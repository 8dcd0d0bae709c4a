import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../setup/directories.mjs'

export interface ControllerOptions {
  /** Absent: as kubectl finds it. */
  readonly kubeconfig?: string
  readonly context?: string
  readonly imageStore: string
  /** Where its log goes. */
  readonly log: string
  readonly namespace?: string
  readonly arguments?: readonly string[]
  /** Node's own, such as `--inspect=0`. */
  readonly nodeArguments?: readonly string[]
  /** Its working directory. Absent: this process's. */
  readonly directory?: string
}

/** The controller as it is shipped: a process of plain Node. It ends with this process. */
export interface ControllerProcess {
  readonly pid: number
  readonly log: string
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** SIGTERM, and resolves when it has ended. */
  stop(): Promise<void>
  /** SIGKILL, as a crash: nothing of its own runs any more. */
  kill(): Promise<void>
}

export function startController(options: ControllerOptions): ControllerProcess {
  mkdirSync(dirname(options.log), { recursive: true })
  const log = createWriteStream(options.log, { flags: 'a' })
  const child: ChildProcess = spawn(
    process.execPath,
    [
      ...(options.nodeArguments ?? []),
      join(root, 'controller', 'main.ts'),
      ...(options.kubeconfig === undefined ? [] : [`--kubeconfig=${options.kubeconfig}`]),
      ...(options.context === undefined ? [] : [`--context=${options.context}`]),
      `--namespace=${options.namespace ?? 'berth-system'}`,
      `--image-store=${options.imageStore}`,
      '--health-address=127.0.0.1:0',
      ...(options.arguments ?? []),
    ],
    // What a test runner adds to Node is not the controller's.
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' }, cwd: options.directory },
  )
  child.stdout?.pipe(log, { end: false })
  child.stderr?.pipe(log, { end: false })
  const reap = () => child.kill('SIGKILL')
  process.once('exit', reap)
  const ended = once(child, 'exit').then(([code, signal]) => {
    process.off('exit', reap)
    return (code ?? signal) as number | NodeJS.Signals
  })
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
  }
  if (child.pid === undefined) throw new Error('the controller could not be started')
  return { pid: child.pid, log: options.log, ended, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') }
}
