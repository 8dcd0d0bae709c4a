/** One session with the master of a pool: calls with our deadlines, and tasks that are followed to their end. */
import { Xapi } from 'xen-api'
import { BerthError } from '../../errors/index.ts'
import type { CallOptions } from '../../hypervisor/port.ts'
import { type Effect, isXapiFailure, mapError, mapFailure } from './errors.ts'
import { type EventBatch, nullRef, type Ref, type TaskRecord } from './records.ts'
import type { Connector } from './trust.ts'

export interface ClientOptions {
  /** https URL of a host. */
  readonly member: string
  readonly username: string
  readonly password: string
  readonly connector: Connector
  /** Milliseconds for a call, and for a task to end. */
  readonly callTimeout: number
}

/** Seconds for which the pool holds back an answer when nothing happens. A pool that hangs is noticed a deadline later. */
const longestWait = 15

/** Milliseconds for the pool to hear that the session is over. */
const logoutTimeout = 2_000

/** xen-api's client, its connections made by a connector of ours: it takes neither a CA nor fingerprints. */
class TrustingXapi extends Xapi {
  constructor(options: ConstructorParameters<typeof Xapi>[0], connect: Connector, timeout: number) {
    super(options)
    const Agent = this._undiciDispatcher.constructor as new (options: object) => Xapi['_undiciDispatcher']
    this._undiciDispatcher = new Agent({ connect, headersTimeout: timeout, bodyTimeout: timeout, pipelining: 1 })
    this._setUrl(this._url)
  }
}

export class Client {
  readonly #xapi: TrustingXapi
  readonly #callTimeout: number
  /** What ends the waits that are under way. */
  readonly #waits = new Set<(reason: Error) => void>()
  readonly #closed = Promise.withResolvers<Error | undefined>()
  #isClosed = false
  #logins = 1
  /** Settles with the reason when the session is over; never rejects. */
  readonly closed: Promise<Error | undefined> = this.#closed.promise

  private constructor(xapi: TrustingXapi, callTimeout: number) {
    this.#xapi = xapi
    this.#callTimeout = callTimeout
  }

  /** Logs in, at the master that a slave names if need be. */
  static async open(options: ClientOptions, { signal }: CallOptions): Promise<Client> {
    const { member, username: user, password, connector, callTimeout } = options
    const timeoutOf = (method: string) => callTimeout + (method === 'event.from' ? longestWait * 1000 : 0)
    const xapi = new TrustingXapi(
      {
        url: member,
        auth: { user, password },
        watchEvents: false,
        callTimeout: timeoutOf,
        // The limit is ours (spec.limits). In a queue of xen-api's, calls would wait without a deadline for those that
        // wait for events, and be sent long after they were given up on.
        callConcurrency: Number.POSITIVE_INFINITY,
        // What is to be tried again is the caller's to say.
        roCallRetryOptions: { tries: 1 },
        syncStackTraces: false,
      },
      connector,
      timeoutOf('event.from'),
    )
    try {
      await interruptible(xapi.connect(), new Set(), signal)
    } catch (error) {
      await xapi._undiciDispatcher.destroy()
      throw mapError(error, 'Read')
    }
    const client = new Client(xapi, callTimeout)
    client.#keepToThisPool()
    return client
  }

  /** Milliseconds. */
  get callTimeout(): number {
    return this.#callTimeout
  }

  /** How often it has logged in: each time it may be another master, or a pool whose memory of events is another. */
  get logins(): number {
    return this.#logins
  }

  get poolID(): string {
    return this.#xapi.pool?.uuid ?? ''
  }

