import { BerthError, isBerthError } from '../errors/index.ts'
import type { KubeClient, KubeObject, ObjectKey, ReadObject, RequestOptions, Resource } from './port.ts'
import { httpStatus } from './status.ts'
import type { HTTPRequest, Transport } from './transport.ts'

/** The lease's guard, as the runtime has it (structurally the same: imports point one way). */
export interface Guard {
  check(): void
}

/** For what is done without a lease: leader election itself, and command lines. */
export const unguarded: Guard = { check() {} }

const fieldManager = 'berth'
const ourFinalizers = 'berth.dev/'
const pageSize = 500
const applyPatch = 'application/apply-patch+yaml'
const mergePatch = 'application/merge-patch+json'

/** What this client can do beyond the port. */
export interface CallOptions extends RequestOptions {
  /** From the call to the end of the answer, in ms; the transport's where it is absent. */
  readonly deadline?: number
}

export interface ListOptions extends RequestOptions {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export class APIClient implements KubeClient {
  readonly #transport: Transport
  readonly #guard: Guard

  constructor(transport: Transport, guard: Guard) {
    this.#transport = transport
    this.#guard = guard
  }

  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, options?: CallOptions) {
    try {
      return await this.#transport.request<ReadObject<T>>({
        method: 'GET',
        path: pathOf(resource, key),
        resource: resource.plural,
        ...options,
      })
    } catch (error) {
      if (httpStatus(error) === 404) return undefined
      throw error
    }
  }

  list<T extends KubeObject>(resource: Resource<T>, options?: ListOptions) {
    return listPages(this.#transport, resource, options)
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: CallOptions) {
    const { namespace } = object.metadata
    return this.#mutate<ReadObject<T>>({
      method: 'POST',
      path: pathOf(resource, namespace === undefined ? {} : { namespace }),
      resource: resource.plural,
      query: { fieldManager },
      body: object,
      ...options,
    })
  }

  /** Replaces the whole object; a compare-and-swap by its resourceVersion. For built-in kinds that are ours alone. */
  replace<T extends KubeObject>(resource: Resource<T>, object: ReadObject<T>, options?: CallOptions) {
    return goneIsConflict(
      this.#mutate<ReadObject<T>>({
        method: 'PUT',
        path: pathOf(resource, object.metadata),
        resource: resource.plural,
        query: { fieldManager },
        body: object,
        ...options,
      }),
    )
  }

  apply<T extends KubeObject>(resource: Resource<T>, object: T, options?: CallOptions) {
    return this.#mutate<ReadObject<T>>({
      method: 'PATCH',
      path: pathOf(resource, object.metadata),
      resource: resource.plural,
      query: { fieldManager, force: 'true' },
      contentType: applyPatch,
      body: object,
      ...options,
    })
  }

  applyStatus<T extends KubeObject & { status?: unknown }>(
    resource: Resource<T>,
    read: ReadObject<T>,
    status: NonNullable<T['status']>,
    options?: CallOptions,
  ) {
    const { name, namespace, uid, resourceVersion } = read.metadata
    return goneIsConflict(
      this.#mutate<ReadObject<T>>({
        method: 'PATCH',
        path: `${pathOf(resource, read.metadata)}/status`,
        resource: `${resource.plural}/status`,
        query: { fieldManager, force: 'true' },
        contentType: applyPatch,
        body: {
          apiVersion: resource.apiVersion,
          kind: resource.kind,
          // The resourceVersion makes it a compare-and-swap. A custom resource's status subresource does not look at
          // the uid (API server 1.35), which is no harm: no two objects of a cluster ever have the same version.
          metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion },
          status,
        },
        ...options,
      }),
    )
  }

  setFinalizers<T extends KubeObject>(
    resource: Resource<T>,
    read: ReadObject<T>,
    finalizers: readonly string[],
    options?: CallOptions,
  ) {
    const { uid, resourceVersion } = read.metadata
    const others = (read.metadata.finalizers ?? []).filter((finalizer) => !finalizer.startsWith(ourFinalizers))
    return goneIsConflict(
      this.#mutate<ReadObject<T>>({
        method: 'PATCH',
        path: pathOf(resource, read.metadata),
        resource: resource.plural,
        query: { fieldManager },
        contentType: mergePatch,
        body: { metadata: { uid, resourceVersion, finalizers: [...others, ...finalizers] } },
        ...options,
      }),
    )
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    precondition: { uid: string; resourceVersion?: string },
    options?: CallOptions,
  ): Promise<void> {
    try {
      await this.#mutate({
        method: 'DELETE',
        path: pathOf(resource, key),
        resource: resource.plural,
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: precondition },
        ...options,
      })
    } catch (error) {
      if (httpStatus(error) !== 404) throw error
    }
  }

  #mutate<T>(request: HTTPRequest): Promise<T> {
    return this.#transport.request<T>({ ...request, beforeSend: () => this.#guard.check() })
  }
}

