/**
 * Bytes into a VDI, by a PUT of our own: xen-api can be given no CA for transfers. The pool answers before it reads
 * anything, so that a host without the storage can name another one, and whether the content arrived is told by the
 * task alone.
 */
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { BerthError } from '../../errors/index.ts'
import type { CallOptions } from '../../hypervisor/port.ts'
import type { Client } from './client.ts'
import { mapError } from './errors.ts'
import type { Connector } from './trust.ts'

/** From one host to another that has the storage. */
const mostRedirects = 3

export interface Upload {
  /** Reference of the VDI, which is at least as long. */
  readonly vdi: string
  /** Bytes. */
  readonly length: number
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /** For people who look at the pool's tasks. */
  readonly label: string
}

/** Rejects with what the content throws, what the task failed with, or Ambiguous when the connection is lost. */
export async function upload(
  client: Client,
  connector: Connector,
  { vdi, length, content, label }: Upload,
  options: CallOptions,
): Promise<void> {
  const task = await client.change<string>('task.create', [label, ''], options)
  const query = new URLSearchParams({ vdi, format: 'raw', task_id: task })
  const url = new URL(`/import_raw_vdi?${query}`, client.address)
  const source = new Source(content)
  let put: ClientRequest | undefined
  try {
    put = await begin(client, connector, url, length, options)
    await pipeline(source, put, options)
    await client.follow(task, options)
  } catch (error) {
    put?.destroy()
    if (source.failure !== undefined || options.signal?.aborted) {
      // The task fails of itself, its content being cut off.
      void client.follow(task, {}).catch(() => undefined)
      throw source.failure ?? mapError(error, 'Mutation')
    }
    if (error instanceof BerthError) throw error
    // Why the pool broke off is said by the task. It may also have had all that it wanted.
    await client.follow(task, options)
    if (!source.hasEnded) throw mapError(error, 'Mutation')
  } finally {
    put?.destroy()
  }
}

/**
 * The content, remembering how it ended. Its last part is held back until then: the pool, which knows the length, never
 * has all of a content that turns out to be wrong.
 */
class Source implements AsyncIterable<Uint8Array> {
  readonly #content: Upload['content']
  failure: unknown
  hasEnded = false

  constructor(content: Upload['content']) {
    this.#content = content
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      let last: Uint8Array | undefined
      for await (const part of this.#content) {
        if (last !== undefined) yield last
        last = part
      }
      this.hasEnded = true
      if (last !== undefined) yield last
    } catch (error) {
      this.failure = error
      throw error
    }
  }
}

/** A request whose body is awaited by a host that has the storage. */
async function begin(
  client: Client,
  connector: Connector,
  url: URL,
  length: number,
  options: CallOptions,
): Promise<ClientRequest> {
  for (let target = url, redirects = 0; ; redirects++) {
    const put = open(connector, target, length, client.sessionID)
    const silence = Object.assign(new Error('nothing of the upload was taken'), { name: 'TimeoutError' })
    put.setTimeout(client.callTimeout, () => put.destroy(silence))
    put.flushHeaders()
    try {
      const [response]: IncomingMessage[] = await once(put, 'response', options)
      if (response?.statusCode === 200) {
        response.resume()
        // A connection that breaks is told by the pipeline.
        put.on('error', () => undefined)
        return put
      }
      const { location } = response?.headers ?? {}
      if (response?.statusCode !== 302 || location === undefined || redirects === mostRedirects) {
        throw new Error(`the answer to an upload has status ${response?.statusCode}`)
      }
      target = new URL(location, target)
    } catch (error) {
      put.destroy()
      throw error
    }
    put.destroy()
  }
}

/** To a host that is trusted, whatever its name: the session goes there. */
function open(connector: Connector, url: URL, length: number, session: string): ClientRequest {
  const { hostname, host, port, protocol } = url
  if (protocol !== 'https:')
    throw new BerthError('HypervisorRefused', 'The pool sends an upload to where there is no TLS.')
  return request(url, {
    method: 'PUT',
    headers: { 'content-length': length, cookie: `session_id=${session}` },
    createConnection: (_, opened) => {
      connector({ hostname, host, port, protocol }, (...[error, socket]) => opened(error, socket as Socket))
      return undefined
    },
  })
}
