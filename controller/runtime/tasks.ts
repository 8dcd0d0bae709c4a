import type { Logger } from 'pino'
import type { Clock, TaskState, Tasks } from './port.ts'

interface Running {
  readonly abort: AbortController
  readonly ended: Promise<void>
  done: number
  total: number | undefined
}

/** Progress is told at most so often, ms. */
const progressEvery = 1_000

export class TaskRunner implements Tasks {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #running = new Map<string, Running>()
  readonly #failed = new Map<string, { readonly error: Error; readonly at: number }>()
  #stopped = false

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  start(
    name: string,
    work: (signal: AbortSignal, progress: (done: number, total?: number) => void) => Promise<void>,
    onChange: () => void,
  ): void {
    if (this.#stopped || this.#running.has(name)) return
    this.#failed.delete(name)
    const abort = new AbortController()
    let cancelTell: (() => void) | undefined
    const progress = (done: number, total?: number): void => {
      if (this.#running.get(name) !== running) return
      running.done = done
      running.total = total
      cancelTell ??= this.#clock.after(progressEvery, () => {
        cancelTell = undefined
        this.#tell(name, onChange)
      })
    }
    const run = async (): Promise<void> => {
      // Not before `start` has returned: whoever starts it sees it run.
      await Promise.resolve()
      try {
        await work(abort.signal, progress)
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : new Error(String(thrown))
        // A task that was cancelled has not failed.
        if (!abort.signal.aborted) this.#failed.set(name, { error, at: this.#clock.now() })
        this.#log.warn({ err: error, task: name, cancelled: abort.signal.aborted }, 'a task ended early')
      } finally {
        cancelTell?.()
        this.#running.delete(name)
        this.#tell(name, onChange)
      }
    }
    const running: Running = { abort, done: 0, total: undefined, ended: run() }
    this.#running.set(name, running)
  }

  state(name: string): TaskState | undefined {
    const running = this.#running.get(name)
    if (running !== undefined) {
      const { done, total } = running
      return { state: 'Running', done, ...(total === undefined ? {} : { total }) }
    }
    const failed = this.#failed.get(name)
    return failed === undefined ? undefined : { state: 'Failed', ...failed }
  }

  /** Asks it to end, and forgets a failure. It counts as running until it has ended. */
  cancel(name: string): void {
    this.#failed.delete(name)
    this.#running.get(name)?.abort.abort()
  }

  /** Starts nothing more; ends what runs. */
  async stop(): Promise<void> {
    this.#stopped = true
    const running = [...this.#running.values()]
    for (const { abort } of running) abort.abort()
    await Promise.all(running.map(({ ended }) => ended))
  }

  #tell(name: string, onChange: () => void): void {
    try {
      onChange()
    } catch (error) {
      this.#log.error({ err: error, task: name }, 'a listener threw')
    }
  }
}
