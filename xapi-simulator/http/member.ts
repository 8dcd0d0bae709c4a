import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { Member, Pool } from '../state/pool.ts'
import { answerConsole } from './console.ts'
import { answerJson, answerXml } from './rpc.ts'
import { answerTransfer } from './transfer.ts'

export interface Certificate {
  /** PEM, with what lies between it and the authority. */
  readonly certificate: string
  readonly key: string
}

/** A host of a pool that answers on its address; it may be down and come back. */
export class MemberServer {
  readonly member: Member
  readonly #pool: Pool
  readonly #certificate: Certificate | undefined
  readonly #consoles = new Set<Duplex>()
  #server: Server | undefined
  #port = 0

  constructor(pool: Pool, member: Member, certificate?: Certificate) {
    this.#pool = pool
    this.member = member
    this.#certificate = certificate
  }

  get url(): string {
    return `${this.#certificate ? 'https' : 'http'}://${this.member.address}:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  /** Listens; without a port on any that is free, and then on the same again. */
  async start(port = this.#port): Promise<void> {
    const handler = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response)
    const server = this.#certificate
      ? createTlsServer({ cert: this.#certificate.certificate, key: this.#certificate.key }, handler)
      : createServer(handler)
    server.on('connect', (request, socket) => {
      this.#consoles.add(socket)
      socket.once('close', () => this.#consoles.delete(socket))
      answerConsole(this.#pool, request, socket)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, this.member.address, () => {
        server.off('error', reject)
        resolve()
      })
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('The server has no port.')
    this.#port = address.port
    this.#server = server
  }

  /** Closes every connection and listens no more. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    // A connection that became a tunnel is no longer the server's.
    for (const socket of this.#consoles) socket.destroy()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://member')
    try {
      if (request.method === 'POST' && pathname === '/jsonrpc') {
        return await answerJson(this.#pool, this.member, request, response)
      }
      if (await answerTransfer(this.#pool, this.member, request, response)) return
      // Of a path xapi looks at the longest beginning that it knows, which is `/` at least; clients rely on it.
      if (request.method === 'POST') return await answerXml(this.#pool, this.member, request, response)
      response.writeHead(404)
      response.end()
    } catch {
      // The client went away in the middle of a call.
      response.destroy()
    }
  }
}
