/** HTTP to the API server: one pool of connections, a deadline on every request, errors as BerthErrors. */
import { createHash } from 'node:crypto'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { BerthError, isBerthError } from '../errors/index.ts'
import { type BackoffOptions, backoffDelay } from './backoff.ts'
import { type Clock, sleep } from './clock.ts'
import type { Access, Credentials } from './credentials.ts'
import { errorFromAnswer, httpStatus } from './status.ts'

export interface TransportOptions {
  readonly credentials: Credentials
  readonly clock: Clock
  /** Connections for requests; watches have their own. Default 16. */
  readonly connections?: number
  /** From the call to the end of the answer, retries and waiting for a connection included. Default 30 s. */
  readonly deadline?: number
  readonly userAgent?: string
  readonly random?: () => number
  /** Told of every attempt when its answer has begun, or none has come. */
  readonly onRequest?: (request: SentRequest) => void
}

/** An attempt at a request. */
export interface SentRequest {
  readonly method: HTTPRequest['method']
  /** The kind that it was about, as `virtualmachines` or `virtualmachines/status`. */
  readonly resource: string
  /** HTTP status, or `<error>` where no answer came. */
  readonly code: string
  /** The API server's host and port. */
  readonly host: string
  /** Until the answer began. */
  readonly seconds: number
}

export interface HTTPRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  /** What it is about, without names: for metrics and traces. */
  readonly resource: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly contentType?: string
  readonly signal?: AbortSignal
  /** Overrides the transport's, in ms. */
  readonly deadline?: number
  /** Called when there is a connection, right before each sending; what it throws is what the request ends with. */
  readonly beforeSend?: () => void
}

/** A body that is still coming in. */
export interface HTTPStream {
  readonly chunks: AsyncIterable<Buffer>
  close(): void
}

/** A server that is busy says so; how often we ask again within the deadline. */
const maxAttempts = 5
/** How often something is read that fails: what is retried here costs a pass no back-off. */
const maxReads = 3
const retryBackoff: BackoffOptions = { base: 200, max: 5_000 }
/** Longer than any object (etcd refuses 1.5 MB) and than a page of them is likely to be. */
const maxAnswer = 256 * 1024 * 1024
/** A page that says "back tomorrow", or a clock that is wrong, keeps nobody longer than this from asking again, ms. */
const longestRetryAfter = 300_000
const connectTimeout = 10_000

interface Pools {
  readonly fingerprint: string
  readonly requests: Dispatcher
  readonly watches: Dispatcher
}

export class Transport {
  readonly #options: TransportOptions
  readonly #limit: Limit
  #pools: Pools | undefined
  #closed = false

  constructor(options: TransportOptions) {
    this.#options = options
    this.#limit = new Limit(options.connections ?? 16)
  }

