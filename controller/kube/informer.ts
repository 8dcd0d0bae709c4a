/**
 * List, then watch, as an explicit state machine: Empty → Listing → Watching. Every failure leads back to one of these
 * states after a jittered back-off; nothing but the caller's signal ends it.
 *
 * Guarantees: after `ready`, the store holds what the server had at some moment, and catches up. Every object that
 * vanished is told as Deleted, though nobody may have seen it go. A watch that has gone silent is opened again.
 * Caveat: what is told may be stale; it is a reason to look, never to destroy.
 */
import type { Logger } from 'pino'
import { BerthError } from '../errors/index.ts'
import { backoffDelay } from './backoff.ts'
import { listPages, pathOf } from './client.ts'
import { type Clock, sleep } from './clock.ts'
import { linesOf } from './lines.ts'
import type { CacheChange, IndexFunctions, Informer, KubeObject, ReadObject, Resource } from './port.ts'
import { httpStatus } from './status.ts'
import { Store } from './store.ts'
import type { Transport } from './transport.ts'

export interface InformerOptions<T extends KubeObject> {
  readonly transport: Transport
  readonly resource: Resource<T>
  readonly clock: Clock
  readonly log: Logger
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly indices?: IndexFunctions<T>
  readonly random?: () => number
  /** Between failures, ms. Default 500 … 30 000. */
  readonly backoff?: { readonly base: number; readonly max: number }
  /** A watch on which nothing came for so long is opened again: more than twice the server's minute between bookmarks. Default 150 s. */
  readonly silence?: number
  /** The server ends a watch after this to twice this. Default 5 min. */
  readonly watchTime?: number
}

type State =
  | { readonly name: 'Empty' }
  | { readonly name: 'Listing' }
  | { readonly name: 'Watching'; readonly resourceVersion: string }

/** A watch that ends sooner, with nothing told, has failed. */
const shortestWatch = 1_000

export class ListWatchInformer<T extends KubeObject> implements Informer<T> {
  readonly ready: Promise<void>
  readonly #options: InformerOptions<T>
  readonly #store: Store<T>
  readonly #listeners: ((change: CacheChange<T>) => void)[] = []
  readonly #random: () => number
  #setReady: () => void = () => {}
  #state: State = { name: 'Empty' }
  #failures = 0

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
  get(key: string) {
    return this.#store.get(key)
  }
  list() {
    return this.#store.list()
  }
  byIndex(index: string, value: string) {
    return this.#store.byIndex(index, value)
  }

  /** Told of every change from now on, and of what is there already as Added. */
  onChange(listener: (change: CacheChange<T>) => void): void {
    this.#listeners.push(listener)
    for (const object of this.#store.list()) this.#call(listener, { type: 'Added', object })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, resource, backoff = { base: 500, max: 30_000 } } = this.#options
    while (!signal.aborted) {
      try {
        this.#state = await this.#step(signal)
      } catch (error) {
        if (signal.aborted) return
        this.#failures++
        if (mustListAgain(error)) this.#state = { name: 'Empty' }
        const wait = backoffDelay(this.#failures, backoff, this.#random)
        log.warn(
          {
            err: error,
            kind: resource.kind,
            state: this.#state.name,
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
    switch (this.#state.name) {
      case 'Empty':
        return { name: 'Listing' }
      case 'Listing':
        return { name: 'Watching', resourceVersion: await this.#list(signal) }
      case 'Watching':
        await this.#watch(this.#state.resourceVersion, signal)
        return this.#state
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { transport, resource } = this.#options
    const { items, resourceVersion } = await listPages(transport, resource, { ...this.#selection(), signal })
    this.#tell(this.#store.replace(items.map(slim)))
    this.#failures = 0
    this.#setReady()
    return resourceVersion
  }

  /** Returns when the watch has ended as watches do. The state moves with every event, so that nothing is told twice. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { transport, resource, clock, namespace, silence = 150_000, watchTime = 300_000 } = this.#options
    const { labelSelector, fieldSelector } = this.#selection()
    const started = clock.monotonic()
    const stream = await transport.stream({
      method: 'GET',
      path: pathOf(resource, namespace === undefined ? {} : { namespace }),
      query: {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion,
        timeoutSeconds: String(Math.ceil((watchTime * (1 + this.#random())) / 1000)),
        labelSelector,
        fieldSelector,
      },
      signal,
    })
    let silent = false
    const listen = () =>
      clock.after(silence, () => {
        silent = true
        stream.close()
      })
    let cancel = listen()
    let told = false
    try {
      for await (const line of linesOf(stream.chunks)) {
        cancel()
        cancel = listen()
        if (line.trim() === '') continue
        this.#receive(parse<T>(line))
        told = true
        this.#failures = 0
      }
    } catch (error) {
      if (silent) throw new BerthError('APIUnavailable', `A watch was silent for ${silence / 1000} s.`)
      throw error
    } finally {
      cancel()
      stream.close()
    }
    if (!told && !signal.aborted && clock.monotonic() - started < shortestWatch) {
      throw new BerthError('APIUnavailable', 'A watch ended as soon as it began.')
    }
  }

  #receive({ type, object }: WatchEvent<T>): void {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#tell(this.#store.put(slim(this.#typed(object))))
        break
      case 'DELETED':
        this.#tell(this.#store.remove(slim(this.#typed(object))))
        break
      case 'BOOKMARK':
        break
    }
    this.#state = { name: 'Watching', resourceVersion: object.metadata.resourceVersion }
  }

  #typed(object: ReadObject<T>): ReadObject<T> {
    const { apiVersion, kind } = this.#options.resource
    return { ...object, apiVersion, kind }
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

/** The watch can't go on from where it was. */
class WatchBroken extends Error {
  override readonly name = 'WatchBroken'
}

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
