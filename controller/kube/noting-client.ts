import {
  type KubeClient,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ReadObject,
  type RequestOptions,
  type Resource,
} from './port.ts'

/** What is told of our own writes: an OverlayCache. */
export interface Notes {
  note(object: ReadObject<KubeObject>): void
  forget(key: string): void
}

/**
 * Notes the answer to every write in the overlay of its kind, so that no reconciler can forget to; and what a live read
 * shows to be gone.
 */
export class NotingClient implements KubeClient {
  readonly #client: KubeClient
  readonly #notes: ReadonlyMap<string, Notes>

  /** @param notes by kind; other kinds are not noted. */
  constructor(client: KubeClient, notes: Readonly<Record<string, Notes>>) {
    this.#client = client
    this.#notes = new Map(Object.entries(notes))
  }

  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, options?: RequestOptions) {
    const object = await this.#client.get(resource, key, options)
    if (object === undefined) this.#notes.get(resource.kind)?.forget(keyOf({ metadata: key }))
    return object
  }

  list<T extends KubeObject>(
    resource: Resource<T>,
    options?: RequestOptions & { namespace?: string; labelSelector?: string; fieldSelector?: string },
  ) {
    return this.#client.list(resource, options)
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: RequestOptions) {
    return this.#noted(resource, this.#client.create(resource, object, options))
  }

  apply<T extends KubeObject>(resource: Resource<T>, object: T, options?: RequestOptions) {
    return this.#noted(resource, this.#client.apply(resource, object, options))
  }

  applyStatus<T extends KubeObject & { status?: unknown }>(
    resource: Resource<T>,
    read: ReadObject<T>,
    status: NonNullable<T['status']>,
    options?: RequestOptions,
  ) {
    return this.#noted(resource, this.#client.applyStatus(resource, read, status, options))
  }

  setFinalizers<T extends KubeObject>(
    resource: Resource<T>,
    read: ReadObject<T>,
    finalizers: readonly string[],
    options?: RequestOptions,
  ) {
    return this.#noted(resource, this.#client.setFinalizers(resource, read, finalizers, options))
  }

  delete<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    precondition: { uid: string; resourceVersion?: string },
    options?: RequestOptions,
  ) {
    return this.#client.delete(resource, key, precondition, options)
  }

  async #noted<T extends KubeObject>(resource: Resource<T>, write: Promise<ReadObject<T>>): Promise<ReadObject<T>> {
    const object = await write
    this.#notes.get(resource.kind)?.note(object)
    return object
  }
}
