import { type Cache, type IndexFunctions, type Informer, type KubeObject, keyOf, type ReadObject } from './port.ts'
import { isOlder } from './versions.ts'

/**
 * A cache with what this process wrote itself laid over it, until the watch has got there: so that the pass after a
 * write does not decide on the time before it (a second slot claimed, a status written twice).
 *
 * Guarantee: `get`, `list` and `byIndex` never give an older version than one that was noted, nor an object of which
 * our own write was the end. Assumption: resourceVersions of one kind can be compared; where not, the cache wins.
 */
export class OverlayCache<T extends KubeObject> implements Cache<T> {
  readonly #cache: Cache<T> & Pick<Informer<T>, 'resourceVersion'>
  readonly #indices: IndexFunctions<T>
  readonly #written = new Map<string, ReadObject<T>>()
  /** Key → uid of what ended by a write of ours, as long as the watch still shows it. */
  readonly #ended = new Map<string, string>()

  /** `indices` are those that the informer was made with. */
  constructor(informer: Cache<T> & Pick<Informer<T>, 'resourceVersion'>, indices: IndexFunctions<T> = {}) {
    this.#cache = informer
    this.#indices = indices
  }

  get synced(): boolean {
    return this.#cache.synced
  }

  /** Remembers the answer to a write of ours, unless the watch, or an answer to a later one, has got further. */
  note(object: ReadObject<T>): void {
    const key = keyOf(object)
    if (hasEnded(object)) {
      // Its version says nothing: the API server answers with the one before (1.35).
      this.#written.delete(key)
      this.#ended.set(key, object.metadata.uid)
      return
    }
    const before = this.#written.get(key)?.metadata.resourceVersion
    if (!isOlder(object.metadata.resourceVersion, before)) this.#written.set(key, object)
  }

  /** Forgets a key: the object was seen to be gone by a live read. */
  forget(key: string): void {
    this.#written.delete(key)
  }

  get(key: string): ReadObject<T> | undefined {
    this.#catchUp()
    return this.#written.get(key) ?? this.#unlessEnded(key, this.#cache.get(key))
  }

  list(): readonly ReadObject<T>[] {
    return this.#over(this.#cache.list(), () => true)
  }

  byIndex(index: string, value: string): readonly ReadObject<T>[] {
    const indexOf = this.#indexNamed(index)
    return this.#over(this.#cache.byIndex(index, value), (object) => indexOf(object).includes(value))
  }

  /** Perhaps with values that no object has since a write of ours. */
  indexValues(index: string): readonly string[] {
    const indexOf = this.#indexNamed(index)
    this.#catchUp()
    return [...new Set([...this.#cache.indexValues(index), ...[...this.#written.values()].flatMap(indexOf)])]
  }

  #indexNamed(index: string): IndexFunctions<T>[string] {
    const indexOf = this.#indices[index]
    if (!indexOf) throw new Error(`no index ${index}`)
    return indexOf
  }

  /** What was written instead of what is cached, in its place. The same array where no write of ours concerns it. */
  #over(cached: readonly ReadObject<T>[], belongs: (object: ReadObject<T>) => boolean): readonly ReadObject<T>[] {
    this.#catchUp()
    const replaced = new Map<ReadObject<T>, ReadObject<T> | undefined>()
    const added: ReadObject<T>[] = []
    for (const key of this.#ended.keys()) {
      const before = this.#cache.get(key)
      if (before && belongs(before) && this.#unlessEnded(key, before) === undefined) replaced.set(before, undefined)
    }
    for (const [key, written] of this.#written) {
      const before = this.#cache.get(key)
      const now = belongs(written) ? written : undefined
      if (before && belongs(before)) replaced.set(before, now)
      else if (now) added.push(now)
    }
    if (replaced.size + added.length === 0) return cached
    return [...cached.flatMap((object) => (replaced.has(object) ? (replaced.get(object) ?? []) : object)), ...added]
  }

  #unlessEnded(key: string, cached: ReadObject<T> | undefined): ReadObject<T> | undefined {
    return cached?.metadata.uid === this.#ended.get(key) ? undefined : cached
  }

  /** Drops what the watch has been past, whatever it has shown of it: it may have been deleted since. */
  #catchUp(): void {
    const { resourceVersion } = this.#cache
    for (const [key, { metadata }] of this.#written) {
      const ahead = resourceVersion === undefined || isOlder(resourceVersion, metadata.resourceVersion)
      if (!ahead) this.#written.delete(key)
    }
    for (const [key, uid] of this.#ended) {
      if (this.#cache.get(key)?.metadata.uid !== uid) this.#ended.delete(key)
    }
  }
}

/** Without the last finalizer, what is being deleted is gone; and no uid ever comes back. */
const hasEnded = ({ metadata: { deletionTimestamp, finalizers = [] } }: KubeObject): boolean =>
  deletionTimestamp !== undefined && finalizers.length === 0
