import { resolve } from 'node:path'
import { qemuImgConverter } from './convert/qemu-img.ts'
import { RawForms } from './convert/raw-forms.ts'
import { type ImageError, messageOf, toImageError } from './failure.ts'
import { type FetchEnvironment, fetchImage, fingerprintOf, Suspended } from './fetch.ts'
import { addressPolicy } from './http/address-policy.ts'
import { checkSource } from './http/url.ts'
import { qemuImgInspector } from './inspect/qemu-img.ts'
import { KeyedMutex, Semaphore } from './locks.ts'
import { type ImageServiceOptions, type Settings, settingsOf } from './options.ts'
import type { FetchRequest, ImageService, ImageState, RawForm, StoredImage } from './port.ts'
import { lockDirectory } from './store/directory-lock.ts'
import { makeDirectory } from './store/files.ts'
import { partialProgress, removePartial } from './store/partial.ts'
import { Space } from './store/space.ts'
import { type ImageRecord, nameOf, type Outcome, Store } from './store/store.ts'

interface Entry {
  record: ImageRecord
  state: ImageState
  /** Undefined: nothing is under way. */
  job: { readonly abort: AbortController; readonly done: Promise<void> } | undefined
  /** When listeners were last told, by the monotonic clock. */
  told: number
  /** Cancels the telling of progress that came too soon after the last. */
  cancelTelling: (() => void) | undefined
}

type FailedOutcome = Outcome & { state: 'Failed' }

const progressInterval = 1000

/**
 * Opens the store and goes on with what was under way. Rejects when another process holds the directory, or when an
 * option is wrong.
 */
export async function createImageService(options: ImageServiceOptions): Promise<ImageService> {
  const settings = settingsOf(options)
  addressPolicy(settings.denyAddresses) // says now what is wrong with it
  const directory = resolve(options.directory)
  await makeDirectory(directory)
  const unlock = await lockDirectory(directory)
  try {
    const store = new Store(directory)
    await store.prepare()
    const space = new Space(directory, settings.limits.reservedSpace)
    const converter = options.converter ?? qemuImgConverter()
    const service = new Service(
      settings,
      {
        settings,
        store,
        space,
        places: new Semaphore(settings.limits.concurrentFetches),
        inspector: options.inspector ?? qemuImgInspector(),
      },
      new RawForms(store, space, converter, settings.limits.maximumVirtualSize),
      unlock,
    )
    await service.load()
    return service
  } catch (error) {
    await unlock()
    throw error
  }
}

class Service implements ImageService {
  readonly #settings: Settings
  readonly #environment: FetchEnvironment
  readonly #store: Store
  readonly #rawForms: RawForms
  readonly #unlock: () => Promise<void>
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<(id: string) => void>()
  /** ensure and release of one id follow each other. */
  readonly #perID = new KeyedMutex()
  /** What gives content its place and what removes it follow each other. Never held while waiting for a job. */
  readonly #content = new KeyedMutex()
  #closing: Promise<void> | undefined

  constructor(settings: Settings, environment: FetchEnvironment, rawForms: RawForms, unlock: () => Promise<void>) {
    this.#settings = settings
    this.#environment = environment
    this.#store = environment.store
    this.#rawForms = rawForms
    this.#unlock = unlock
  }

  /** Reads what is remembered, mends what a crash left half done, removes what nobody holds, and goes on fetching. */
  async load(): Promise<void> {
    const records = await this.#store.records()
    const held = new Set<string>()
    for (const [id, record] of records) {
      const outcome = await this.#outcomeAfterStart(record)
      if (outcome !== record.outcome) {
        const mended = withOutcome(record.request, outcome)
        await this.#store.writeRecord(mended)
        records.set(id, mended)
      }
      if (outcome?.state === 'Ready') held.add(outcome.image.digest)
    }
    await this.#store.sweep(records, held)
    for (const [id, record] of records) {
      this.#entries.set(id, newEntry(record, await this.#stateOf(record)))
    }
    for (const entry of this.#entries.values()) if (!entry.record.outcome) this.#start(entry)
  }

  async ensure(request: FetchRequest): Promise<ImageState> {
    nameOf(request.id)
    return this.#perID.run(request.id, async () => {
      this.#assertOpen()
      const entry = this.#entries.get(request.id)
      if (entry && fingerprintOf(entry.record.request) === fingerprintOf(request)) {
        if (await this.#shouldRestart(entry)) await this.#restart(entry)
        return entry.state
      }
      if (entry) await this.#drop(entry)
      return this.#begin(request)
    })
  }

