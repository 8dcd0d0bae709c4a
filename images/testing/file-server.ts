import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** How one request is answered; what is absent is answered as a good server does. */
export interface Behaviour {
  readonly status?: number
  readonly location?: string
  readonly headers?: Record<string, string>
  /** Closes the connection after so many bytes of the body. */
  readonly cutAfter?: number
  /** Bytes a second. */
  readonly rate?: number
  /** Sends everything with status 200 although a range was asked for. */
  readonly ignoreRange?: boolean
  /** Says this length instead of the true one. */
  readonly announce?: number
  /** `chunked`: without a length; `close`: the end of the connection is the end of the body. */
  readonly framing?: 'chunked' | 'close'
  /** Answers a range from so many bytes further on than was asked for. */
  readonly shiftRange?: number
  /** Accepts the request and never answers. */
  readonly hang?: boolean
  /** Sends so many bytes, then nothing more. */
  readonly stallAfter?: number
}

export interface SeenRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** A file on loopback, behind a server that can be made to misbehave. */
export class FileServer {
  content: Buffer
  etag: string | undefined = '"v1"'
  lastModified: string | undefined = undefined
  /** Given the number of the request, from 0. */
  behave: (index: number) => Behaviour = () => ({})
  readonly requests: SeenRequest[] = []
  /** Bytes of bodies handed to the network. */
  bytesSent = 0
  readonly #server = createServer((request, response) => {
    const behaviour = this.behave(this.requests.length)
    this.requests.push({ path: request.url ?? '', headers: request.headers })
    response.on('error', () => {})
    void this.#answer(request.headers, response, behaviour).catch(() => response.destroy())
  })

  constructor(content: Buffer) {
    this.content = content
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  url(path = '/disk.img'): string {
    return `http://127.0.0.1:${this.port}${path}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(headers: IncomingHttpHeaders, response: ServerResponse, behaviour: Behaviour): Promise<void> {
    if (behaviour.hang) return
    if (behaviour.location !== undefined) {
      response.writeHead(behaviour.status ?? 302, { location: behaviour.location }).end('moved')
      return
    }
    if (behaviour.status !== undefined && behaviour.status >= 400) {
      response.writeHead(behaviour.status, behaviour.headers).end('no')
      return
    }
    const content = this.content
    const start = behaviour.ignoreRange ? 0 : this.#startOf(headers)
    if (start >= content.length && start > 0) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
      return
    }
    const shifted = start > 0 ? start + (behaviour.shiftRange ?? 0) : 0
    const body = content.subarray(shifted)
    if (behaviour.framing === 'close') response.useChunkedEncodingByDefault = false
    response.writeHead(start > 0 ? 206 : 200, {
      ...(this.etag === undefined ? {} : { etag: this.etag }),
      ...(this.lastModified === undefined ? {} : { 'last-modified': this.lastModified }),
      ...(start > 0 ? { 'content-range': `bytes ${shifted}-${content.length - 1}/${content.length}` } : {}),
      ...this.#framing(body.length, behaviour),
      ...behaviour.headers,
    })
    await this.#send(response, body, behaviour)
  }

  #framing(length: number, { framing, announce }: Behaviour): Record<string, string> {
    if (framing === 'chunked') return { 'transfer-encoding': 'chunked' }
    if (framing === 'close') return { connection: 'close' }
    return { 'content-length': String(announce ?? length) }
  }

  #startOf(headers: IncomingHttpHeaders): number {
    const range = /^bytes=(\d+)-$/.exec(headers.range ?? '')
    const condition = headers['if-range']
    if (!range || (condition !== undefined && condition !== this.etag && condition !== this.lastModified)) return 0
    return Number(range[1])
  }

  async #send(response: ServerResponse, body: Buffer, behaviour: Behaviour): Promise<void> {
    const end = Math.min(body.length, behaviour.cutAfter ?? Infinity, behaviour.stallAfter ?? Infinity)
    const piece = behaviour.rate === undefined ? 64 * 1024 : Math.max(1, Math.ceil(behaviour.rate / 50))
    const closed = new Promise((resolve) => response.once('close', resolve))
    for (let at = 0; at < end && !response.destroyed; at += piece) {
      const slice = body.subarray(at, Math.min(end, at + piece))
      await Promise.race([closed, new Promise((resolve) => response.write(slice, resolve))])
      this.bytesSent += slice.length
      if (behaviour.rate !== undefined) await delay(20)
    }
    if (behaviour.cutAfter !== undefined) response.socket?.end()
    else if (behaviour.stallAfter === undefined) response.end()
  }
}
