import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { eventMessages } from './event-messages.ts'
import { procedures } from './procedures.ts'
import { remoteError, uuid } from './types.ts'
import {
  array,
  type Codec,
  counter,
  Decoder,
  Encoder,
  hyper,
  int,
  optional,
  type Shape,
  string,
  struct,
  uhyper,
  uint,
  XdrError,
} from './xdr.ts'

const encode = <T>(codec: Codec<T>, value: T): Buffer => {
  const encoder = new Encoder(1)
  codec.encode(encoder, value)
  return Buffer.from(encoder.bytes())
}

const decode = <T>(codec: Codec<T>, bytes: Buffer): T => {
  const decoder = new Decoder(bytes)
  const value = codec.decode(decoder)
  decoder.end()
  return value
}

/** Bytes of any value of a shape, made without the codecs: what a server could send. */
const wire = (shape: Shape): fc.Arbitrary<Buffer> => {
  switch (shape.kind) {
    case 'int':
    case 'uint':
      return bytes(4)
    case 'hyper':
    case 'uhyper':
      return fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }).map((value) => {
        const buffer = Buffer.alloc(8)
        buffer.writeBigUInt64BE(BigInt(value))
        return buffer
      })
    case 'double':
      return bytes(8).filter((buffer) => !Number.isNaN(buffer.readDoubleBE()))
    case 'bytes':
      return fc
        .uint8Array({ maxLength: 12 })
        .map((value) => Buffer.concat([word(value.length), value, Buffer.alloc((4 - (value.length % 4)) % 4)]))
    case 'union':
      return fc.oneof(...shape.cases.map(([type, of]) => wire(of).map((value) => Buffer.concat([word(type), value]))))
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => {
        const utf8 = Buffer.from(text.replaceAll('\0', ''))
        return Buffer.concat([word(utf8.length), utf8, Buffer.alloc((4 - (utf8.length % 4)) % 4)])
      })
    case 'opaque':
      return bytes(shape.length)
    case 'optional':
      return fc.option(wire(shape.of)).map((value) => (value === null ? word(0) : Buffer.concat([word(1), value])))
    case 'array':
      return fc
        .array(wire(shape.of), { maxLength: Math.min(shape.max, 4) })
        .map((values) => Buffer.concat([word(values.length), ...values]))
    case 'vector':
      return fc.array(wire(shape.of), { minLength: shape.length, maxLength: shape.length }).map(Buffer.concat)
    case 'struct':
      return fc.tuple(...shape.fields.map(([, field]) => wire(field))).map((fields) => Buffer.concat(fields))
  }
}

const word = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((value) => Buffer.from(value))

const codecs: readonly (readonly [string, Codec<unknown>])[] = [
  ...Object.entries(procedures).flatMap(([name, { args, ret }]) => [
    [`${name} args`, args as Codec<unknown>] as const,
    [`${name} ret`, ret as Codec<unknown>] as const,
  ]),
  ...Object.entries(eventMessages).map(([name, { msg }]) => [`${name} msg`, msg as Codec<unknown>] as const),
  ['remote_error', remoteError as Codec<unknown>],
]

/** Typed parameters become an object, which keeps neither their order nor how wide a number was. */
const hasUnion = (shape: Shape): boolean => {
  switch (shape.kind) {
    case 'union':
      return true
    case 'optional':
    case 'array':
    case 'vector':
      return hasUnion(shape.of)
    case 'struct':
      return shape.fields.some(([, field]) => hasUnion(field))
    default:
      return false
  }
}