  async state(id: string): Promise<ImageState | undefined> {
    return this.#entries.get(id)?.state
  }

  async release(id: string): Promise<void> {
    await this.#perID.run(id, async () => {
      this.#assertOpen()
      const entry = this.#entries.get(id)
      if (entry) await this.#drop(entry)
    })
  }

  open(digest: string, range?: { start?: number; end?: number }): AsyncIterable<Uint8Array> {
    return this.#store.read(digest, range)
  }

  openRaw(digest: string, signal: AbortSignal): Promise<RawForm> {
    return this.#rawForms.open(digest, signal)
  }

  onChange(listener: (id: string) => void): () => void {
    const own = (id: string) => listener(id)
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const suspend = () => {
      for (const { job } of this.#entries.values()) job?.abort.abort(new Suspended('the image service is closing'))
      return Promise.all([...this.#entries.values()].map(({ job }) => job?.done))
    }
    await suspend()
    await this.#perID.idle()
    await suspend() // what an ensure under way may have started
    await this.#content.idle()
    this.#listeners.clear()
    for (const entry of this.#entries.values()) entry.cancelTelling?.()
    await this.#unlock()
  }

  #assertOpen(): void {
    if (this.#closing) throw new Error('the image service is closed')
  }

  async #outcomeAfterStart({ request, outcome }: ImageRecord): Promise<Outcome | undefined> {
    if (outcome?.state === 'Failed') return outcome
    if (outcome?.state === 'Ready') {
      if (await this.#store.has(outcome.image)) return outcome
      this.#settings.log.warn(
        { image: request.id, digest: outcome.image.digest },
        'stored content is gone: fetching it',
      )
      return undefined
    }
    return undefined
  }

  async #stateOf({ request, outcome }: ImageRecord): Promise<ImageState> {
    if (outcome?.state === 'Ready') return outcome
    if (outcome?.state === 'Failed') return failed(outcome)
    const progress = await partialProgress(this.#store.partialPaths(request.id), fingerprintOf(request))
    return { state: 'Fetching', ...progress }
  }

  async #begin(request: FetchRequest): Promise<ImageState> {
    const record: ImageRecord = { version: 1, request }
    const entry = newEntry(record, { state: 'Fetching', received: 0 })
    const refusal = refusalOf(request)
    if (refusal) {
      // Not written down: it may hold a password, and says the same again when it is asked for again.
      entry.record = withOutcome(request, refusal)
      entry.state = failed(refusal)
      this.#entries.set(request.id, entry)
    } else {
      // First remembered, then begun: a crash in between begins it at the next start.
      await this.#store.writeRecord(record)
      this.#entries.set(request.id, entry)
      this.#start(entry)
    }
    this.#tell(request.id, entry)
    return entry.state
  }

  /** Endings that are mended from outside, without a change of the request: no room in the store, and lost content. */
  async #shouldRestart({ record: { outcome }, job }: Entry): Promise<boolean> {
    if (!outcome) return !job
    if (outcome?.state === 'Ready') return !(await this.#store.has(outcome.image))
    if (outcome?.state !== 'Failed' || outcome.failure !== 'StoreFull') return false
    return (await this.#environment.space.available('')) > (outcome.needed ?? 0)
  }

  async #restart(entry: Entry): Promise<void> {
    entry.record = { version: 1, request: entry.record.request }
    await this.#store.writeRecord(entry.record)
    this.#set(entry, { state: 'Fetching', received: 0 })
    this.#start(entry)
  }

  #start(entry: Entry): void {
    const abort = new AbortController()
    const done = this.#run(entry, abort.signal).finally(() => {
      entry.job = undefined
    })
    entry.job = { abort, done }
  }

  /** Never rejects. */
  async #run(entry: Entry, signal: AbortSignal): Promise<void> {
    const { request } = entry.record
    const { log } = this.#settings
    try {
      await fetchImage(
        request,
        this.#environment,
        signal,
        (state) => this.#set(entry, state),
        (image, path) => this.#publish(entry, image, path, signal),
      )
    } catch (error) {
      if (signal.aborted) return
      if (entry.record.outcome?.state === 'Ready') {
        log.warn(
          { image: request.id, error: messageOf(error) },
          'what a fetch left behind is removed at the next start',
        )
        return
      }
      const failure = toImageError(error)
      log.warn({ image: request.id, failure: failure.failure, reason: failure.message }, 'image failed')
      await this.#fail(entry, failure).catch((cause: unknown) => {
        log.error({ image: request.id, error: messageOf(cause) }, 'the failure of an image could not be stored')
      })
    }
  }

  async #publish(entry: Entry, image: StoredImage, path: string, signal: AbortSignal): Promise<void> {
    await this.#content.run('', async () => {
      signal.throwIfAborted()
      await this.#store.adopt(path, image)
      const record = withOutcome(entry.record.request, { state: 'Ready', image })
      await this.#store.writeRecord(record)
      entry.record = record
      await removePartial(this.#store.partialPaths(record.request.id))
    })
    this.#settings.log.info({ image: entry.record.request.id, digest: image.digest }, 'image is stored')
    this.#set(entry, { state: 'Ready', image })
  }

  async #fail(entry: Entry, failure: ImageError): Promise<void> {
    const outcome = outcomeOf(failure)
    if (!outcome) {
      // The fetch could not even go on trying; the next ensure begins it again.
      this.#set(entry, { state: 'Fetching', received: 0, retrying: failure.message })
      return
    }
    entry.record = withOutcome(entry.record.request, outcome)
    try {
      await removePartial(this.#store.partialPaths(entry.record.request.id))
      await this.#store.writeRecord(entry.record)
    } finally {
      this.#set(entry, failed(outcome))
    }
  }

  /** Stops the fetch, forgets the id, and removes its content unless another id holds it. */
  async #drop(entry: Entry): Promise<void> {
    const { id } = entry.record.request
    entry.job?.abort.abort(new Error('released'))
    await entry.job?.done
    await this.#content.run('', async () => {
      await this.#store.removeRecord(id)
      this.#entries.delete(id)
      await removePartial(this.#store.partialPaths(id))
      const { outcome } = entry.record
      if (outcome?.state === 'Ready' && !this.#isHeld(outcome.image.digest)) {
        await this.#store.removeBlob(outcome.image.digest)
      }
    })
    this.#tell(id, entry)
  }

  #isHeld(digest: string): boolean {
    for (const { record } of this.#entries.values()) {
      if (record.outcome?.state === 'Ready' && record.outcome.image.digest === digest) return true
    }
    return false
  }

  #set(entry: Entry, state: ImageState): void {
    const { clock } = this.#settings
    const { id } = entry.record.request
    const isProgress = isFetchProgress(entry.state, state)
    entry.state = state
    const wait = entry.told + progressInterval - clock.monotonic()
    if (!isProgress || wait <= 0) this.#tell(id, entry)
    else entry.cancelTelling ??= clock.after(wait, () => this.#tell(id, entry))
  }

  #tell(id: string, entry: Entry): void {
    entry.cancelTelling?.()
    entry.cancelTelling = undefined
    entry.told = this.#settings.clock.monotonic()
    for (const listener of this.#listeners) {
      try {
        listener(id)
      } catch (error) {
        this.#settings.log.error({ image: id, error: messageOf(error) }, 'a listener of the image service failed')
      }
    }
  }
}

function newEntry(record: ImageRecord, state: ImageState): Entry {
  return { record, state, job: undefined, told: -Infinity, cancelTelling: undefined }
}

/** Whether nothing but numbers changed. */
function isFetchProgress(before: ImageState, after: ImageState): boolean {
  return before.state === 'Fetching' && after.state === 'Fetching' && before.retrying === after.retrying
}

function withOutcome(request: FetchRequest, outcome: Outcome | undefined): ImageRecord {
  return outcome === undefined ? { version: 1, request } : { version: 1, request, outcome }
}

/** Why a request could never be fetched, if so. */
function refusalOf(request: FetchRequest): FailedOutcome | undefined {
  try {
    checkSource(request.source)
    return undefined
  } catch (error) {
    return outcomeOf(toImageError(error))
  }
}

function outcomeOf({ failure, message, needed }: ImageError): FailedOutcome | undefined {
  if (failure === 'TemporaryFailure') return undefined
  return { state: 'Failed', failure, message, ...(needed === undefined ? {} : { needed }) }
}

function failed({ failure, message }: FailedOutcome): ImageState {
  return { state: 'Failed', failure, message }
}
