import { BerthError, type ErrorCode } from '../../errors/index.ts'
import { isMutation } from '../../hypervisor/wrap.ts'
import type { FakeCall } from './calls.ts'
import type { Clock } from './clock.ts'

/** Why nobody waits any more: the code for a read, and for a mutation, whose effect is unknown then. */
const losses = {
  Deadline: {
    read: 'HypervisorUnreachable',
    mutation: 'CallTimedOut',
    words: 'The hypervisor did not answer in time.',
  },
  Abort: { read: 'TemporaryFailure', mutation: 'CallTimedOut', words: 'The wait for the hypervisor was ended.' },
  Connection: {
    read: 'HypervisorUnreachable',
    mutation: 'ConnectionLost',
    words: 'The connection to the hypervisor ended in the middle of a call.',
  },
} as const satisfies Readonly<Record<string, { read: ErrorCode; mutation: ErrorCode; words: string }>>

export interface WaitingOptions {
  readonly clock: Clock
  /** Deadline, ms. */
  readonly callTimeout: number
  readonly signal: AbortSignal | undefined
}

/** The wait for the answer to one call, until its deadline. What was sent goes on without it. */
export class Waiting {
  readonly #call: FakeCall
  readonly #options: WaitingOptions
  readonly #loss = Promise.withResolvers<never>()
  #cancelDeadline: () => void = () => undefined

  constructor(call: FakeCall, options: WaitingOptions) {
    this.#call = call
    this.#options = options
    this.#loss.promise.catch(() => undefined)
  }

  /** Rejects when nobody waits any more. */
  get lost(): Promise<never> {
    return this.#loss.promise
  }

  async for<T>(answer: Promise<T>): Promise<T> {
    const { signal } = this.#options
    const abort = () => this.end('Abort')
    signal?.addEventListener('abort', abort, { once: true })
    this.extend()
    try {
      return await Promise.race([answer, this.lost])
    } finally {
      this.#cancelDeadline()
      signal?.removeEventListener('abort', abort)
    }
  }

  /** The deadline counts anew: the host has shown that it works. */
  extend(): void {
    this.#cancelDeadline()
    this.#cancelDeadline = this.#options.clock.after(this.#options.callTimeout, () => this.end('Deadline'))
  }

  end(loss: keyof typeof losses): void {
    const { read, mutation, words } = losses[loss]
    this.#loss.reject(new BerthError(isMutation(this.#call.method) ? mutation : read, words))
  }
}
