import { type ChildProcess, spawn } from 'node:child_process'
import { codeOf, temporary } from '../failure.ts'

export type ChildEnd =
  | { readonly end: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly end: 'killed'; readonly by: string }
  | { readonly end: 'output' | 'time' }

const stderrSize = 4096

/**
 * Runs a program without a shell, with an environment of its own, nothing to read and a bounded answer; it is killed when
 * it says more than `output` bytes, takes longer than `wallTime` ms, or the signal is aborted. Resolves only when the
 * process is gone. Rejects with TemporaryFailure when it cannot be started, and with the signal's reason.
 */
export function runLimited(
  program: string,
  args: readonly string[],
  limits: { wallTime: number; output: number; signal: AbortSignal },
): Promise<ChildEnd> {
  return new Promise((resolve, reject) => {
    if (limits.signal.aborted) return reject(limits.signal.reason)
    // Detached: a process group of its own, so that whatever it starts ends with it.
    const child = spawn(program, args, {
      cwd: '/',
      env: { LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let hasEnded = false
    let stoppedFor: 'output' | 'time' | 'abort' | undefined
    const stop = (reason: 'output' | 'time' | 'abort') => {
      if (hasEnded) return // its number may be another's by now
      stoppedFor ??= reason
      killGroup(child)
    }
    const onAbort = () => stop('abort')
    const timer = setTimeout(() => stop('time'), limits.wallTime)
    limits.signal.addEventListener('abort', onAbort, { once: true })
    const settle = () => {
      clearTimeout(timer)
      limits.signal.removeEventListener('abort', onAbort)
    }

    const stdout: Buffer[] = []
    let stdoutSize = 0
    child.stdout.on('data', (piece: Buffer) => {
      stdoutSize += piece.length
      if (stdoutSize > limits.output) stop('output')
      else stdout.push(piece)
    })
    let stderr = ''
    child.stderr.on('data', (piece: Buffer) => {
      if (stderr.length < stderrSize) stderr += piece.toString('latin1')
    })

    child.on('error', (cause) => {
      settle()
      reject(temporary(`${program} cannot be started`, { cause }))
    })
    child.on('exit', () => {
      hasEnded = true
      killGroup(child) // whatever it left behind would keep the pipes open
    })
    child.on('close', (code, by) => {
      settle()
      if (stoppedFor === 'abort') return reject(limits.signal.reason)
      if (stoppedFor) return resolve({ end: stoppedFor })
      if (code === null) return resolve({ end: 'killed', by: by ?? 'a signal' })
      resolve({ end: 'exited', code, stdout: Buffer.concat(stdout).toString('utf8'), stderr })
    })
  })
}

/** Kills what is left of a child's process group. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return // it never started
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
  }
}
