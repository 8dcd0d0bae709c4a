/** What Berth tells others of itself beyond logs, metrics and Events: nothing, unless it is asked to. */
import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import { sleep } from '../kube/clock.ts'
import { type Clock, noTracing, type Tracing } from '../runtime/port.ts'
import type { Level } from './reports.ts'

export interface ObservabilityOptions {
  /** Where reports of defects go; none: nowhere. */
  readonly sentryDSN: string | undefined
  /** Where traces go; none: nowhere. */
  readonly otlpEndpoint: string | undefined
  readonly clock: Clock
  readonly log: Logger
}

export interface Observability {
  readonly tracing: Tracing
  /** Tells of a defect; never throws and never waits. */
  readonly report: (error: unknown, where: string, level: Level) => void
  /** Sends what is left, for 5 s at most. */
  readonly close: () => Promise<void>
}

/** What could not be sent in so many ms is lost. */
const closeLimit = 5_000

/** Loads only what is switched on. */
export async function startObservability(options: ObservabilityOptions): Promise<Observability> {
  const { sentryDSN, otlpEndpoint, clock, log } = options
  const traces = otlpEndpoint === undefined ? undefined : await tracesTo(otlpEndpoint, clock, log)
  const reporter = sentryDSN === undefined ? undefined : await reporterTo(sentryDSN, clock, log)
  return {
    tracing: traces ?? noTracing,
    report: (error, where, level) => reporter?.report(error, where, level),
    close: async () => {
      const done = new AbortController()
      const sent = Promise.all([traces?.close(), reporter?.close()])
      await Promise.race([sent, sleep(clock, closeLimit, done.signal)])
      done.abort()
    },
  }
}

async function tracesTo(endpoint: string, clock: Clock, log: Logger) {
  const { exportTraces } = await import('./tracing.ts')
  return exportTraces({ endpoint, version: version(), clock, log })
}

async function reporterTo(dsn: string, clock: Clock, log: Logger) {
  const { Reporter } = await import('./reports.ts')
  return new Reporter({ dsn, version: version(), clock, log })
}

const version = (): string =>
  String(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version)
