/**
 * The port to Kubernetes: every effect on the API server leaves through a {@link KubeClient}, and every look at the
 * world that may be stale comes from a {@link Cache}. Both are interfaces so that they can be wrapped and faked.
 */

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly finalizers?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

/** A kind as the API server addresses it. `T` is the object's type. */
export interface Resource<T extends KubeObject = KubeObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
  /** Carries the type; never set. */
  readonly __type?: T
}

export interface ObjectKey {
  readonly namespace?: string
  readonly name: string
}

/** `namespace/name`, or `name` for what is cluster-scoped: the work item of a queue. */
export const keyOf = (object: { metadata: ObjectMeta }): string =>
  object.metadata.namespace === undefined
    ? object.metadata.name
    : `${object.metadata.namespace}/${object.metadata.name}`

export const parseKey = (key: string): ObjectKey => {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** An object as it was read: with the uid and resourceVersion that make a write a compare-and-swap. */
export type ReadObject<T extends KubeObject> = T & {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string }
}

export interface RequestOptions {
  readonly signal?: AbortSignal
}

/**
 * Requests to the API server. Errors are BerthErrors: `Conflict` for 409 (also AlreadyExists), `APIRefused` for 4xx,
 * `APIUnavailable` for what may pass (429, 5xx, no connection). Mutations call the leader's guard just before sending.
 */
export interface KubeClient {
  /** Live. Undefined where there is none. */
  get<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    options?: RequestOptions,
  ): Promise<ReadObject<T> | undefined>
  /** Live, in pages. */
  list<T extends KubeObject>(
    resource: Resource<T>,
    options?: RequestOptions & { namespace?: string; labelSelector?: string; fieldSelector?: string },
  ): Promise<{ items: ReadObject<T>[]; resourceVersion: string }>
  /** Rejects with `Conflict` where one of that name exists. */
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: RequestOptions): Promise<ReadObject<T>>
  /** Server-side apply of the main resource, field manager `berth`. */
  apply<T extends KubeObject>(resource: Resource<T>, object: T, options?: RequestOptions): Promise<ReadObject<T>>
  /**
   * Server-side apply of the whole status, as a compare-and-swap: `read` is the object that the status was computed
   * from; `Conflict` when it has changed since, or is another object under the same name.
   */
  applyStatus<T extends KubeObject & { status?: unknown }>(
    resource: Resource<T>,
    read: ReadObject<T>,
    status: NonNullable<T['status']>,
    options?: RequestOptions,
  ): Promise<ReadObject<T>>
  /** Replaces our finalizers (those that start with `berth.dev/`) and leaves others; a compare-and-swap. */
  setFinalizers<T extends KubeObject>(
    resource: Resource<T>,
    read: ReadObject<T>,
    finalizers: readonly string[],
    options?: RequestOptions,
  ): Promise<ReadObject<T>>
  /** Deletes with the uid (and resourceVersion, where given) as precondition. Absent already: nothing. */
  delete<T extends KubeObject>(
    resource: Resource<T>,
    key: ObjectKey,
    precondition: { uid: string; resourceVersion?: string },
    options?: RequestOptions,
  ): Promise<void>
}

/** What was last seen of one kind by its watch. May be stale; never a reason to destroy anything. */
export interface Cache<T extends KubeObject> {
  readonly synced: boolean
  get(key: string): ReadObject<T> | undefined
  list(): readonly ReadObject<T>[]
  /** Objects for which the index function named so gave `value`; the same array as long as none of them has changed. */
  byIndex(index: string, value: string): readonly ReadObject<T>[]
  /** What the index function named so gave for any object. */
  indexValues(index: string): readonly string[]
}

export interface CacheChange<T extends KubeObject> {
  readonly type: 'Added' | 'Modified' | 'Deleted'
  readonly object: ReadObject<T>
  readonly previous?: ReadObject<T>
  /** It was there when the watch began, or when the listener came: nothing is known to have happened to it. */
  readonly initial?: true
}

/** A cache that keeps itself up to date: lists, watches, lists again with back-off after every kind of failure. */
export interface Informer<T extends KubeObject> extends Cache<T> {
  /** The version of the kind's whole collection up to which everything has been seen; undefined before the first listing. */
  readonly resourceVersion: string | undefined
  onChange(listener: (change: CacheChange<T>) => void): void
  /** Runs until aborted. */
  run(signal: AbortSignal): Promise<void>
  /** Resolves after the first complete listing. */
  readonly ready: Promise<void>
}

export type IndexFunctions<T extends KubeObject> = Readonly<
  Record<string, (object: ReadObject<T>) => readonly string[]>
>

export interface ObjectReference {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace?: string
  readonly name: string
  readonly uid?: string
}

/** One line of history (events.k8s.io/v1). */
export interface EventRecord {
  readonly regarding: ObjectReference
  readonly related?: ObjectReference
  readonly type: 'Normal' | 'Warning'
  /** The outcome, from the error table or the kind's reasons. */
  readonly reason: string
  /** The verb: Create, Start, Place, Release … */
  readonly action: string
  readonly note: string
  /** Who asked: a user's name, or `berth`. */
  readonly actor?: string
}

/** Never throws and never waits: history is told, not depended on. Repeats are aggregated, floods are limited. */
export interface EventRecorder {
  record(event: EventRecord): void
}
