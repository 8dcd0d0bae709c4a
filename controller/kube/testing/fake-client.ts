/** The API server as reconcilers see it, in memory: compare-and-swap, finalizers, generations, and caches that can lag. */
import { randomUUID } from 'node:crypto'
import { BerthError } from '../../errors/index.ts'
import {
  type CacheChange,
  type IndexFunctions,
  type Informer,
  type KubeClient,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ReadObject,
  type Resource,
} from '../port.ts'

export interface SeenWrite {
  readonly verb: 'create' | 'apply' | 'applyStatus' | 'setFinalizers' | 'delete'
  readonly kind: string
  readonly key: string
}

type AnyObject = KubeObject & { readonly spec?: unknown; readonly status?: unknown }

const copy = <T>(value: T): T => structuredClone(value)

export class FakeKubeClient implements KubeClient {
  readonly writes: SeenWrite[] = []
  /** How many objects were read live. */
  reads = 0
  /** Called before each write takes effect: what it throws is the answer. */
  beforeWrite: (write: SeenWrite) => void = () => {}
  /** Called with each object that is about to be stored: what it throws is the answer (a CRD's rules). */
  admit: (object: AnyObject, before: AnyObject | undefined) => void = () => {}
  readonly #objects = new Map<string, ReadObject<AnyObject>>()
  readonly #informers = new Set<FakeInformer<KubeObject>>()
  #version = 100

  /** Stores an object as a user or a test would, and gives it what the server gives. */
  put<T extends KubeObject>(object: T & { status?: unknown }): ReadObject<T> {
    const before = this.#objects.get(idOf(object))
    const specChanged = JSON.stringify((object as AnyObject).spec) !== JSON.stringify(before?.spec)
    const metadata = {
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...object.metadata,
      uid: before?.metadata.uid ?? object.metadata.uid ?? randomUUID(),
      generation: (before?.metadata.generation ?? 0) + (specChanged ? 1 : 0),
    }
    return this.#store({ ...copy(object), metadata } as AnyObject) as ReadObject<T>
  }

  /** Changes an object behind everybody's back, as a user or another controller does. */
  change<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, edit: (object: T) => void): ReadObject<T> {
    const object = copy(this.peek(resource, key)) as T | undefined
    if (!object) throw new Error(`no ${resource.kind} ${key.name}`)
    edit(object)
    return this.put(object)
  }

  /** As it is now, without being counted as a read. */
  peek<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): ReadObject<T> | undefined {
    return this.#objects.get(`${resource.kind} ${keyOf({ metadata: key })}`) as ReadObject<T> | undefined
  }

  /** Removes it though there are finalizers. */
  remove<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): void {
    const object = this.peek(resource, key)
    if (object) this.#drop(object as ReadObject<AnyObject>)
  }

  /** A cache that follows at once, until it is held. */
  informer<T extends KubeObject>(resource: Resource<T>, indices: IndexFunctions<T> = {}): FakeInformer<T> {
    const informer = new FakeInformer<T>(resource, indices, this.#of(resource), `${this.#version}`)
    this.#informers.add(informer as unknown as FakeInformer<KubeObject>)
    return informer
  }

  async get<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): Promise<ReadObject<T> | undefined> {
    this.reads++
    return copy(this.peek(resource, key))
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    options: { namespace?: string } = {},
  ): Promise<{ items: ReadObject<T>[]; resourceVersion: string }> {
    const all = this.#of(resource).filter(
      ({ metadata }) => options.namespace === undefined || metadata.namespace === options.namespace,
    )
    return { items: copy(all), resourceVersion: `${this.#version}` }
  }

  async create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<ReadObject<T>> {
    this.#write('create', resource, object)
    if (this.peek(resource, object.metadata)) throw new BerthError('Conflict', `${keyOf(object)} exists`)
    return this.put(object)
  }

  async apply<T extends KubeObject>(resource: Resource<T>, object: T): Promise<ReadObject<T>> {
    this.#write('apply', resource, object)
    const before = this.peek(resource, object.metadata) as AnyObject | undefined
    const metadata = {
      ...before?.metadata,
      ...object.metadata,
      labels: { ...before?.metadata.labels, ...object.metadata.labels },
    }
    return this.put({ ...before, ...object, metadata } as unknown as T)
  }

  async applyStatus<T extends KubeObject & { status?: unknown }>(
    resource: Resource<T>,
    read: ReadObject<T>,
    status: NonNullable<T['status']>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<ReadObject<T>> {
    signal?.throwIfAborted()
    this.#write('applyStatus', resource, read)
    const now = this.#current(resource, read)
    return this.#store({ ...now, status: JSON.parse(JSON.stringify(status)) } as AnyObject) as unknown as ReadObject<T>
  }

  async setFinalizers<T extends KubeObject>(
    resource: Resource<T>,
    read: ReadObject<T>,
    finalizers: readonly string[],
  ): Promise<ReadObject<T>> {
    this.#write('setFinalizers', resource, read)
    const now = this.#current(resource, read)
    const others = (now.metadata.finalizers ?? []).filter((name) => !name.startsWith('berth.dev/'))
    const all = [...others, ...finalizers]
    const metadata = { ...now.metadata, finalizers: all }
    if (all.length > 0 || now.metadata.deletionTimestamp === undefined) {
      return this.#store({ ...now, metadata } as AnyObject) as unknown as ReadObject<T>
    }
    const last = { ...now, metadata }
    this.#drop(last as unknown as ReadObject<AnyObject>)
    // With the version before, as the API server does.
    return copy(last)
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    precondition: { uid: string; resourceVersion?: string },
  ): Promise<void> {
    const object = this.peek(resource, key)
    if (!object) return
    this.#write('delete', resource, object)
    const { uid, resourceVersion } = object.metadata
    const holds = (precondition.resourceVersion ?? resourceVersion) === resourceVersion && precondition.uid === uid
    if (!holds) throw new BerthError('Conflict', `${key.name} has changed`)
    this.markDeleted(resource, key)
  }

  /** What `kubectl delete` does: with finalizers the object stays, marked. */
  markDeleted<T extends KubeObject>(resource: Resource<T>, key: ObjectKey): void {
    const object = this.peek(resource, key) as ReadObject<AnyObject> | undefined
    if (!object) return
    const held = (object.metadata.finalizers ?? []).length > 0
    if (!held) this.#drop(object)
    else if (object.metadata.deletionTimestamp === undefined)
      this.#store({ ...object, metadata: { ...object.metadata, deletionTimestamp: '2026-01-01T01:00:00Z' } })
  }

  #of<T extends KubeObject>({ kind }: Resource<T>): ReadObject<T>[] {
    return [...this.#objects.values()].filter((object) => object.kind === kind) as unknown as ReadObject<T>[]
  }

  #write(verb: SeenWrite['verb'], { kind }: Resource, object: KubeObject): void {
    const write = { verb, kind, key: keyOf(object) }
    this.beforeWrite(write)
    this.writes.push(write)
  }

  /** The object as stored, if it is still the version that was read. */
  #current<T extends KubeObject>(resource: Resource<T>, { metadata }: ReadObject<T>): ReadObject<T> {
    const now = this.peek(resource, metadata)
    if (now?.metadata.uid !== metadata.uid || now.metadata.resourceVersion !== metadata.resourceVersion) {
      throw new BerthError('Conflict', `${resource.kind} ${metadata.name} has changed since it was read`)
    }
    return now
  }

  #store(object: AnyObject): ReadObject<AnyObject> {
    const id = idOf(object)
    const before = this.#objects.get(id)
    this.admit(object, before)
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: `${++this.#version}` } }
    this.#objects.set(id, stored as ReadObject<AnyObject>)
    this.#tell({ type: before ? 'Modified' : 'Added', object: stored as ReadObject<AnyObject> })
    return copy(stored) as ReadObject<AnyObject>
  }

  #drop(last: ReadObject<AnyObject>): void {
    const object = { ...last, metadata: { ...last.metadata, resourceVersion: `${++this.#version}` } }
    this.#objects.delete(idOf(object))
    this.#tell({ type: 'Deleted', object })
  }

  #tell(change: CacheChange<AnyObject>): void {
    for (const informer of this.#informers) informer.see(change)
  }
}

