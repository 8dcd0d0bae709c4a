/**
 * An API server in memory: one history of versions, writes as compare-and-swaps, generations, finalizers, the garbage
 * collector, watches with an ordered history that can be compacted and cut. What it leaves out: other API groups'
 * admission, field ownership (Berth owns the whole of what it applies), paging.
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { SlotStatus } from '../../../controller/api/index.ts'
import {
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ReadObject,
  type Resource,
} from '../../../controller/kube/index.ts'
import { StatusError } from '../../../controller/kube/status.ts'
import type { Clock } from '../../../controller/runtime/index.ts'
import { checkSlot, isCustom, withDefaults } from './kinds.ts'
import { Pushed } from './pushed.ts'
import { conflict, notFound } from './refusals.ts'

export type AnyObject = KubeObject & { readonly spec?: unknown; readonly status?: unknown }
export type Stored = ReadObject<AnyObject>
type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

interface HistoryEntry {
  readonly version: number
  readonly type: EventType
  readonly plural: string
  readonly object: Stored
}

interface Watcher {
  readonly plural: string
  readonly lines: Pushed<Buffer>
}

export interface WatchRequest {
  readonly plural: string
  /** Absent: everything there is comes first. */
  readonly from?: string
  /** The server ends the watch after so long, ms. */
  readonly timeout: number
}

const bookmarkEvery = 60_000
/** How long the garbage collector takes to notice, ms. */
const collectAfter = 200

export class APIServer {
  /** Between a write and the watches that tell of it, ms. */
  watchLag = 10
  readonly #clock: Clock
  readonly #objects = new Map<string, Stored>()
  readonly #created = new Map<string, number>()
  readonly #watchers = new Set<Watcher>()
  #history: HistoryEntry[] = []
  #version = 1_000
  #compacted = 0
  /** When the last event was, or will be, told: their order holds though the lag changes. */
  #told = 0
  #refusesUntil = 0

