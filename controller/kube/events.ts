/**
 * History, written to events.k8s.io/v1. Repeats of one event become a series; an object that tells too much is cut
 * short; when the API server is slow, the newest are dropped. Nobody waits for any of it.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { toBerthError } from '../errors/index.ts'
import { backoffDelay } from './backoff.ts'
import { type Clock, microTime, sleep } from './clock.ts'
import type { EventRecord, EventRecorder, KubeClient, ObjectReference } from './port.ts'
import { type Event, events } from './resources.ts'

export type DropReason = 'RateLimited' | 'QueueFull' | 'Failed'

export interface RecorderOptions {
  readonly client: Pick<KubeClient, 'apply'>
  readonly clock: Clock
  readonly log: Logger
  /** This process: the pod's name. */
  readonly instance: string
  readonly random?: () => number
  readonly onDrop?: (reason: DropReason) => void
  /** Events that wait to be written. Default 1000. */
  readonly queueLength?: number
  /** Events of one object at once. Default 30. */
  readonly burst?: number
  /** Then one in so many ms. Default 10 s. */
  readonly refill?: number
  /** A series is written at most so often, ms. Default 30 s. */
  readonly seriesInterval?: number
}

/** A repeat after so long begins a new event. */
const seriesEnd = 600_000
const rememberedSeries = 4_096
const rememberedObjects = 4_096
const attempts = 4
const noteLength = 1_024
const wordLength = 128
const controller = 'berth.dev/controller'

interface Series {
  readonly event: Event
  count: number
  last: number
  lastSeen: number
  writtenAt: number
  cancel: (() => void) | undefined
}

export class APIEventRecorder implements EventRecorder {
  readonly #options: RecorderOptions
  /** By what makes two events the same; the least recent first. */
  readonly #series = new Map<string, Series>()
  /** Tokens left of an object; the least recent first. */
  readonly #buckets = new Map<string, { tokens: number; at: number }>()
  /** Names of events to write → what writes them as they are then. */
  readonly #queue = new Map<string, () => Event>()
  readonly #stop = new AbortController()
  #writing: Promise<void> | undefined
  #stopped = false

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  record(record: EventRecord): void {
    try {
      if (!this.#stopped) this.#record(record)
    } catch (error) {
      this.#options.log.error({ err: error }, 'recording an event failed')
    }
  }

  /** Writes what waits, for at most `limit` ms, and takes nothing more. */
  async flush(limit: number): Promise<void> {
    this.#stopped = true
    for (const series of this.#series.values()) {
      if (series.cancel === undefined) continue
      series.cancel()
      this.#enqueue(series)
    }
    const cancel = this.#options.clock.after(limit, () => this.#stop.abort())
    await this.#writing
    cancel()
  }

  #record(record: EventRecord): void {
    const { clock, onDrop } = this.#options
    const identity = identityOf(record)
    const known = this.#series.get(identity)
    if (known !== undefined && clock.monotonic() - known.lastSeen < seriesEnd) {
      known.count++
      known.last = clock.now()
      known.lastSeen = clock.monotonic()
      this.#series.delete(identity)
      this.#series.set(identity, known)
      this.#schedule(known)
      return
    }
    if (!this.#takeToken(record.regarding)) {
      onDrop?.('RateLimited')
      return
    }
    if (known !== undefined) this.#forget(identity, known)
    const now = clock.now()
    const series: Series = {
      event: this.#toEvent(record, now),
      count: 1,
      last: now,
      lastSeen: clock.monotonic(),
      writtenAt: Number.NEGATIVE_INFINITY,
      cancel: undefined,
    }
    this.#series.set(identity, series)
    for (const [oldest, entry] of this.#series) {
      if (this.#series.size <= rememberedSeries) break
      this.#forget(oldest, entry)
    }
    this.#enqueue(series)
  }

  #forget(identity: string, series: Series): void {
    this.#series.delete(identity)
    if (series.cancel === undefined) return
    series.cancel()
    this.#enqueue(series)
  }

