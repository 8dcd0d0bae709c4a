import { type Cache, type CacheChange, type IndexFunctions, type KubeObject, keyOf, type ReadObject } from './port.ts'

/**
 * The objects of one kind by key, with indices. Every change gives what listeners are told. An object is the same one
 * by uid: where another has taken its name, the first is Deleted and the second is Added.
 */
export class Store<T extends KubeObject> implements Cache<T> {
  readonly #indices: IndexFunctions<T>
  readonly #onIndexError: (index: string, error: unknown) => void
  #objects = new Map<string, ReadObject<T>>()
  /** index → value → objects */
  readonly #indexed = new Map<string, Map<string, Bucket<T>>>()
  #list: readonly ReadObject<T>[] | undefined
  #synced = false

  constructor(indices: IndexFunctions<T>, onIndexError: (index: string, error: unknown) => void) {
    this.#indices = indices
    this.#onIndexError = onIndexError
    for (const index of Object.keys(indices)) this.#indexed.set(index, new Map())
  }

  get synced(): boolean {
    return this.#synced
  }

  get(key: string): ReadObject<T> | undefined {
    return this.#objects.get(key)
  }

  list(): readonly ReadObject<T>[] {
    this.#list ??= [...this.#objects.values()]
    return this.#list
  }

  byIndex(index: string, value: string): readonly ReadObject<T>[] {
    const bucket = this.#valuesByIndex(index).get(value)
    if (bucket === undefined) return nothing
    bucket.list ??= [...bucket.objects.values()]
    return bucket.list
  }

  indexValues(index: string): readonly string[] {
    return [...this.#valuesByIndex(index).keys()]
  }

  #valuesByIndex(index: string): Map<string, Bucket<T>> {
    const values = this.#indexed.get(index)
    if (values === undefined) throw new Error(`No index is named "${index}".`)
    return values
  }

  put(object: ReadObject<T>): CacheChange<T>[] {
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion && sameUID(previous, object)) return []
    this.#set(key, previous, object)
    if (previous === undefined) return [{ type: 'Added', object }]
    if (sameUID(previous, object)) return [{ type: 'Modified', object, previous }]
    return [
      { type: 'Deleted', object: previous },
      { type: 'Added', object },
    ]
  }

  remove(object: ReadObject<T>): CacheChange<T>[] {
    const key = keyOf(object)
    const previous = this.#objects.get(key)
    if (previous === undefined || !sameUID(previous, object)) return []
    this.#set(key, previous, undefined)
    return [{ type: 'Deleted', object, previous }]
  }

  /** Makes a complete listing the content. What is not in it has vanished unseen. */
  replace(objects: readonly ReadObject<T>[]): CacheChange<T>[] {
    const present = new Set(objects.map(keyOf))
    const changes: CacheChange<T>[] = []
    for (const [key, object] of [...this.#objects]) {
      if (present.has(key)) continue
      this.#set(key, object, undefined)
      changes.push({ type: 'Deleted', object })
    }
    for (const object of objects) for (const change of this.put(object)) changes.push(change)
    this.#synced = true
    return changes
  }

  #set(key: string, previous: ReadObject<T> | undefined, next: ReadObject<T> | undefined): void {
    this.#list = undefined
    if (next === undefined) this.#objects.delete(key)
    else this.#objects.set(key, next)
    for (const [index, values] of this.#indexed) {
      for (const value of this.#valuesOf(index, previous)) {
        const bucket = values.get(value)
        if (bucket === undefined) continue
        bucket.objects.delete(key)
        bucket.list = undefined
        if (bucket.objects.size === 0) values.delete(value)
      }
      for (const value of this.#valuesOf(index, next)) {
        const bucket = values.get(value) ?? { objects: new Map(), list: undefined }
        bucket.objects.set(key, next as ReadObject<T>)
        bucket.list = undefined
        values.set(value, bucket)
      }
    }
  }

  #valuesOf(index: string, object: ReadObject<T> | undefined): readonly string[] {
    if (object === undefined) return []
    try {
      return this.#indices[index]?.(object) ?? []
    } catch (error) {
      this.#onIndexError(index, error)
      return []
    }
  }
}

interface Bucket<T extends KubeObject> {
  readonly objects: Map<string, ReadObject<T>>
  list: readonly ReadObject<T>[] | undefined
}

const nothing: readonly never[] = []

const sameUID = (a: KubeObject, b: KubeObject): boolean => a.metadata.uid === b.metadata.uid
