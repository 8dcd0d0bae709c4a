import { type Cache, type IndexFunctions, type Informer, type KubeObject, keyOf, type ReadObject } from './port.ts'

const mostGone = 1_000

/**
 * A cache with what this process wrote itself laid over it, until the watch has caught up: so that the pass after a
 * write does not decide on the time before it (a second slot claimed, a status written twice).
 *
 * Guarantee: `get`, `list` and `byIndex` never give an older version than one that was noted. Assumption: resource
 * versions of one kind compare as numbers, which Kubernetes promises (KEP-5504); where they do not parse, the cache wins.
 */
export class OverlayCache<T extends KubeObject> implements Cache<T> {
  readonly #cache: Cache<T>
  readonly #indices: IndexFunctions<T>
  readonly #gone = new Map<string, ReadObject<T>>()
  readonly #written = new Map<string, ReadObject<T>>()

  /** `indices` are those that the informer was made with. */
  constructor(informer: Cache<T> & Pick<Informer<T>, 'onChange'>, indices: IndexFunctions<T> = {}) {
    this.#cache = informer
    this.#indices = indices
    informer.onChange(({ type, object }) => {
      if (type !== 'Deleted') return
      this.forget(keyOf(object))
      this.#gone.set(keyOf(object), object)
      // Answers to our own writes are late by seconds at most: a few deletions are enough to remember.
      const [oldest] = this.#gone.keys()
      if (oldest !== undefined && this.#gone.size > mostGone) this.#gone.delete(oldest)
    })
  }

  get synced(): boolean {
    return this.#cache.synced
  }

  /** Remembers the answer to a write of ours; unless the watch has shown since that the object is gone. */
  note(object: ReadObject<T>): void {
    if (this.#gone.get(keyOf(object))?.metadata.uid === object.metadata.uid) return
    this.#written.set(keyOf(object), object)
  }

  /** Forgets a key: the object was seen to be gone by a live read. */
  forget(key: string): void {
    this.#written.delete(key)
  }

  get(key: string): ReadObject<T> | undefined {
    return this.#freshest(key, this.#cache.get(key))
  }

  list(): readonly ReadObject<T>[] {
    if (this.#written.size === 0) return this.#cache.list()
    const seen = new Set<string>()
    const objects = this.#cache.list().map((object) => {
      const key = keyOf(object)
      seen.add(key)
      return this.#freshest(key, object) ?? object
    })
    for (const [key, object] of this.#written) if (!seen.has(key)) objects.push(object)
    return objects
  }

  byIndex(index: string, value: string): readonly ReadObject<T>[] {
    const indexOf = this.#indices[index]
    if (!indexOf) throw new Error(`no index ${index}`)
    const objects = this.#cache.byIndex(index, value)
    if (this.#written.size === 0) return objects
    const byKey = new Map(objects.map((object) => [keyOf(object), object]))
    for (const key of [...this.#written.keys()]) {
      const object = this.get(key)
      if (object && indexOf(object).includes(value)) byKey.set(key, object)
      else byKey.delete(key)
    }
    return [...byKey.values()]
  }

  #freshest(key: string, cached: ReadObject<T> | undefined): ReadObject<T> | undefined {
    const written = this.#written.get(key)
    if (!written) return cached
    if (cached && !isNewer(written, cached)) {
      this.#written.delete(key)
      return cached
    }
    return written
  }
}

function isNewer(written: ReadObject<KubeObject>, cached: ReadObject<KubeObject>): boolean {
  const [ours, theirs] = [Number(written.metadata.resourceVersion), Number(cached.metadata.resourceVersion)]
  return Number.isSafeInteger(ours) && Number.isSafeInteger(theirs) && ours > theirs
}