const idOf = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`

export class FakeInformer<T extends KubeObject> implements Informer<T> {
  readonly ready = Promise.resolve()
  readonly synced = true
  readonly #resource: Resource<T>
  readonly #indices: IndexFunctions<T>
  readonly #listeners: ((change: CacheChange<T>) => void)[] = []
  readonly #objects = new Map<string, ReadObject<T>>()
  #held: CacheChange<T>[] | undefined
  #resourceVersion: string

  constructor(
    resource: Resource<T>,
    indices: IndexFunctions<T>,
    objects: readonly ReadObject<T>[],
    resourceVersion: string,
  ) {
    this.#resource = resource
    this.#indices = indices
    this.#resourceVersion = resourceVersion
    for (const object of objects) this.#objects.set(keyOf(object), object)
  }

  get resourceVersion(): string {
    return this.#resourceVersion
  }

  /** The watch says nothing more until `release`. */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const change of held) this.#take(change)
  }

  see(change: CacheChange<KubeObject>): void {
    if (change.object.kind !== this.#resource.kind) return
    const own = change as unknown as CacheChange<T>
    if (this.#held) this.#held.push(own)
    else this.#take(own)
  }

  #take({ type, object }: CacheChange<T>): void {
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    this.#resourceVersion = object.metadata.resourceVersion
    if (type === 'Deleted') this.#objects.delete(key)
    else this.#objects.set(key, object)
    for (const listener of this.#listeners) listener({ type, object, ...(previous ? { previous } : {}) })
  }

  get(key: string): ReadObject<T> | undefined {
    return this.#objects.get(key)
  }

  list(): readonly ReadObject<T>[] {
    return [...this.#objects.values()]
  }

  byIndex(index: string, value: string): readonly ReadObject<T>[] {
    const indexOf = this.#indices[index]
    if (!indexOf) throw new Error(`no index ${index}`)
    return this.list().filter((object) => indexOf(object).includes(value))
  }

  indexValues(index: string): readonly string[] {
    return [...new Set(this.list().flatMap((object) => this.#indices[index]?.(object) ?? []))]
  }

  onChange(listener: (change: CacheChange<T>) => void): void {
    this.#listeners.push(listener)
  }

  async run(): Promise<void> {}
}
