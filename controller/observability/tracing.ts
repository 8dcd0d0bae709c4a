/**
 * Traces by OTLP over HTTP: a span for each pass, and within it one for each call to a hypervisor or the API server.
 * Nothing in a span names a machine, a namespace, a user or an address: who looks for one finds the trace's id in the
 * log. The SDK is loaded here, so that a controller without traces never pays for it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Span } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { Clock, Tracing } from '../runtime/port.ts'

export interface TracingOptions {
  /** Where a collector takes OTLP over HTTP, as `http://collector:4318`. */
  readonly endpoint: string
  readonly version: string
  readonly clock: Clock
  readonly log: Logger
}

export interface ExportedTracing extends Tracing {
  /** Sends what is left. Never rejects. */
  close(): Promise<void>
}

export async function exportTraces({ endpoint, version, clock, log }: TracingOptions): Promise<ExportedTracing> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const tell = (message: string) => log.warn({ message }, 'exporting traces')
  const quiet = () => {}
  api.diag.setLogger({ error: tell, warn: tell, info: quiet, debug: quiet, verbose: quiet }, api.DiagLogLevel.WARN)
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'berth-controller', 'service.version': version }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: 5_000 }),
      }),
    ],
  })
  const tracer = provider.getTracer('berth')
  const current = new AsyncLocalStorage<Span>()
  const failed = { code: api.SpanStatusCode.ERROR }
  return {
    async pass(controller, work) {
      const attributes = { 'berth.controller': controller }
      const span = tracer.startSpan(`pass ${controller}`, { attributes, root: true, startTime: clock.now() })
      try {
        const ended = await current.run(span, () => work(span.spanContext().traceId))
        span.setAttribute('berth.outcome', ended.outcome)
        if (ended.outcome !== 'Success') span.setStatus(failed)
        return ended
      } finally {
        span.end(clock.now())
      }
    },
    call({ system, method, seconds, outcome, failed: bad }) {
      const parent = current.getStore()
      if (parent === undefined) return
      const now = clock.now()
      const attributes = { 'berth.outcome': outcome }
      const options = { kind: api.SpanKind.CLIENT, attributes, startTime: now - seconds * 1000 }
      const span = tracer.startSpan(`${system} ${method}`, options, api.trace.setSpan(api.ROOT_CONTEXT, parent))
      if (bad) span.setStatus(failed)
      span.end(now)
    },
    async close() {
      try {
        await provider.shutdown()
      } catch (error) {
        log.warn({ err: error }, 'the last traces could not be sent')
      }
    },
  }
}
