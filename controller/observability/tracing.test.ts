import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { VirtualClock } from '../runtime/clock.ts'
import { Receiver } from './testing/receiver.ts'
import { type ExportedTracing, exportTraces } from './tracing.ts'

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[]
  readonly status: { readonly code?: number }
}

let receiver: Receiver
let clock: VirtualClock
let tracing: ExportedTracing
beforeEach(async () => {
  receiver = await Receiver.start()
  clock = new VirtualClock()
  tracing = await exportTraces({
    endpoint: `http://${receiver.host}/`,
    version: '1.2.3',
    clock,
    log: pino({ level: 'silent' }),
  })
})
afterEach(() => receiver.stop())

const call = { system: 'hypervisor', method: 'start', seconds: 0.5, outcome: 'Success', failed: false } as const
const spans = (): Span[] =>
  receiver.received.flatMap(({ body }) => JSON.parse(body).resourceSpans[0].scopeSpans[0].spans as Span[])
const attributes = ({ attributes: list }: Span) =>
  Object.fromEntries(list.map(({ key, value }) => [key, value.stringValue]))

test('a pass is a trace; its calls are within it, each where and as long as it was', async () => {
  let traceID: string | undefined
  await tracing.pass('virtualmachine', async (id) => {
    traceID = id
    await clock.advance(1_000)
    tracing.call(call)
    tracing.call({
      ...call,
      system: 'kubernetes',
      method: 'PATCH virtualmachines/status',
      outcome: '409',
      failed: true,
    })
    return { outcome: 'Conflict' }
  })
  await tracing.close()
  expect(receiver.received[0]?.path).toBe('/v1/traces')
  const [start, patch, pass] = spans() as [Span, Span, Span]
  expect([start.name, patch.name, pass.name]).toEqual([
    'hypervisor start',
    'kubernetes PATCH virtualmachines/status',
    'pass virtualmachine',
  ])
  expect(new Set([start.traceId, patch.traceId, pass.traceId])).toEqual(new Set([traceID]))
  expect([start.parentSpanId, patch.parentSpanId]).toEqual([pass.spanId, pass.spanId])
  expect(Number(BigInt(start.endTimeUnixNano) - BigInt(start.startTimeUnixNano))).toBe(500_000_000)
  expect(Number(BigInt(pass.endTimeUnixNano) - BigInt(pass.startTimeUnixNano))).toBe(1_000_000_000)
  expect(attributes(pass)).toEqual({ 'berth.controller': 'virtualmachine', 'berth.outcome': 'Conflict' })
  expect(attributes(patch)).toEqual({ 'berth.outcome': '409' })
  expect([start.status.code, patch.status.code, pass.status.code]).toEqual([0, 2, 2])
})

test('two passes at once keep their calls apart', async () => {
  const one = (method: string) =>
    tracing.pass(method, async () => {
      await Promise.resolve()
      tracing.call({ ...call, method })
      return { outcome: 'Success' }
    })
  await Promise.all([one('a'), one('b')])
  await tracing.close()
  for (const method of ['a', 'b']) {
    const parent = spans().find(({ name }) => name === `pass ${method}`)
    expect(spans().find(({ name }) => name === `hypervisor ${method}`)?.parentSpanId).toBe(parent?.spanId)
  }
})

test('calls outside of passes are not recorded', async () => {
  tracing.call(call)
  await tracing.close()
  expect(receiver.received).toEqual([])
})

test('nothing else leaves: of this process and machine only its name and version', async () => {
  await tracing.pass('slot', async () => ({ outcome: 'Success' }))
  await tracing.close()
  const [{ body }] = receiver.received as [(typeof receiver.received)[number]]
  const { resource } = JSON.parse(body).resourceSpans[0]
  expect(resource.attributes.map(({ key }: { key: string }) => key)).toEqual(['service.name', 'service.version'])
})

test('a pass that throws ends its span, and its error is the caller’s', async () => {
  const pass = tracing.pass('slot', async () => {
    throw new Error('x')
  })
  await expect(pass).rejects.toThrow('x')
  await tracing.close()
  expect(spans()).toHaveLength(1)
})
