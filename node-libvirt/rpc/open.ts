import { LibvirtAbortError, LibvirtConnectionError, LibvirtTimeoutError } from '../errors.ts'
import { Feature } from '../protocol/procedures.ts'
import { parseURI } from '../uri.ts'
import { authenticate, type SaslOptions } from './authenticate.ts'
import { RpcClient } from './client.ts'
import { openError } from './socket.ts'
import { connect, type TransportOptions } from './transport.ts'

export interface OpenOptions extends TransportOptions {
  readonly callTimeout?: number | undefined
  readonly keepalive?: { readonly interval: number; readonly count: number } | undefined
  readonly sasl?: SaslOptions | undefined
  readonly signal?: AbortSignal | undefined
  readonly maxConcurrentCalls?: number | undefined
}

const defaultKeepalive = { interval: 5_000, count: 3 }

/**
 * Connects, and goes through libvirt's opening: which authentication is demanded, the name, keepalive. One deadline
 * over all of it.
 */
export const openClient = async (uri: string, options: OpenOptions): Promise<RpcClient> => {
  const target = parseURI(uri)
  const { callTimeout = 30_000, maxConcurrentCalls = 4, keepalive = defaultKeepalive } = options
  using deadline = new Deadline(callTimeout, options.signal)
  const { signal } = deadline
  let client: RpcClient | undefined
  try {
    signal.throwIfAborted()
    const socket = await connect(target, options, signal)
    client = new RpcClient(socket, { callTimeout, maxConcurrentCalls })
    await authenticate(client, options.sasl, target.address.transport !== 'tcp', signal)
    await client.call('connect_open', { name: target.name, flags: 0 }, { signal })
    const feature = { feature: Feature.PROGRAM_KEEPALIVE }
    const { supported } = await client.call('connect_supports_feature', feature, { signal })
    if (supported === 1 && keepalive.interval > 0) client.startKeepalive(keepalive)
    return client
  } catch (error) {
    client?.abandon()
    throw signal.aborted ? signal.reason : asOpenError(error)
  }
}

/** What ended a call during the opening, said as what it is for the opening. */
const asOpenError = (error: unknown): unknown => {
  if (error instanceof LibvirtConnectionError && error.phase === 'established') {
    return openError(error.reason, error.message, error.cause)
  }
  if (error instanceof LibvirtTimeoutError) return openError('Timeout', error.message, error)
  if (error instanceof LibvirtAbortError) return openError('Aborted', error.message, error)
  return error
}

/** A signal that aborts when time is up, or when the caller's signal does; its reason is the error for the opening. */
class Deadline implements Disposable {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #outer: AbortSignal | undefined
  readonly #onAbort = () => {
    this.#controller.abort(openError('Aborted', 'the opening was given up', this.#outer?.reason))
  }

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    this.#outer = outer
    this.#timer = setTimeout(() => {
      this.#controller.abort(openError('Timeout', `the connection was not open within ${milliseconds} ms`))
    }, milliseconds).unref()
    outer?.addEventListener('abort', this.#onAbort, { once: true })
    if (outer?.aborted) this.#onAbort()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#onAbort)
  }
}
