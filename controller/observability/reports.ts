/**
 * Reports of defects to Sentry, or whatever speaks its envelope protocol (https://develop.sentry.dev/sdk/data-model/
 * envelopes). Written out here rather than by Sentry's SDK: what leaves is what this file says, and nothing else.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { request } from 'undici'
import type { Clock } from '../runtime/port.ts'
import { type DSN, parseDSN } from './dsn.ts'
import { bare } from './stack.ts'

export interface ReporterOptions {
  /** Sentry's DSN: `https://KEY@HOST/PROJECT`. */
  readonly dsn: string
  readonly version: string
  readonly clock: Clock
  readonly log: Logger
}

export type Level = 'error' | 'fatal'

/** A defect that repeats says nothing new: so many reports at once, then one in so many ms. */
const burst = 10
const refill = 60_000
const timeout = 5_000

export class Reporter {
  readonly #options: ReporterOptions
  readonly #dsn: DSN
  readonly #sending = new Set<Promise<void>>()
  #tokens = burst
  #refilled: number

  /** Throws when the DSN is none. */
  constructor(options: ReporterOptions) {
    this.#options = options
    this.#dsn = parseDSN(options.dsn)
    this.#refilled = options.clock.monotonic()
  }

  /** Sends where the error was thrown, in the background; `where` is the controller, or the process. */
  report(error: unknown, where: string, level: Level): void {
    if (!this.#takeToken()) return
    const { version, clock } = this.#options
    const event = {
      event_id: randomUUID().replaceAll('-', ''),
      timestamp: clock.now() / 1000,
      platform: 'node',
      level,
      release: `berth@${version}`,
      tags: { controller: where },
      exception: { values: bare(error).map(({ type, frames }) => ({ type, value: '', stacktrace: { frames } })) },
    }
    const sending = this.#send(event).finally(() => this.#sending.delete(sending))
    this.#sending.add(sending)
  }

  /** Waits for what is being sent; never rejects. */
  async close(): Promise<void> {
    await Promise.all(this.#sending)
  }

  async #send(event: { readonly event_id: string }): Promise<void> {
    const { version, clock, log } = this.#options
    const { key, endpoint } = this.#dsn
    try {
      const header = { event_id: event.event_id, sent_at: new Date(clock.now()).toISOString() }
      const answer = await request(endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-sentry-envelope',
          'x-sentry-auth': `Sentry sentry_version=7, sentry_client=berth/${version}, sentry_key=${key}`,
        },
        body: [header, { type: 'event' }, event].map((line) => `${JSON.stringify(line)}\n`).join(''),
        signal: AbortSignal.timeout(timeout),
      })
      await answer.body.dump()
      if (answer.statusCode >= 300) log.warn({ status: answer.statusCode }, 'a report of a defect was refused')
    } catch (error) {
      log.warn({ reason: error instanceof Error ? error.name : '' }, 'a report of a defect could not be sent')
    }
  }

  #takeToken(): boolean {
    const now = this.#options.clock.monotonic()
    this.#tokens = Math.min(burst, this.#tokens + (now - this.#refilled) / refill)
    this.#refilled = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