describe('every structure of the table', () => {
  it.each(codecs)('%s: what was read is written back byte for byte', (_name, codec) => {
    const exact = !hasUnion(codec.shape)
    fc.assert(
      fc.property(wire(codec.shape), (sent) => {
        const value = decode(codec, sent)
        if (exact) expect(encode(codec, value).equals(sent)).toBe(true)
      }),
      { numRuns: 10 },
    )
  })

  it.each(codecs)('%s: cut short, too long or arbitrary bytes are an XdrError and nothing else', (_name, codec) => {
    const refused = (sent: Buffer) => {
      try {
        decode(codec, sent)
      } catch (error) {
        expect(error).toBeInstanceOf(XdrError)
        return true
      }
      return false
    }
    fc.assert(
      fc.property(wire(codec.shape), fc.nat(), fc.uint8Array({ maxLength: 64 }), (sent, at, noise) => {
        if (sent.length > 0) expect(refused(sent.subarray(0, at % sent.length))).toBe(true)
        expect(refused(Buffer.concat([sent, word(0)]))).toBe(true)
        refused(Buffer.from(noise))
      }),
      { numRuns: 10 },
    )
  })
})

describe('limits', () => {
  it('refuses an array whose count cannot fit in what is left, before it allocates', () => {
    const codec = array(struct({ a: int, b: int }), 0xffffffff)
    expect(() => decode(codec, Buffer.concat([word(0xfffffff0), Buffer.alloc(16)]))).toThrow(/do not fit/)
  })

  it('refuses more elements, and longer strings, than the protocol allows, both ways', () => {
    expect(() => decode(array(int, 1), Buffer.concat([word(2), word(0), word(0)]))).toThrow(XdrError)
    expect(() => encode(array(int, 1), [1, 2])).toThrow(XdrError)
    expect(() => decode(string(3), Buffer.concat([word(4), Buffer.from('abcd')]))).toThrow(XdrError)
    expect(() => encode(string(3), 'äö')).toThrow(XdrError)
  })

  it('takes only 0 and 1 as a boolean', () => {
    expect(() => decode(optional(int), Buffer.concat([word(2), word(0)]))).toThrow(XdrError)
  })

  it('refuses a string with a NUL, which the server would silently cut', () => {
    expect(() => encode(string(9), 'a\0b')).toThrow(XdrError)
  })

  it('reads ill-formed UTF-8, as a guest can choose it for its host name', () => {
    expect(decode(string(9), Buffer.concat([word(2), Buffer.from([0x61, 0xff, 0, 0])]))).toBe('a\uFFFD')
  })
})

describe('integers', () => {
  it.each([
    [int, 2 ** 31],
    [int, -(2 ** 31) - 1],
    [int, 0.5],
    [uint, -1],
    [uint, 2 ** 32],
    [uhyper, -1],
    [uhyper, 2 ** 53],
    [hyper, Number.NaN],
  ])('refuses to write what does not fit (%#)', (codec, value) => {
    expect(() => encode(codec, value)).toThrow(XdrError)
  })

  it('never rounds a 64-bit number: beyond 2^53 it is an error', () => {
    expect(decode(uhyper, encode(counter, 2n ** 53n - 1n))).toBe(Number.MAX_SAFE_INTEGER)
    expect(() => decode(uhyper, encode(counter, 2n ** 53n))).toThrow(XdrError)
    expect(() => decode(hyper, encode(counter, 2n ** 64n - 2n ** 60n))).toThrow(XdrError)
    expect(decode(hyper, encode(hyper, -5))).toBe(-5)
  })

  it('reads counters to their full 64 bits', () => {
    expect(decode(counter, encode(counter, 2n ** 64n - 1n))).toBe(2n ** 64n - 1n)
    expect(() => encode(counter, 2n ** 64n)).toThrow(XdrError)
  })
})

describe('uuid', () => {
  it('is sixteen bytes, and lower-case text with hyphens', () => {
    const text = '00112233-4455-6677-8899-aabbccddeeff'
    expect(encode(uuid, text.toUpperCase()).toString('hex')).toBe(text.replaceAll('-', ''))
    expect(decode(uuid, encode(uuid, text))).toBe(text)
  })

  it.each(['', '00112233445566778899aabbccddeeff', '00112233-4455-6677-8899-aabbccddeefg'])('refuses %j', (text) => {
    expect(() => encode(uuid, text)).toThrow(TypeError)
  })
})
