/** An API server for tests of this folder: plain HTTP on loopback, answers as the test scripts them, requests kept. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import type { Credentials } from '../credentials.ts'
import { Transport, type TransportOptions } from '../transport.ts'
import { systemClock } from './clock.ts'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

export type Answer = (request: SeenRequest, response: ServerResponse) => void | Promise<void>

export class FakeAPI {
  readonly requests: SeenRequest[] = []
  readonly #server: Server
  /** For each request in turn the first that is left; then `fallback`. */
  readonly script: Answer[] = []
  /** Whether streaming lists are refused, as servers do that have none; what is refused is neither kept nor scripted. */
  refusesStreaming = false
  fallback: Answer = (_request, response) => status(404, 'NotFound', 'not found')(_request, response)

  constructor() {
    this.#server = createServer(async (request, response) => {
      const url = new URL(request.url ?? '/', 'http://localhost')
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const text = Buffer.concat(chunks).toString()
      const seen: SeenRequest = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
      }
      if (this.refusesStreaming && seen.query['sendInitialEvents'] !== undefined) {
        await status(422, 'Invalid', 'sendInitialEvents: Forbidden')(seen, response)
        return
      }
      this.requests.push(seen)
      await (this.script.shift() ?? this.fallback)(seen, response)
    })
  }

  static async start(): Promise<FakeAPI> {
    const api = new FakeAPI()
    api.#server.listen(0, '127.0.0.1')
    await once(api.#server, 'listening')
    return api
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  transport(options: Partial<TransportOptions> = {}): Transport {
    return new Transport({ credentials: noCredentials(this.origin), clock: systemClock, ...options })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export const noCredentials = (origin: string): Credentials => ({
  server: new URL(origin),
  current: async () => ({ tls: {}, headers: {} }),
  invalidate() {},
})

export const quiet = pino({ level: 'silent' })

export const json =
  (body: unknown, code = 200): Answer =>
  (_request, response) => {
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

export const status =
  (code: number, reason: string, message: string, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response
      .writeHead(code, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message }))
  }

/** Nothing: the request hangs until its connection ends. */
export const silence: Answer = () => {}

/** The connection ends without an answer. */
export const hangUp: Answer = (_request, response) => {
  response.socket?.destroy()
}

/** Waits until `met` says so, at most `limit` ms of real time. */
export async function eventually(met: () => boolean, limit = 5_000): Promise<void> {
  const end = performance.now() + limit
  while (!met()) {
    if (performance.now() > end) throw new Error(`not met within ${limit} ms: ${met}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
