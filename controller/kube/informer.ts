/**
 * What the API server has of one kind, kept up to date; an explicit state machine.
 *
 *     Empty ─► Streaming ─► Watching        Streaming: one watch that first tells everything there is
 *       │          │            ▲           Listing:   everything, in pages
 *       └──────────┴► Listing ──┘           Watching:  changes, from the last version seen
 *
 * A server that refuses to stream the first state is listed from then on; one that fails at it time after time, this
 * time. Every failure leads back to one of these states after a jittered back-off: 410, silence and what can't be
 * understood to Empty, everything else to where it was. Nothing but the caller's signal ends it.
 *
 * Guarantees: after `ready`, the store holds what the server had at some moment, and catches up. A complete state
 * replaces the store at once, and only when it is complete. Every object that vanished is told as Deleted, though nobody
 * may have seen it go. Time does not go back: what is older than what was seen is not taken, unless the server insists
 * (it was restored from a backup). After a watch that has gone silent everything is asked for anew: a server whose time
 * has gone back says nothing to a watch from the future.
 * Caveat: what is told may be stale; it is a reason to look, never to destroy.
 */
import type { Logger } from 'pino'
import { BerthError, isBerthError } from '../errors/index.ts'
import { backoffDelay } from './backoff.ts'
import { listPages, pathOf } from './client.ts'
import { type Clock, sleep } from './clock.ts'
import { linesOf } from './lines.ts'
import {
  type CacheChange,
  type IndexFunctions,
  type Informer,
  type KubeObject,
  keyOf,
  type ReadObject,
  type Resource,
} from './port.ts'
import { httpStatus } from './status.ts'
import { Store } from './store.ts'
import type { Transport } from './transport.ts'
import { isOlder } from './versions.ts'

export interface InformerOptions<T extends KubeObject> {
  readonly transport: Transport
  readonly resource: Resource<T>
  readonly clock: Clock
  readonly log: Logger
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly indices?: IndexFunctions<T>
  /** Makes of an object what is kept of it; managedFields and the last applied configuration never are. */
  readonly transform?: (object: ReadObject<T>) => ReadObject<T>
  readonly random?: () => number
  /** Between failures, ms. Default 500 … 30 000. */
  readonly backoff?: { readonly base: number; readonly max: number }
  /** A watch on which nothing came for so long is opened again: more than twice the server's minute between bookmarks. Default 150 s. */
  readonly silence?: number
  /** The server ends a watch after this to twice this. Default 5 min. */
  readonly watchTime?: number
}

type State = 'Empty' | 'Streaming' | 'Listing' | 'Watching'

/** A watch that ends sooner, with nothing new told, has failed. */
const shortestWatch = 1_000
/** A server that streams the first state pauses no longer, ms; one that does not know how to says nothing of its end. */
const longestPause = 30_000
/** After so many failures in a row the first state is listed: something in between may cut every stream. */
const mostStreams = 3
/** So often a complete state that is older than what was seen is not taken: about two minutes. */
const mostBackwards = 10
const initialEventsEnd = 'k8s.io/initial-events-end'

export class ListWatchInformer<T extends KubeObject> implements Informer<T> {
  readonly ready: Promise<void>
  readonly #options: InformerOptions<T>
  readonly #store: Store<T>
  readonly #listeners: ((change: CacheChange<T>) => void)[] = []
  readonly #random: () => number
  #setReady: () => void = () => {}
  #state: State = 'Empty'
  #resourceVersion: string | undefined
  /** The server has not refused yet. */
  #streams = true
  /** What a stream has told so far of the first state. */
  #streamed = new Map<string, ReadObject<T>>()
  #failures = 0
  #backwards = 0