  /** The answer's JSON. */
  async request<T>(request: HTTPRequest): Promise<T> {
    using deadline = new Deadline(
      this.#options.clock,
      request.deadline ?? this.#options.deadline ?? 30_000,
      request.signal,
    )
    const text = await this.#retry(request, deadline, async () => {
      await this.#limit.enter(deadline.signal)
      try {
        const answer = await this.#send(request, deadline.signal, 'requests')
        return await readText(answer.body)
      } finally {
        this.#limit.leave()
      }
    })
    try {
      return JSON.parse(text) as T
    } catch (error) {
      throw new BerthError('APIUnavailable', 'The API server answered something other than JSON.', { cause: error })
    }
  }

  /** The answer's body as it comes. The deadline is for its beginning alone; afterwards the caller's signal ends it. */
  async stream(request: HTTPRequest): Promise<HTTPStream> {
    const abort = new AbortController()
    const ended = () => abort.abort(request.signal?.reason)
    if (request.signal?.aborted) ended()
    request.signal?.addEventListener('abort', ended, { once: true })
    const close = () => {
      request.signal?.removeEventListener('abort', ended)
      abort.abort()
    }
    using deadline = new Deadline(
      this.#options.clock,
      request.deadline ?? this.#options.deadline ?? 30_000,
      abort.signal,
    )
    const late = () => abort.abort(deadline.signal.reason)
    deadline.signal.addEventListener('abort', late, { once: true })
    try {
      const answer = await this.#send(request, abort.signal, 'watches')
      return { chunks: toChunks(answer.body, () => this.#failure(undefined, abort.signal)), close }
    } catch (error) {
      close()
      throw this.#failure(error, deadline.signal)
    } finally {
      deadline.signal.removeEventListener('abort', late)
    }
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closed = true
    const pools = this.#pools
    this.#pools = undefined
    await Promise.all([pools?.requests.destroy(), pools?.watches.destroy()])
  }

  async #retry(request: HTTPRequest, deadline: Deadline, send: () => Promise<string>): Promise<string> {
    const { clock, random = Math.random } = this.#options
    for (let attempt = 1; ; attempt++) {
      try {
        return await send()
      } catch (thrown) {
        const error = this.#failure(thrown, deadline.signal)
        if (deadline.signal.aborted || attempt >= maxAttempts || !isBerthError(error, 'APIUnavailable')) throw error
        const status = httpStatus(error)
        // The server did not look at the request: sending it again is no repetition.
        if (status === 401 && attempt === 1) continue
        const told = error.retryAfter !== undefined && (status === 429 || status === 503)
        // A kept connection that was closed meanwhile, or a server in trouble. A mutation may have taken effect, and is
        // not repeated here.
        const troubled = status === undefined ? isCut(thrown) : status >= 500
        const readAgain = request.method === 'GET' && attempt < maxReads && troubled
        if (!told && !readAgain) throw error
        const wait = Math.max(error.retryAfter ?? 0, backoffDelay(attempt, retryBackoff, random))
        if (wait >= deadline.left()) throw error
        await sleep(clock, wait, deadline.signal)
      }
    }
  }

  async #send(
    request: HTTPRequest,
    signal: AbortSignal,
    pool: 'requests' | 'watches',
  ): Promise<Dispatcher.ResponseData> {
    const { credentials, userAgent = 'berth-controller' } = this.#options
    const access = await orAborted(credentials.current(), signal)
    const dispatcher = checked(this.#poolsFor(access)[pool], request.beforeSend)
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': userAgent, ...access.headers }
    const body = request.body === undefined ? null : JSON.stringify(request.body)
    if (body !== null) headers['content-type'] = request.contentType ?? 'application/json'
    const answer = await this.#observed(request, () =>
      dispatcher.request({
        origin: credentials.server.origin,
        path: `${credentials.server.pathname.replace(/\/$/, '')}${request.path}${queryString(request.query)}`,
        method: request.method,
        headers,
        body,
        signal,
        ...(pool === 'watches' ? { bodyTimeout: 0 } : {}),
      }),
    )
    if (answer.statusCode === 401) credentials.invalidate()
    if (answer.statusCode >= 400) {
      throw errorFromAnswer(answer.statusCode, await readText(answer.body), this.#retryAfterOf(answer.headers))
    }
    return answer
  }

  async #observed(
    { method, resource }: HTTPRequest,
    send: () => Promise<Dispatcher.ResponseData>,
  ): Promise<Dispatcher.ResponseData> {
    const { clock, credentials, onRequest } = this.#options
    const begun = clock.monotonic()
    const tell = (code: string) =>
      onRequest?.({
        method,
        resource,
        code,
        host: credentials.server.host,
        seconds: (clock.monotonic() - begun) / 1000,
      })
    try {
      const answer = await send()
      tell(String(answer.statusCode))
      return answer
    } catch (error) {
      tell('<error>')
      throw error
    }
  }

  /** Retry-After in ms: it is a number of seconds, or a date (RFC 9110, 10.2.3). */
  #retryAfterOf(headers: Dispatcher.ResponseData['headers']): number | undefined {
    const value = headers['retry-after']
    if (typeof value !== 'string') return undefined
    if (/^\d+$/.test(value)) return Math.min(longestRetryAfter, Number(value) * 1000)
    const date = /^[A-Z][a-z]+, /.test(value) ? Date.parse(value) : Number.NaN
    if (Number.isNaN(date)) return undefined
    return Math.min(longestRetryAfter, Math.max(0, date - this.#options.clock.now()))
  }

  /** New TLS material (rotated client certificates, a new CA) gets new connections; old ones end when they are idle. */
  #poolsFor({ tls }: Access): Pools {
    const fingerprint = createHash('sha256').update(JSON.stringify(tls)).digest('hex')
    if (this.#pools?.fingerprint === fingerprint) return this.#pools
    if (this.#closed) throw new BerthError('APIUnavailable', 'The client of the API server is closed.')
    const { credentials, connections = 16 } = this.#options
    const make = (limit: number | null): Dispatcher => {
      const common = { connections: limit, pipelining: 1, keepAliveTimeout: 60_000, headersTimeout: 0 }
      const connect = { ...tls, timeout: connectTimeout, keepAlive: true, keepAliveInitialDelay: 15_000 }
      return credentials.proxy === undefined
        ? new Agent({ ...common, connect })
        : new ProxyAgent({ ...common, uri: credentials.proxy, requestTls: connect })
    }
    void this.#pools?.requests.close()
    void this.#pools?.watches.close()
    this.#pools = { fingerprint, requests: make(connections), watches: make(null) }
    return this.#pools
  }

  #failure(error: unknown, signal: AbortSignal): unknown {
    if (error instanceof BerthError) return error
    if (signal.aborted) {
      if (signal.reason instanceof BerthError) return signal.reason
      return new BerthError('APIUnavailable', 'The request to the API server was cancelled.', { cause: error })
    }
    const code = codeOf(error)
    return new BerthError(
      'APIUnavailable',
      `The API server at ${this.#options.credentials.server.origin} cannot be reached${code ? `: ${code}` : ''}.`,
      { cause: error },
    )
  }
}

