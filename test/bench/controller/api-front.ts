/** The API server in memory behind HTTP, so that neither its memory nor its work is the controller's. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { StatusError } from '../../../controller/kube/status.ts'
import type { HTTPRequest } from '../../../controller/kube/transport.ts'
import { systemClock } from '../../../controller/runtime/index.ts'
import type { APIServer } from '../../fault/world/api-server.ts'
import { Life } from '../../fault/world/life.ts'
import { WorldTransport } from '../../fault/world/transport.ts'

/** A page of a list, as far as the controller reads it. */
interface List {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly items: readonly unknown[]
}

export class APIFront {
  /** Writes that were asked for, by `METHOD plural[/status]`; refused ones too. */
  readonly writes = new Map<string, number>()
  readonly #transport: WorldTransport
  readonly #server = createServer((request, response) => void this.#answer(request, response))

  constructor(api: APIServer) {
    this.#transport = new WorldTransport(api, new Life(systemClock))
  }

  /** Answers with its address. */
  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost')
      const query = Object.fromEntries(searchParams)
      const asked: HTTPRequest = {
        method: request.method as HTTPRequest['method'],
        path: pathname,
        resource: '',
        query,
        contentType: request.headers['content-type'] ?? '',
        body: await bodyOf(request),
      }
      if (query['watch'] === 'true') return await this.#watch(asked, response)
      if (asked.method !== 'GET') this.#count(asked)
      const answer = await this.#transport.request(asked)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(query['limit'] === undefined ? answer : pageOf(answer as List, query)))
    } catch (error) {
      refuse(response, error)
    }
  }

  async #watch(request: HTTPRequest, response: ServerResponse): Promise<void> {
    const { chunks, close } = await this.#transport.stream(request)
    response.once('close', close)
    response.flushHeaders()
    for await (const line of chunks) {
      if (!response.write(line)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    }
    response.end()
  }

  #count({ method, path }: HTTPRequest): void {
    const plural = pluralsOf.exec(path)?.[1] ?? path
    const what = `${method} ${plural}${path.endsWith('/status') ? '/status' : ''}`
    this.writes.set(what, (this.writes.get(what) ?? 0) + 1)
  }
}

const pluralsOf = /^\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/[^/]+(?=\/))?\/([^/]+)/

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString())
}

/** Of a state that does not change meanwhile: what continues a list is a number of objects. */
function pageOf({ metadata, items }: List, query: Readonly<Record<string, string>>): List {
  const begin = Number(query['continue'] ?? 0)
  const end = begin + Number(query['limit'])
  const more = end < items.length ? { continue: String(end) } : {}
  return { metadata: { ...metadata, ...more }, items: items.slice(begin, end) }
}

function refuse(response: ServerResponse, error: unknown): void {
  const cause = error instanceof Error ? error.cause : undefined
  const { status, reason } = cause instanceof StatusError ? cause : { status: 500, reason: 'InternalError' }
  response.statusCode = status
  response.end(JSON.stringify({ kind: 'Status', code: status, reason, message: String(error) }))
}