  constructor(clock: Clock) {
    this.#clock = clock
    const bookmark = () => {
      for (const { plural, lines } of this.#watchers) lines.push(line('BOOKMARK', this.#bookmark(plural)))
      clock.after(bookmarkEvery, bookmark)
    }
    clock.after(bookmarkEvery, bookmark)
  }

  // What users and tests do.

  all(): readonly { readonly plural: string; readonly object: Stored }[] {
    return [...this.#objects].map(([id, object]) => ({ plural: id.slice(0, id.indexOf('/')), object }))
  }

  list<T extends KubeObject>({ plural }: Resource<T>): ReadObject<T>[] {
    return [...this.#objects].flatMap(([id, object]) =>
      id.startsWith(`${plural}/`) ? [object as unknown as ReadObject<T>] : [],
    )
  }

  find<T extends KubeObject>({ plural }: Resource<T>, key: ObjectKey): ReadObject<T> | undefined {
    return this.#objects.get(idOf(plural, key)) as ReadObject<T> | undefined
  }

  /** Changes the spec of an object, or its metadata, as a user does; it must be there. */
  edit<T extends KubeObject>(resource: Resource<T>, key: ObjectKey, change: (object: T) => void): void {
    const before = this.find(resource, key)
    if (!before) throw new Error(`there is no ${resource.kind} ${key.name}`)
    const object = structuredClone(before) as T
    change(object)
    this.#put(resource.plural, object as Stored, before as unknown as Stored)
  }

  /** Forgets the history: a watch from before gets 410. */
  compact(): void {
    this.#compacted = this.#version
    this.#history = []
  }

  /** Ends every watch, and refuses everything for so long. */
  outage(length: number): void {
    this.#refusesUntil = this.#clock.monotonic() + length
    for (const { lines } of this.#watchers) lines.close()
    this.#watchers.clear()
  }

  // What requests do.

  checkAvailable(): void {
    if (this.#clock.monotonic() < this.#refusesUntil) throw new StatusError(503, 'ServiceUnavailable', 'restarting')
  }

  get version(): string {
    return String(this.#version)
  }

  create(plural: string, given: AnyObject): Stored {
    const id = idOf(plural, given.metadata)
    if (this.#objects.has(id)) throw new StatusError(409, 'AlreadyExists', `${id} already exists`)
    const { status: _, ...object } = withDefaults(plural, structuredClone(given))
    const count = (this.#created.get(id) ?? 0) + 1
    this.#created.set(id, count)
    const metadata = {
      ...object.metadata,
      uid: uuidOf(`${id}/${count}`),
      generation: 1,
      creationTimestamp: this.#now(),
      resourceVersion: '',
    }
    return this.#put(plural, { ...object, metadata }, undefined)
  }

  /** Server-side apply by the one manager that there is. */
  apply(plural: string, given: AnyObject): Stored {
    const before = this.#objects.get(idOf(plural, given.metadata))
    if (!before) return this.create(plural, given)
    const { labels, ownerReferences, ...metadata } = given.metadata
    const owners = [...(before.metadata.ownerReferences ?? []), ...(ownerReferences ?? [])]
    const merged = {
      ...before.metadata,
      ...metadata,
      labels: { ...before.metadata.labels, ...labels },
      ownerReferences: [...new Map(owners.map((owner) => [owner.uid, owner])).values()],
    }
    const spec = { ...(before.spec as object), ...(given.spec as object) }
    return this.#put(plural, withDefaults(plural, { ...before, spec, metadata: merged }) as Stored, before)
  }

  applyStatus(plural: string, given: AnyObject): Stored {
    const before = this.#current(plural, given)
    if (plural === 'slots') checkSlot(given.status as SlotStatus, before.status as SlotStatus)
    return this.#put(plural, { ...before, status: structuredClone(given.status) }, before)
  }

  mergeMetadata(plural: string, given: AnyObject): Stored {
    const before = this.#current(plural, given)
    return this.#put(plural, { ...before, metadata: { ...before.metadata, ...given.metadata } } as Stored, before)
  }

  replace(plural: string, given: AnyObject): Stored {
    const before = this.#current(plural, given)
    return this.#put(
      plural,
      { ...structuredClone(given), metadata: { ...before.metadata, ...given.metadata } } as Stored,
      before,
    )
  }

  delete(
    plural: string,
    key: ObjectKey,
    condition: { readonly uid?: string; readonly resourceVersion?: string } = {},
  ): void {
    const object = this.#objects.get(idOf(plural, key))
    if (!object) throw notFound(`${idOf(plural, key)} not found`)
    const { uid, resourceVersion, generation = 0 } = object.metadata
    if ((condition.uid ?? uid) !== uid || (condition.resourceVersion ?? resourceVersion) !== resourceVersion) {
      throw conflict(`the preconditions of ${idOf(plural, key)} do not hold`)
    }
    if (object.metadata.deletionTimestamp !== undefined) return
    const marked = { ...object.metadata, deletionTimestamp: this.#now(), generation: generation + 1 }
    this.#put(plural, { ...object, metadata: marked }, object)
  }

  watch({ plural, from, timeout }: WatchRequest): Pushed<Buffer> {
    const lines = new Pushed<Buffer>()
    const since = from === undefined ? this.#version : Number(from)
    if (since < this.#compacted) {
      lines.push(line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }))
      lines.close()
      return lines
    }
    if (from === undefined) {
      for (const object of this.#of(plural)) lines.push(line('ADDED', object))
      lines.push(line('BOOKMARK', this.#bookmark(plural, { 'k8s.io/initial-events-end': 'true' })))
    }
    for (const { version, type, object, plural: kind } of this.#history) {
      if (kind === plural && version > since) lines.push(line(type, object))
    }
    const watcher = { plural, lines }
    this.#watchers.add(watcher)
    this.#clock.after(timeout, () => {
      this.#watchers.delete(watcher)
      lines.close()
    })
    return lines
  }

  /** The client has hung up. */
  unwatch(lines: Pushed<Buffer>): void {
    for (const watcher of this.#watchers) if (watcher.lines === lines) this.#watchers.delete(watcher)
  }

  #of(plural: string): Stored[] {
    return this.all().flatMap((entry) => (entry.plural === plural ? [entry.object] : []))
  }

  #bookmark(plural: string, annotations?: Readonly<Record<string, string>>) {
    return { kind: plural, metadata: { resourceVersion: this.version, ...(annotations ? { annotations } : {}) } }
  }

  /** As stored, if it is still the version and the object that the writer has read. */
  #current(plural: string, { metadata }: AnyObject): Stored {
    const id = idOf(plural, metadata)
    const now = this.#objects.get(id)
    if (!now) throw notFound(`${id} not found`)
    const { uid = now.metadata.uid, resourceVersion = now.metadata.resourceVersion } = metadata
    if (uid !== now.metadata.uid || resourceVersion !== now.metadata.resourceVersion) {
      throw conflict(`the object ${id} has been modified`)
    }
    return now
  }

  #put(plural: string, object: Stored, before: Stored | undefined): Stored {
    const id = idOf(plural, object.metadata)
    if (before !== undefined && isDeepStrictEqual(object, before)) return before
    const asked = isCustom(plural) && before !== undefined && !isDeepStrictEqual(object.spec, before.spec)
    const metadata = {
      ...object.metadata,
      generation: (object.metadata.generation ?? 1) + (asked ? 1 : 0),
      resourceVersion: String(++this.#version),
    }
    const stored: Stored = deepFreeze({ ...object, metadata })
    const gone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0
    if (gone) this.#objects.delete(id)
    else this.#objects.set(id, stored)
    this.#tell(plural, gone ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED', stored)
    if (gone) this.#clock.after(collectAfter, () => this.#collect(metadata.uid))
    if (before === undefined) this.#clock.after(collectAfter, () => this.#collectOrphan(plural, stored))
    return stored
  }

  #tell(plural: string, type: EventType, object: Stored): void {
    this.#history.push({ version: this.#version, type, plural, object })
    const now = this.#clock.monotonic()
    this.#told = Math.max(this.#told, now + this.watchLag)
    const watching = [...this.#watchers]
    this.#clock.after(this.#told - now, () => {
      // A watch that began since has it from the history.
      for (const watcher of watching) {
        if (watcher.plural === plural && this.#watchers.has(watcher)) watcher.lines.push(line(type, object))
      }
    })
  }

  /** What belongs to an object that is gone. */
  #collect(owner: string): void {
    for (const { plural, object } of this.all()) {
      if (object.metadata.ownerReferences?.some(({ uid }) => uid === owner)) this.delete(plural, object.metadata)
    }
  }

  /** What was made when its owner was gone already. */
  #collectOrphan(plural: string, { metadata }: Stored): void {
    const { ownerReferences = [] } = metadata
    const owned = ownerReferences.some(({ uid }) => this.all().some(({ object }) => object.metadata.uid === uid))
    if (
      ownerReferences.length === 0 ||
      owned ||
      this.#objects.get(idOf(plural, metadata))?.metadata.uid !== metadata.uid
    )
      return
    this.delete(plural, metadata)
  }

  /** metav1.Time has whole seconds. */
  #now(): string {
    return new Date(this.#clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')
  }
}

const idOf = (plural: string, metadata: ObjectKey): string => `${plural}/${keyOf({ metadata })}`

const line = (type: EventType | 'BOOKMARK' | 'ERROR', object: unknown): Buffer =>
  Buffer.from(`${JSON.stringify({ type, object })}\n`)

/** The same in every run: so that runs can be compared. */
function uuidOf(seed: string): string {
  const hex = createHash('sha256').update(seed).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}