/** Lets so many in at a time, in order; so that what has entered is sent at once. */
class Limit {
  #free: number
  readonly #waiting = new Set<() => void>()

  constructor(size: number) {
    this.#free = size
  }

  enter(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      if (this.#free > 0) {
        this.#free--
        return resolve()
      }
      const admit = () => {
        signal.removeEventListener('abort', give)
        resolve()
      }
      const give = () => {
        this.#waiting.delete(admit)
        reject(signal.reason)
      }
      this.#waiting.add(admit)
      signal.addEventListener('abort', give, { once: true })
    })
  }

  leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free++
    } else {
      this.#waiting.delete(next)
      next()
    }
  }
}

/** A signal that is aborted after `length` ms, or when the outer one is. */
class Deadline implements Disposable {
  readonly #abort = new AbortController()
  readonly #clock: Clock
  readonly #end: number
  readonly #cancel: () => void
  readonly #outer: AbortSignal | undefined
  readonly #outerAborted = () => this.#abort.abort(this.#outer?.reason)

  constructor(clock: Clock, length: number, outer?: AbortSignal) {
    this.#clock = clock
    this.#end = clock.monotonic() + length
    this.#outer = outer
    this.#cancel = clock.after(length, () =>
      this.#abort.abort(new BerthError('APIUnavailable', `The API server did not answer within ${length / 1000} s.`)),
    )
    if (outer?.aborted) this.#outerAborted()
    outer?.addEventListener('abort', this.#outerAborted, { once: true })
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  left(): number {
    return this.#end - this.#clock.monotonic()
  }

  [Symbol.dispose](): void {
    this.#cancel()
    this.#outer?.removeEventListener('abort', this.#outerAborted)
  }
}

/** Asks `beforeSend` once there is a connection: to make one may take as long as a lease lasts. */
function checked(dispatcher: Dispatcher, beforeSend: (() => void) | undefined): Dispatcher {
  if (beforeSend === undefined) return dispatcher
  return dispatcher.compose((dispatch) => (options, handler) => {
    const start = handler.onRequestStart?.bind(handler)
    handler.onRequestStart = (...begun) => {
      beforeSend()
      start?.(...begun)
    }
    return dispatch(options, handler)
  })
}

/** What `work` gives, unless the signal is aborted before: a command that logs in may hang. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let stop = () => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > maxAnswer) throw new BerthError('APIUnavailable', 'The answer of the API server is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* toChunks(body: AsyncIterable<Buffer>, failure: () => unknown): AsyncGenerator<Buffer> {
  try {
    yield* body
  } catch (error) {
    throw error instanceof BerthError ? error : Object.assign(failure() as Error, { cause: error })
  }
}

function queryString(query: HTTPRequest['query']): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, value)
  return parameters.size === 0 ? '' : `?${parameters}`
}

/** The code of an error of Node or undici, or of what caused it. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return typeof code === 'string' ? code : codeOf(cause)
}

const isCut = (error: unknown): boolean => ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '')