  constructor(options: InformerOptions<T>) {
    this.#options = options
    this.#random = options.random ?? Math.random
    this.#store = new Store<T>(options.indices ?? {}, (index, error) =>
      options.log.error({ err: error, kind: options.resource.kind, index }, 'an index function threw'),
    )
    this.ready = new Promise((resolve) => {
      this.#setReady = resolve
    })
  }

  get synced(): boolean {
    return this.#store.synced
  }
  get resourceVersion(): string | undefined {
    return this.#resourceVersion
  }
  get(key: string) {
    return this.#store.get(key)
  }
  list() {
    return this.#store.list()
  }
  byIndex(index: string, value: string) {
    return this.#store.byIndex(index, value)
  }
  indexValues(index: string) {
    return this.#store.indexValues(index)
  }

  /** Told of every change from now on, and of what is there already as Added. */
  onChange(listener: (change: CacheChange<T>) => void): void {
    this.#listeners.push(listener)
    for (const object of this.#store.list()) this.#call(listener, { type: 'Added', object, initial: true })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, resource, backoff = { base: 500, max: 30_000 } } = this.#options
    while (!signal.aborted) {
      try {
        this.#state = await this.#step(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#failures++
        if (mustListAgain(error)) this.#state = 'Empty'
        else if (this.#state === 'Streaming' && this.#failures % mostStreams === 0) this.#state = 'Listing'
        const asked = isBerthError(error, 'APIUnavailable') ? (error.retryAfter ?? 0) : 0
        const wait = Math.max(asked, backoffDelay(this.#failures, backoff, this.#random))
        log.warn(
          {
            err: error,
            kind: resource.kind,
            state: this.#state,
            failures: this.#failures,
            wait: Math.round(wait),
          },
          'watching failed; trying again',
        )
        await sleep(clock, wait, signal)
      }
    }
  }

  async #step(signal: AbortSignal): Promise<State> {
    switch (this.#state) {
      case 'Empty':
        return this.#streams ? 'Streaming' : 'Listing'
      case 'Streaming':
        return this.#stream(signal)
      case 'Listing':
        await this.#list(signal)
        return 'Watching'
      case 'Watching':
        await this.#watch(signal)
        return 'Watching'
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { transport, resource } = this.#options
    const { items, resourceVersion } = await listPages(transport, resource, { ...this.#selection(), signal })
    this.#adopt(
      items.map((object) => this.#slim(object)),
      resourceVersion,
    )
  }

  /** The first state and the changes after it, by one watch. */
  async #stream(signal: AbortSignal): Promise<State> {
    this.#streamed = new Map()
    try {
      await this.#watch(signal)
      return 'Watching'
    } catch (error) {
      if (signal.aborted || !isRefusal(error)) throw error
      this.#streams = false
      this.#options.log.info({ err: error, kind: this.#options.resource.kind }, 'no streaming lists: listing in pages')
      return 'Listing'
    } finally {
      this.#streamed = new Map()
    }
  }

  /** Makes a complete state the store's. */
  #adopt(objects: readonly ReadObject<T>[], resourceVersion: string): void {
    const { log, resource } = this.#options
    if (isOlder(resourceVersion, this.#resourceVersion)) {
      if (++this.#backwards <= mostBackwards) {
        throw new BerthError('APIUnavailable', 'The API server gave an older state than it had given before.')
      }
      log.error({ kind: resource.kind, resourceVersion }, 'the API server insists on an older state: restart Berth')
    }
    this.#backwards = 0
    this.#failures = 0
    this.#resourceVersion = resourceVersion
    this.#state = 'Watching'
    const first = !this.#store.synced
    const changes = this.#store.replace(objects)
    this.#tell(first ? changes.map((change) => ({ ...change, initial: true })) : changes)
    this.#setReady()
  }

  /** Returns when the watch has ended as watches do. The state moves with every event, so that nothing is told twice. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { transport, resource, clock, namespace, silence = 150_000, watchTime = 300_000 } = this.#options
    const { labelSelector, fieldSelector } = this.#selection()
    const started = clock.monotonic()
    const from =
      this.#state === 'Streaming'
        ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
        : { resourceVersion: this.#resourceVersion }
    const stream = await transport.stream({
      method: 'GET',
      path: pathOf(resource, namespace === undefined ? {} : { namespace }),
      resource: resource.plural,
      query: {
        watch: 'true',
        allowWatchBookmarks: 'true',
        ...from,
        timeoutSeconds: String(Math.ceil((watchTime * (1 + this.#random())) / 1000)),
        labelSelector,
        fieldSelector,
      },
      signal,
    })
    let silent = false
    const listen = () =>
      clock.after(this.#state === 'Streaming' ? Math.min(silence, longestPause) : silence, () => {
        silent = true
        stream.close()
      })
    let cancel = listen()
    const before = this.#resourceVersion
    try {
      for await (const line of linesOf(stream.chunks)) {
        cancel()
        if (line.trim() !== '') {
          this.#receive(parse<T>(line))
          if (this.#state === 'Watching') this.#failures = 0
        }
        cancel = listen()
      }
    } catch (error) {
      if (silent && this.#state === 'Streaming') throw new StreamingRefused('The first state has no end.')
      if (silent) throw new WatchBroken(`A watch was silent for ${silence / 1000} s.`)
      throw error
    } finally {
      cancel()
      stream.close()
    }
    if (this.#state === 'Streaming' && !signal.aborted) {
      throw new BerthError('APIUnavailable', 'A watch ended before it had told everything.')
    }
    const stood = this.#resourceVersion === before
    if (stood && !signal.aborted && clock.monotonic() - started < shortestWatch) {
      throw new BerthError('APIUnavailable', 'A watch ended as soon as it began.')
    }
  }

  #receive({ type, object }: WatchEvent<T>): void {
    if (this.#state === 'Streaming') {
      this.#receiveInitial({ type, object })
      return
    }
    const { resourceVersion } = object.metadata
    // A server that lags behind the one before, or repeats itself.
    if (isOlder(resourceVersion, this.#resourceVersion)) return
    this.#resourceVersion = resourceVersion
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#tell(this.#store.put(this.#slim(object)))
        break
      case 'DELETED':
        this.#tell(this.#store.remove(this.#slim(object)))
        break
      case 'BOOKMARK':
        break
    }
  }

  #receiveInitial({ type, object }: WatchEvent<T>): void {
    const { metadata } = object
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#streamed.set(keyOf(object), this.#slim(object))
        break
      case 'DELETED':
        this.#streamed.delete(keyOf(object))
        break
      case 'BOOKMARK':
        if (metadata.annotations?.[initialEventsEnd] !== 'true') {
          throw new StreamingRefused('The server does not tell where the first state ends.')
        }
        this.#adopt([...this.#streamed.values()], metadata.resourceVersion)
        this.#streamed = new Map()
        break
    }
  }

  #slim(object: ReadObject<T>): ReadObject<T> {
    const { resource, transform } = this.#options
    // Neither lists of built-in kinds nor every event says what its objects are.
    const kept = slim({ ...object, apiVersion: resource.apiVersion, kind: resource.kind })
    return transform === undefined ? kept : transform(kept)
  }

  #selection() {
    const { namespace, labelSelector, fieldSelector } = this.#options
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    }
  }

  #tell(changes: readonly CacheChange<T>[]): void {
    for (const change of changes) for (const listener of this.#listeners) this.#call(listener, change)
  }

  #call(listener: (change: CacheChange<T>) => void, change: CacheChange<T>): void {
    try {
      listener(change)
    } catch (error) {
      this.#options.log.error({ err: error, kind: this.#options.resource.kind }, 'a listener threw')
    }
  }
}

interface WatchEvent<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly object: ReadObject<T>
}

/** The watch can't go on from where it was, or it is not known whether it can. */
class WatchBroken extends Error {
  override readonly name = 'WatchBroken'
}

/** The server does not know how to stream the first state. */
class StreamingRefused extends Error {
  override readonly name = 'StreamingRefused'
}

/** Of the right to watch or of the kind nothing is known by it: that a listing would be refused as well. */
const isRefusal = (error: unknown): boolean =>
  error instanceof StreamingRefused || [400, 405, 406, 415, 422].includes(httpStatus(error) ?? 0)

const mustListAgain = (error: unknown): boolean => error instanceof WatchBroken || httpStatus(error) === 410

function parse<T extends KubeObject>(line: string): WatchEvent<T> {
  let event: {
    type?: unknown
    object?: { code?: unknown; message?: unknown; metadata?: { resourceVersion?: unknown } }
  }
  try {
    event = JSON.parse(line)
  } catch (error) {
    // It can't be known what was missed: list.
    throw new WatchBroken('A line of the watch is not JSON.', { cause: error })
  }
  const { type, object } = event ?? {}
  if (type === 'ERROR') {
    const told = `${String(object?.code)}: ${String(object?.message)}`
    if (object?.code === 410) throw new WatchBroken(`The watch ended with ${told}`)
    throw new BerthError('APIUnavailable', `The watch ended with ${told}`)
  }
  const known = type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK'
  if (!known || typeof object?.metadata?.resourceVersion !== 'string') {
    throw new WatchBroken('A line of the watch is no event.')
  }
  return event as WatchEvent<T>
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** Without what nobody here reads and what is a third of the memory. */
function slim<T extends KubeObject>(object: ReadObject<T>): ReadObject<T> {
  const { managedFields: _, ...metadata } = object.metadata as ReadObject<T>['metadata'] & { managedFields?: unknown }
  if (metadata.annotations?.[lastApplied] === undefined) return { ...object, metadata }
  const { [lastApplied]: __, ...annotations } = metadata.annotations
  return { ...object, metadata: { ...metadata, annotations } }
}