/** What was read is there no more: for a compare-and-swap that is a change like any other. */
async function goneIsConflict<T>(request: Promise<T>): Promise<T> {
  try {
    return await request
  } catch (error) {
    if (httpStatus(error) !== 404 || !isBerthError(error)) throw error
    throw new BerthError('Conflict', error.message, { cause: error })
  }
}

/** Where a kind, or one object of it, is served. */
export function pathOf(resource: Resource, key: { readonly namespace?: string; readonly name?: string }): string {
  const group = resource.apiVersion.includes('/') ? `/apis/${resource.apiVersion}` : `/api/${resource.apiVersion}`
  const scope =
    resource.namespaced && key.namespace !== undefined ? `/namespaces/${encodeURIComponent(key.namespace)}` : ''
  if (resource.namespaced && key.name !== undefined && scope === '') {
    throw new BerthError('InternalError', `${resource.kind} "${key.name}" was asked for without a namespace.`)
  }
  return `${group}${scope}/${resource.plural}${key.name === undefined ? '' : `/${encodeURIComponent(key.name)}`}`
}

interface Page<T extends KubeObject> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: readonly ReadObject<T>[] | null
}

/** `items` is null where Go had a nil slice. */
function isPage(answer: unknown): boolean {
  const { metadata, items } = (answer ?? {}) as { metadata?: { resourceVersion?: unknown }; items?: unknown }
  const { resourceVersion } = metadata ?? {}
  return typeof resourceVersion === 'string' && resourceVersion !== '' && (items === null || Array.isArray(items))
}

/** How often a listing that outlives its snapshot is begun again. */
const maxListings = 3

/** All pages of one consistent listing. The server forgets the snapshot after minutes (410): then from the start. */
export async function listPages<T extends KubeObject>(
  transport: Transport,
  resource: Resource<T>,
  options: ListOptions = {},
): Promise<{ items: ReadObject<T>[]; resourceVersion: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listOnce(transport, resource, options)
    } catch (error) {
      if (httpStatus(error) !== 410 || attempt >= maxListings) throw error
    }
  }
}

async function listOnce<T extends KubeObject>(transport: Transport, resource: Resource<T>, options: ListOptions) {
  const { namespace, labelSelector, fieldSelector, signal } = options
  const { apiVersion, kind } = resource
  const items: ReadObject<T>[] = []
  let token: string | undefined
  for (;;) {
    const page: Page<T> = await transport.request<Page<T>>({
      method: 'GET',
      path: pathOf(resource, namespace === undefined ? {} : { namespace }),
      resource: resource.plural,
      query: { limit: String(pageSize), continue: token, labelSelector, fieldSelector },
      ...(signal === undefined ? {} : { signal }),
    })
    // An answer of something in between must not pass for "there is nothing": everything would count as deleted.
    if (!isPage(page)) throw new BerthError('APIUnavailable', 'The API server answered something other than a list.')
    // Lists of built-in kinds leave out what each item is.
    for (const item of page.items ?? []) items.push({ ...item, apiVersion, kind })
    token = page.metadata.continue || undefined
    if (token === undefined) return { items, resourceVersion: page.metadata.resourceVersion }
  }
}
