/** What programs that never end tell, line by line, each with the time at which it came. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface RecordedLine {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
}

export class Recorder {
  readonly lines: RecordedLine[] = []
  readonly #child: ChildProcess
  readonly #command: string
  readonly #reap = () => this.#child.kill('SIGKILL')
  readonly #waiting = new Set<() => void>()
  #complaint = ''

  constructor(command: string, args: readonly string[]) {
    this.#command = [command, ...args].join(' ')
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
    this.#child.once('error', (error) => {
      this.#complaint = error.message
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text
    })
    if (this.#child.stdout)
      createInterface(this.#child.stdout).on('line', (text) => {
        this.lines.push({ at: Date.now(), text })
        for (const look of this.#waiting) look()
      })
    process.once('exit', this.#reap)
  }

  /** Resolves in the very moment in which a line is told that `wanted` accepts, or was told since `from`. */
  next(wanted: (text: string) => boolean, from = this.lines.length, timeout = 120_000): Promise<RecordedLine> {
    const { promise, resolve, reject } = Promise.withResolvers<RecordedLine>()
    const look = () => {
      const line = this.lines.slice(from).find(({ text }) => wanted(text))
      if (line) resolve(line)
    }
    const timer = setTimeout(() => {
      const last = this.lines.slice(from).at(-1)?.text.slice(-2_000) ?? 'nothing'
      reject(
        new Error(
          `not within ${timeout / 1_000} s: what was waited for of ${this.#command} (last: ${last}) ${this.#complaint}`,
        ),
      )
    }, timeout)
    this.#waiting.add(look)
    look()
    return promise.finally(() => {
      clearTimeout(timer)
      this.#waiting.delete(look)
    })
  }

  /** Throws when the program ended by itself: what it did not tell says nothing then. */
  stop(): void {
    process.off('exit', this.#reap)
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null)
      throw new Error(`${this.#command} ended by itself (${exitCode ?? signalCode}): ${this.#complaint}`)
    this.#child.kill('SIGKILL')
  }
}
