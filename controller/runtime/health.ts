import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

export interface HealthOptions {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  readonly registry: Registry
  /** Undefined: alive. Else why not. */
  readonly live?: () => string | undefined
  /** Undefined: ready. Else why not. */
  readonly ready: () => string | undefined
}

/** /healthz, /readyz and /metrics, over plain HTTP. */
export class HealthServer {
  readonly #options: HealthOptions
  readonly #server: Server

  constructor(options: HealthOptions) {
    this.#options = options
    this.#server = createServer(async (request, response) => {
      const answer = await this.#answer(request.method ?? '', new URL(request.url ?? '/', 'http://localhost').pathname)
      response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain; charset=utf-8' })
      response.end(request.method === 'HEAD' ? undefined : answer.body)
    })
  }

  /** Resolves with the port when it listens. */
  start(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.removeListener('error', reject)
        resolve((this.#server.address() as AddressInfo).port)
      })
    })
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #answer(method: string, path: string): Promise<{ status: number; body: string; type?: string }> {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'method not allowed\n' }
    const { registry, live, ready } = this.#options
    switch (path) {
      case '/healthz':
        return verdict(live?.())
      case '/readyz':
        return verdict(ready())
      case '/metrics':
        try {
          return { status: 200, body: await registry.metrics(), type: registry.contentType }
        } catch {
          return { status: 500, body: 'collecting metrics failed\n' }
        }
      default:
        return { status: 404, body: 'not found\n' }
    }
  }
}

const verdict = (problem: string | undefined) =>
  problem === undefined ? { status: 200, body: 'ok\n' } : { status: 503, body: `${problem}\n` }
