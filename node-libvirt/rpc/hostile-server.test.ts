import { Duplex } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { LibvirtConnectionError, LibvirtError, LibvirtProtocolError } from '../errors.ts'
import { eventMessages } from '../protocol/event-messages.ts'
import { encodeMessage, MessageStatus, MessageType, Program } from '../protocol/message.ts'
import { type ProcedureName, procedures } from '../protocol/procedures.ts'
import { type Codec, nothing } from '../protocol/xdr.ts'
import { encodeRawMessage } from '../testing/raw-message.ts'
import { RpcClient } from './client.ts'

// A server that sends anything at all. Whatever it is, a call that waits is over when the connection is: with one of
// our errors, without a crash, and without memory for what the server only claims to send.

const uuid = '00112233-4455-6677-8899-aabbccddeeff'
const list = 'connect_list_all_domains' satisfies ProcedureName

const header = (fields: object) => ({
  program: Program.REMOTE,
  version: 1,
  procedure: procedures[list].number,
  type: MessageType.REPLY,
  serial: 1,
  status: MessageStatus.OK,
  ...fields,
})

/** A right answer to the call, to be damaged. */
const answer = encodeMessage(header({}), procedures[list].ret as Codec<unknown>, {
  domains: Array.from({ length: 3 }, (_, id) => ({ name: `domain-${id}`, uuid, id })),
  ret: 3,
})

/** What becomes of a call, and of the connection, when the server sends these bytes and closes. */
const meet = async (pieces: readonly Uint8Array[]): Promise<{ outcome: unknown; closed: unknown }> => {
  const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
  const client = new RpcClient(socket, { callTimeout: 10_000, maxConcurrentCalls: 4 })
  const outcome = client.call(list, { need_results: 1, flags: 0 }).then(
    (value) => value,
    (error: unknown) => error,
  )
  const stream = client.download('storage_vol_download', {
    vol: { pool: 'p', name: 'n', key: 'k' },
    offset: 0,
    length: 0,
    flags: 0,
  })
  stream.catch(() => {})
  for (const piece of pieces) if (!socket.destroyed) socket.push(piece)
  await new Promise(setImmediate)
  socket.destroy()
  await stream.catch(() => {})
  return { outcome: await outcome, closed: await client.closed }
}

const ours = [LibvirtConnectionError, LibvirtError, LibvirtProtocolError]

const survived = async (pieces: readonly Uint8Array[]): Promise<void> => {
  const { outcome, closed } = await meet(pieces)
  if (outcome instanceof Error) expect(ours.some((type) => outcome instanceof type)).toBe(true)
  else expect(outcome).toHaveProperty('domains')
  expect(closed).toBeInstanceOf(LibvirtConnectionError)
}

const word = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 0x7fffffff, 0x80000000, 0xffffffff, 16384, 16385, 4194304, 4194305),
  fc.nat({ max: 0xffffffff }),
)

/** Writes words over an answer: lengths, counts, discriminants, numbers of the header. */
const overwritten = fc
  .array(fc.tuple(fc.nat({ max: answer.length / 4 - 1 }), word), { minLength: 1, maxLength: 4 })
  .map((changes) => {
    const bytes = Buffer.from(answer)
    for (const [at, value] of changes) bytes.writeUInt32BE(value, at * 4)
    return bytes
  })

const damaged = fc.oneof(
  overwritten,
  fc.nat({ max: answer.length }).map((length) => answer.subarray(0, length)),
  fc
    .tuple(fc.nat({ max: answer.length }), fc.uint8Array({ maxLength: 64 }))
    .map(([at, noise]) => Buffer.concat([answer.subarray(0, at), noise, answer.subarray(at)])),
)

/** Well framed, with a header that means something, and any payload. */
const framed = fc
  .record({
    program: fc.constantFrom(Program.REMOTE, Program.QEMU, Program.KEEPALIVE, 7),
    version: fc.constantFrom(1, 1, 1, 2),
    procedure: fc.constantFrom(
      ...Object.values(procedures).map(({ number }) => number),
      ...Object.values(eventMessages).map(({ number }) => number),
    ),
    type: fc.nat({ max: 7 }),
    serial: fc.constantFrom(0, 1, 2, 3),
    status: fc.nat({ max: 3 }),
    payload: fc.uint8Array({ maxLength: 200 }),
  })
  .map(({ payload, ...fields }) => encodeRawMessage(fields, payload))

const runs = { numRuns: 300 }

describe('a hostile server', () => {
  it('sends noise', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), survived), runs)
  })

  it('damages an answer', async () => {
    await fc.assert(fc.asyncProperty(fc.array(damaged, { minLength: 1, maxLength: 3 }), survived), runs)
  })

  it('sends messages that nobody asked for, of every type', async () => {
    await fc.assert(fc.asyncProperty(fc.array(framed, { minLength: 1, maxLength: 6 }), survived), runs)
  })

  it('cuts messages into any pieces', async () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(pieces, async (lengths) => {
        const parts: Buffer[] = []
        let at = 0
        for (const length of lengths) {
          parts.push(answer.subarray(at, at + length))
          at += length
        }
        const { outcome } = await meet([...parts, answer.subarray(at)])
        expect(outcome).toHaveProperty('ret', 3)
      }),
      runs,
    )
  })

  it('never makes us hold more than it has sent', async () => {
    const before = process.memoryUsage().rss
    for (let time = 0; time < 200; time++) {
      const claim = Buffer.alloc(28)
      claim.writeUInt32BE(32 * 1024 * 1024, 0)
      const entries = encodeMessage(header({}), nothing, {})
      await meet([claim, Buffer.concat([entries, Buffer.alloc(4, 0x3f)])])
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
  })
})