  /** Where the master is, for transfers. */
  get address(): URL {
    const { protocol, hostname, port } = this.#xapi._url
    return new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`)
  }

  /** For transfers, as a cookie: a secret. */
  get sessionID(): string {
    this.#requireOpen()
    return this.#xapi.sessionId
  }

  /** Something that is only looked at. */
  read<T>(method: string, args: readonly unknown[] = [], options: CallOptions = {}): Promise<T> {
    return this.#call('Read', method, args, options)
  }

  /** A call that changes something at once. Lost on its way: Ambiguous. */
  change<T = unknown>(method: string, args: readonly unknown[], options: CallOptions): Promise<T> {
    return this.#call('Mutation', method, args, options)
  }

  /**
   * Begins a task and follows it to its end, for as long as a call may take. After that, or when the connection is
   * lost: Ambiguous, as the task goes on.
   */
  async run(method: string, args: readonly unknown[], options: CallOptions): Promise<void> {
    await this.follow(await this.begin(method, args, options), options)
  }

  begin(method: string, args: readonly unknown[], options: CallOptions): Promise<Ref> {
    return this.change<Ref>(`Async.${method}`, args, options)
  }

  /** Waits for the end of a task, and forgets it. `limit`: milliseconds. Rejects with what the task failed with. */
  async follow(task: Ref, options: CallOptions, limit = this.#callTimeout): Promise<void> {
    const deadline = performance.now() + limit
    for (let token = ''; ; ) {
      const left = deadline - performance.now()
      if (left <= 0) {
        throw new BerthError('CallTimedOut', 'The pool has not ended the task in time; it goes on there.')
      }
      const wait = Math.min(left / 1000, longestWait)
      // As a mutation: what the task does is unknown while it cannot be asked.
      const batch = await this.#call<EventBatch>('Mutation', 'event.from', [[`task/${task}`], token, wait], options)
      const last = batch.events.findLast((event) => event.ref === task)
      // At first everything that is there is told.
      if (last === undefined ? token === '' : last.operation === 'del')
        throw new BerthError('ConnectionLost', 'The pool forgot the task that was followed.')
      token = batch.token
      if (last === undefined) continue
      const ended = last.snapshot as TaskRecord
      if (ended.status === 'pending' || ended.status === 'cancelling') continue
      await this.forget(task)
      if (ended.status === 'success') return
      const [code = 'TASK_CANCELLED', ...params] = ended.error_info
      throw mapFailure({ code, params })
    }
  }

  /** How a task stands; undefined: the pool knows it no more. */
  async taskStatus(task: Ref, options: CallOptions): Promise<TaskRecord['status'] | undefined> {
    try {
      return await this.#send<TaskRecord['status']>('task.get_status', [task], options)
    } catch (error) {
      if (isXapiFailure(error, 'HANDLE_INVALID')) return undefined
      throw mapError(error, 'Read')
    }
  }

  /** A task that stays behind is forgotten by the pool itself after a day. */
  async forget(task: Ref): Promise<void> {
    if (task !== nullRef) await this.#send('task.destroy', [task], {}).catch(() => undefined)
  }

  /** What happened since the token; waits for something to happen. Rejects with XAPI's own failures, EVENTS_LOST among them. */
  async eventsSince(classes: readonly string[], token: string, options: CallOptions = {}): Promise<EventBatch> {
    try {
      return await this.#send<EventBatch>('event.from', [classes, token, longestWait], options)
    } catch (error) {
      throw isXapiFailure(error) ? error : mapError(error, 'Read')
    }
  }

  /** Ends the session; the first call decides what `closed` tells. */
  async close(reason?: Error): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closed.resolve(reason)
    const words = 'the session ended'
    for (const end of this.#waits) end(Object.assign(new Error(words), { code: 'ECONNRESET' }))
    const { _undiciDispatcher: dispatcher } = this.#xapi
    await this.#xapi.disconnect().catch(() => undefined)
    // xen-api does not wait for its logout, which also ends the waits of the session: pools keep few sessions.
    const patience = setTimeout(() => void dispatcher.destroy(), logoutTimeout)
    await dispatcher.close().catch(() => undefined)
    clearTimeout(patience)
  }

  /** xen-api logs in anew by itself when a session has expired: at the same pool, or not at all. */
  #keepToThisPool(): void {
    const known = this.poolID
    this.#xapi.on('sessionId', () => {
      this.#logins++
      if (this.poolID === known) return
      const reason = new BerthError(
        'DifferentHost',
        `The address answers with pool ${this.poolID} instead of ${known}.`,
      )
      void this.close(reason)
      throw reason
    })
  }

  async #call<T>(effect: Effect, method: string, args: readonly unknown[], options: CallOptions): Promise<T> {
    try {
      return await this.#send<T>(method, args, options)
    } catch (error) {
      throw mapError(error, effect)
    }
  }

  async #send<T>(method: string, args: readonly unknown[], { signal, beforeSend }: CallOptions): Promise<T> {
    this.#requireOpen()
    if (signal?.aborted) throw new BerthError('TemporaryFailure', 'The wait for the pool was ended before the call.')
    beforeSend?.()
    try {
      return (await interruptible(this.#xapi.call(method, ...args), this.#waits, signal)) as T
    } catch (error) {
      if (isXapiFailure(error, 'SESSION_INVALID', 'HOST_IS_SLAVE', 'SESSION_AUTHENTICATION_FAILED')) {
        // xen-api has tried to log in again already: a new session looks for the master.
        void this.close(mapFailure(error))
      }
      throw error
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new BerthError('HypervisorUnreachable', 'The session with the pool has ended.')
  }
}

/** Waits no longer than the signal, or an entry in `waits`, allows. What was sent goes on. */
export async function interruptible<T>(
  answer: Promise<T>,
  waits: Set<(reason: Error) => void>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: interrupted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(new DOMException('the wait was ended', 'AbortError'))
  waits.add(reject)
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  try {
    return await Promise.race([answer, interrupted])
  } finally {
    waits.delete(reject)
    signal?.removeEventListener('abort', abort)
  }
}