  #schedule(series: Series): void {
    const { clock, seriesInterval = 30_000 } = this.#options
    if (series.cancel !== undefined) return
    const wait = Math.max(0, series.writtenAt + seriesInterval - clock.monotonic())
    series.cancel = clock.after(wait, () => this.#enqueue(series))
  }

  #enqueue(series: Series): void {
    const { clock, onDrop, queueLength = 1_000 } = this.#options
    series.cancel = undefined
    const name = series.event.metadata.name
    if (!this.#queue.has(name) && this.#queue.size >= queueLength) {
      onDrop?.('QueueFull')
      return
    }
    series.writtenAt = clock.monotonic()
    this.#queue.set(name, () =>
      series.count === 1
        ? series.event
        : { ...series.event, series: { count: series.count, lastObservedTime: microTime(series.last) } },
    )
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async #write(): Promise<void> {
    for (;;) {
      const [next] = this.#queue
      if (next === undefined || this.#stop.signal.aborted) return
      const [name, build] = next
      this.#queue.delete(name)
      await this.#send(build())
    }
  }

  async #send(event: Event): Promise<void> {
    const { client, clock, log, onDrop, random = Math.random } = this.#options
    const { signal } = this.#stop
    for (let attempt = 1; ; attempt++) {
      try {
        // Applied, not created: a series whose event the server has forgotten is written anew.
        await client.apply(events, event, { signal })
        return
      } catch (thrown) {
        const error = toBerthError(thrown)
        if (attempt >= attempts || error.code !== 'APIUnavailable' || signal.aborted) {
          log.warn({ err: error, event: event.metadata.name }, 'an event could not be written')
          onDrop?.('Failed')
          return
        }
        await sleep(clock, error.retryAfter ?? backoffDelay(attempt, { base: 500, max: 10_000 }, random), signal)
      }
    }
  }

  #takeToken(regarding: ObjectReference): boolean {
    const { clock, burst = 30, refill = 10_000 } = this.#options
    const object = regarding.uid ?? `${regarding.kind}/${regarding.namespace ?? ''}/${regarding.name}`
    const now = clock.monotonic()
    const last = this.#buckets.get(object) ?? { tokens: burst, at: now }
    const tokens = Math.min(burst, last.tokens + (now - last.at) / refill)
    this.#buckets.delete(object)
    this.#buckets.set(object, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now })
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > rememberedObjects && oldest !== undefined) this.#buckets.delete(oldest)
    return tokens >= 1
  }

  #toEvent({ regarding, related, type, reason, action, note, actor }: EventRecord, now: number): Event {
    return {
      apiVersion: events.apiVersion,
      kind: events.kind,
      metadata: {
        name: `${regarding.name.slice(0, 200).replace(/[-.]+$/, '')}.${randomBytes(8).toString('hex')}`,
        // Events of what has no namespace are kept where kubectl looks for them.
        namespace: regarding.namespace ?? 'default',
        ...(actor === undefined ? {} : { annotations: { 'berth.dev/actor': actor } }),
      },
      eventTime: microTime(now),
      reportingController: controller,
      reportingInstance: cut(this.#options.instance, wordLength),
      action: cut(action, wordLength),
      reason: cut(reason, wordLength),
      regarding: { ...regarding },
      ...(related === undefined ? {} : { related: { ...related } }),
      note: cut(note, noteLength),
      type,
    }
  }
}

function identityOf({ regarding, related, type, reason, action, note, actor }: EventRecord): string {
  const parts = [refOf(regarding), related && refOf(related), type, reason, action, note, actor]
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64')
}

const refOf = ({ apiVersion, kind, namespace, name, uid }: ObjectReference) => [apiVersion, kind, namespace, name, uid]

/** So many bytes of UTF-8 at most, no character broken. */
export function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  const mark = '…'
  const kept = Buffer.from(text).subarray(0, bytes - Buffer.byteLength(mark))
  return new TextDecoder('utf-8', { fatal: false }).decode(kept).replace(/\uFFFD+$/, '') + mark
}
