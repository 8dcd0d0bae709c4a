/** The way from the controller's real client and informers to the API server in memory, in place of HTTP. */
import { type SlotStatus, slots } from '../../../controller/api/index.ts'
import { type Credentials, Transport } from '../../../controller/kube/index.ts'
import { errorFromAnswer, StatusError } from '../../../controller/kube/status.ts'
import type { HTTPRequest, HTTPStream } from '../../../controller/kube/transport.ts'
import type { AnyObject, APIServer } from './api-server.ts'
import type { Effects } from './effects.ts'
import { type Life, never } from './life.ts'
import { notFound } from './refusals.ts'

export class WorldTransport extends Transport {
  readonly #api: APIServer
  readonly #life: Life
  /** Absent: what is written is no effect of the controller's work (the lease). */
  readonly #effects: Effects | undefined

  constructor(api: APIServer, life: Life, effects?: Effects) {
    super({ credentials: nowhere, clock: life.clock })
    this.#api = api
    this.#life = life
    this.#effects = effects
  }

  override async request<T>(request: HTTPRequest): Promise<T> {
    if (!this.#life.sends) return never()
    request.signal?.throwIfAborted()
    request.beforeSend?.()
    const answer = async () => this.#answer(request) as T
    if (request.method === 'GET' || this.#effects === undefined) return this.#life.answered(answer())
    return this.#effects.perform(this.#life, { port: 'API', ...this.#describe(request) }, answer)
  }

  override async stream({ path, query, signal }: HTTPRequest): Promise<HTTPStream> {
    if (!this.#life.sends) return never()
    const { plural } = addressOf(path)
    const lines = this.#refusals(() => {
      const from = query?.['resourceVersion']
      const timeout = Number(query?.['timeoutSeconds']) * 1000
      return this.#api.watch({ plural, timeout, ...(from === undefined ? {} : { from }) })
    })
    const close = () => {
      this.#api.unwatch(lines)
      lines.close()
    }
    signal?.addEventListener('abort', close, { once: true })
    this.#life.onEnd(close)
    return { chunks: this.#chunks(lines), close }
  }

  async *#chunks(lines: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const parts = lines[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await this.#life.answered(parts.next())
      if (done) return
      yield value
    }
  }

  /** What a write is, the same in every run. */
  #describe({ method, path, body, contentType }: HTTPRequest): { readonly verb: string; readonly target: string } {
    const { plural, namespace, name, status } = addressOf(path)
    const { metadata, status: written } = body as AnyObject
    const target = [plural, namespace, name ?? metadata.name].filter((part) => part !== undefined).join('/')
    if (status && plural === 'slots') {
      const { phase } = written as SlotStatus
      const before = this.#api.find(slots, { name: name ?? '' })?.status?.phase
      // A claim's life is counted; whether a slot that nobody holds can be had is a thing seen, as other statuses are.
      const ofClaim = phase === 'Bound' || phase === 'Releasing' || before === 'Releasing'
      return { verb: ofClaim && phase !== before ? `set ${phase}` : 'set status', target }
    }
    if (status) return { verb: 'set status', target }
    if (contentType?.includes('merge')) return { verb: `set finalizers [${metadata.finalizers?.join(', ')}]`, target }
    return { verb: verbs[method], target }
  }

  #answer({ method, path, body, contentType }: HTTPRequest): unknown {
    return this.#refusals(() => {
      const api = this.#api
      const { plural, namespace, name, status } = addressOf(path)
      const resource = { plural, kind: '', apiVersion: '', namespaced: namespace !== undefined }
      const key = { ...(namespace === undefined ? {} : { namespace }), name: name ?? '' }
      // What is written to an address has its names from there.
      const given = body as AnyObject
      const object = () => ({ ...given, metadata: { ...given.metadata, ...key } })
      switch (method) {
        case 'GET': {
          if (name === undefined) return { metadata: { resourceVersion: api.version }, items: api.list(resource) }
          const found = api.find(resource, key)
          if (!found) throw notFound(`${plural} "${name}" not found`)
          return found
        }
        case 'POST':
          return api.create(plural, given)
        case 'PUT':
          return api.replace(plural, object())
        case 'DELETE':
          api.delete(
            plural,
            key,
            (body as { preconditions?: { uid?: string; resourceVersion?: string } }).preconditions,
          )
          return {}
        case 'PATCH':
          if (status) return api.applyStatus(plural, object())
          return contentType?.includes('merge') ? api.mergeMetadata(plural, object()) : api.apply(plural, object())
      }
    })
  }

  /** A refusal becomes what the real transport makes of the same answer. */
  #refusals<T>(work: () => T): T {
    try {
      this.#api.checkAvailable()
      return work()
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      const { status, reason, message } = error
      throw errorFromAnswer(status, JSON.stringify({ kind: 'Status', code: status, reason, message }))
    }
  }
}

const verbs = { POST: 'create', PUT: 'replace', PATCH: 'apply', DELETE: 'delete', GET: 'get' } as const

const nowhere: Credentials = {
  server: new URL('http://api.invalid'),
  current: async () => ({ tls: {}, headers: {} }),
  invalidate() {},
}

interface Address {
  readonly plural: string
  readonly namespace?: string
  readonly name?: string
  readonly status: boolean
}

/** `/api/v1/…` or `/apis/GROUP/VERSION/…`, then `[namespaces/NAMESPACE/]PLURAL[/NAME][/status]`. */
function addressOf(path: string): Address {
  const found = /^\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/([^/]+)(?=\/))?\/([^/]+)(?:\/([^/]+))?(\/status)?$/.exec(
    path,
  )
  if (!found?.[2]) throw new Error(`no address: ${path}`)
  const [, namespace, plural, name, status] = found
  return {
    plural,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    status: status !== undefined,
  }
}
