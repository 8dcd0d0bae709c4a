/**
 * XDR (RFC 4506), as much of it as libvirt's protocol uses. Decoding never reads outside its buffer, and never
 * allocates more than a constant factor of the bytes that are really there, whatever lengths the other side claims.
 *
 * 64-bit integers are `number` where every value in practice is below 2^53 (sizes in bytes, seconds): a larger one
 * is refused, never rounded. Counters that do pass 2^53 (CPU time in nanoseconds: 104 days of one CPU) are `bigint`.
 */

/** Bytes that do not follow the description, or a value that cannot be described. */
export class XdrError extends Error {
  override readonly name = 'XdrError'
}

/** What a codec reads and writes, for comparison with the protocol's own description. */
export type Shape =
  | { readonly kind: 'int' | 'uint' | 'hyper' | 'uhyper' | 'double' }
  | { readonly kind: 'string'; readonly max: number }
  | { readonly kind: 'bytes'; readonly max: number }
  | { readonly kind: 'opaque'; readonly length: number }
  | { readonly kind: 'optional'; readonly of: Shape }
  | { readonly kind: 'array'; readonly of: Shape; readonly max: number }
  | { readonly kind: 'vector'; readonly of: Shape; readonly length: number }
  | { readonly kind: 'struct'; readonly fields: readonly (readonly [name: string, shape: Shape])[] }
  | { readonly kind: 'union'; readonly cases: readonly (readonly [discriminant: number, shape: Shape])[] }

export interface Codec<T> {
  readonly shape: Shape
  /** Fewest bytes that a value takes: bounds the count that an array may claim. */
  readonly minimum: number
  encode(encoder: Encoder, value: T): void
  decode(decoder: Decoder): T
}

export type Decoded<C> = C extends Codec<infer T> ? T : never

const padding = (length: number) => (4 - (length % 4)) % 4

export class Encoder {
  #buffer: Buffer
  #length = 0

  constructor(size = 256) {
    this.#buffer = Buffer.allocUnsafe(size)
  }

  /** The bytes written so far: a view that the next write may move away from. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): number {
    const at = this.#length
    if (at + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, at + bytes))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    this.#length = at + bytes
    return at
  }

  int(value: number): void {
    if ((value | 0) !== value) throw new XdrError(`${value} is not a 32-bit integer`)
    const at = this.#reserve(4)
    this.#buffer.writeInt32BE(value, at)
  }

  uint(value: number): void {
    if (value >>> 0 !== value) throw new XdrError(`${value} is not an unsigned 32-bit integer`)
    const at = this.#reserve(4)
    this.#buffer.writeUInt32BE(value, at)
  }

  hyper(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new XdrError(`${value} is not a 64-bit integer`)
    const at = this.#reserve(8)
    this.#buffer.writeBigInt64BE(value, at)
  }

  uhyper(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) throw new XdrError(`${value} is not an unsigned 64-bit integer`)
    const at = this.#reserve(8)
    this.#buffer.writeBigUInt64BE(value, at)
  }

  double(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeDoubleBE(value, at)
  }

  /** Bytes and the padding that brings them to a multiple of four. */
  opaque(value: Uint8Array): void {
    const pad = padding(value.length)
    const at = this.#reserve(value.length + pad)
    this.#buffer.set(value, at)
    this.#buffer.fill(0, at + value.length, at + value.length + pad)
  }
}

export class Decoder {
  readonly #buffer: Buffer
  #at: number

  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer
    this.#at = at
  }

  get remaining(): number {
    return this.#buffer.length - this.#at
  }

  #take(bytes: number): number {
    if (bytes > this.remaining) throw new XdrError(`${bytes} bytes wanted, ${this.remaining} left`)
    const at = this.#at
    this.#at = at + bytes
    return at
  }

  int(): number {
    return this.#buffer.readInt32BE(this.#take(4))
  }

  uint(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  hyper(): bigint {
    return this.#buffer.readBigInt64BE(this.#take(8))
  }

  uhyper(): bigint {
    return this.#buffer.readBigUInt64BE(this.#take(8))
  }

  double(): number {
    return this.#buffer.readDoubleBE(this.#take(8))
  }

  /** A view of the next bytes; their padding is skipped. */
  opaque(length: number): Buffer {
    const at = this.#take(length + padding(length))
    return this.#buffer.subarray(at, at + length)
  }

  /** A view of all that is left. */
  rest(): Buffer {
    const at = this.#take(this.remaining)
    return this.#buffer.subarray(at)
  }

  /** Says that all was read: what follows a value is as wrong as what lacks. */
  end(): void {
    if (this.remaining > 0) throw new XdrError(`${this.remaining} bytes too many`)
  }
}

export const int: Codec<number> = {
  shape: { kind: 'int' },
  minimum: 4,
  encode: (encoder, value) => encoder.int(value),
  decode: (decoder) => decoder.int(),
}

export const uint: Codec<number> = {
  shape: { kind: 'uint' },
  minimum: 4,
  encode: (encoder, value) => encoder.uint(value),
  decode: (decoder) => decoder.uint(),
}

const toNumber = (value: bigint): number => {
  const result = Number(value)
  if (!Number.isSafeInteger(result)) throw new XdrError(`${value} is outside the safe integers`)
  return result
}

const toBigInt = (value: number): bigint => {
  if (!Number.isSafeInteger(value)) throw new XdrError(`${value} is outside the safe integers`)
  return BigInt(value)
}

export const hyper: Codec<number> = {
  shape: { kind: 'hyper' },
  minimum: 8,
  encode: (encoder, value) => encoder.hyper(toBigInt(value)),
  decode: (decoder) => toNumber(decoder.hyper()),
}

export const uhyper: Codec<number> = {
  shape: { kind: 'uhyper' },
  minimum: 8,
  encode: (encoder, value) => encoder.uhyper(toBigInt(value)),
  decode: (decoder) => toNumber(decoder.uhyper()),
}

/** An unsigned 64-bit counter that does pass 2^53. */
export const counter: Codec<bigint> = {
  shape: { kind: 'uhyper' },
  minimum: 8,
  encode: (encoder, value) => encoder.uhyper(value),
  decode: (decoder) => decoder.uhyper(),
}

export const double: Codec<number> = {
  shape: { kind: 'double' },
  minimum: 8,
  encode: (encoder, value) => encoder.double(value),
  decode: (decoder) => decoder.double(),
}

/** UTF-8 of at most `max` bytes. Ill-formed bytes (names that a guest chose) are read as U+FFFD. */
export const string = (max: number): Codec<string> => ({
  shape: { kind: 'string', max },
  minimum: 4,
  encode: (encoder, value) => {
    const bytes = Buffer.from(value, 'utf8')
    if (bytes.length > max) throw new XdrError(`a string of ${bytes.length} bytes, ${max} allowed`)
    if (bytes.includes(0)) throw new XdrError('a string with a NUL in it')
    encoder.uint(bytes.length)
    encoder.opaque(bytes)
  },
  decode: (decoder) => {
    const length = decoder.uint()
    if (length > max) throw new XdrError(`a string of ${length} bytes, ${max} allowed`)
    return decoder.opaque(length).toString('utf8')
  },
})

/** Exactly `length` bytes; decoding copies them. */
export const opaque = (length: number): Codec<Buffer> => ({
  shape: { kind: 'opaque', length },
  minimum: length + padding(length),
  encode: (encoder, value) => {
    if (value.length !== length) throw new XdrError(`${value.length} bytes, ${length} wanted`)
    encoder.opaque(value)
  },
  decode: (decoder) => Buffer.from(decoder.opaque(length)),
})

/** At most `max` bytes; decoding copies them. */
export const bytes = (max: number): Codec<Buffer> => ({
  shape: { kind: 'bytes', max },
  minimum: 4,
  encode: (encoder, value) => {
    if (value.length > max) throw new XdrError(`${value.length} bytes, ${max} allowed`)
    encoder.uint(value.length)
    encoder.opaque(value)
  },
  decode: (decoder) => {
    const length = decoder.uint()
    if (length > max) throw new XdrError(`${length} bytes, ${max} allowed`)
    return Buffer.from(decoder.opaque(length))
  },
})

export const optional = <T>(of: Codec<T>): Codec<T | undefined> => ({
  shape: { kind: 'optional', of: of.shape },
  minimum: 4,
  encode: (encoder, value) => {
    encoder.uint(value === undefined ? 0 : 1)
    if (value !== undefined) of.encode(encoder, value)
  },
  decode: (decoder) => {
    const present = decoder.uint()
    if (present > 1) throw new XdrError(`${present} is not a boolean`)
    return present === 1 ? of.decode(decoder) : undefined
  },
})

/** At most `max` values. */
export const array = <T>(of: Codec<T>, max: number): Codec<readonly T[]> => ({
  shape: { kind: 'array', of: of.shape, max },
  minimum: 4,
  encode: (encoder, values) => {
    if (values.length > max) throw new XdrError(`${values.length} elements, ${max} allowed`)
    encoder.uint(values.length)
    for (const value of values) of.encode(encoder, value)
  },
  decode: (decoder) => {
    const length = decoder.uint()
    if (length > max) throw new XdrError(`${length} elements, ${max} allowed`)
    if (length * of.minimum > decoder.remaining) throw new XdrError(`${length} elements do not fit in what is left`)
    return Array.from({ length }, () => of.decode(decoder))
  },
})

/** Exactly `length` values. */
export const vector = <T>(of: Codec<T>, length: number): Codec<readonly T[]> => ({
  shape: { kind: 'vector', of: of.shape, length },
  minimum: of.minimum * length,
  encode: (encoder, values) => {
    if (values.length !== length) throw new XdrError(`${values.length} elements, ${length} wanted`)
    for (const value of values) of.encode(encoder, value)
  },
  decode: (decoder) => Array.from({ length }, () => of.decode(decoder)),
})

// biome-ignore lint/suspicious/noExplicitAny: a codec is invariant in its type, so only `any` matches them all
export type Fields = Readonly<Record<string, Codec<any>>>
export type Struct<F extends Fields> = { readonly [K in keyof F]: Decoded<F[K]> }

/** Fields in the order in which they are written down: it is their order on the wire. */
export const struct = <F extends Fields>(fields: F): Codec<Struct<F>> => {
  const entries = Object.entries(fields)
  return {
    shape: { kind: 'struct', fields: entries.map(([name, codec]) => [name, codec.shape] as const) },
    minimum: entries.reduce((sum, [, codec]) => sum + codec.minimum, 0),
    encode: (encoder, value) => {
      for (const [name, codec] of entries) codec.encode(encoder, value[name])
    },
    decode: (decoder) => Object.fromEntries(entries.map(([name, codec]) => [name, codec.decode(decoder)])) as Struct<F>,
  }
}

export interface Discriminated {
  readonly type: number
  readonly value: unknown
}

/** A value whose codec depends on the number before it. */
export const union = (cases: readonly (readonly [discriminant: number, codec: Codec<unknown>])[]) => {
  const codecs = new Map(cases)
  const codecOf = (type: number): Codec<unknown> => {
    const codec = codecs.get(type)
    if (codec === undefined) throw new XdrError(`${type} is no case of the union`)
    return codec
  }
  const codec: Codec<Discriminated> = {
    shape: { kind: 'union', cases: cases.map(([type, { shape }]) => [type, shape] as const) },
    minimum: 4 + Math.min(...cases.map(([, { minimum }]) => minimum)),
    encode: (encoder, { type, value }) => {
      const chosen = codecOf(type)
      encoder.int(type)
      chosen.encode(encoder, value)
    },
    decode: (decoder) => {
      const type = decoder.int()
      return { type, value: codecOf(type).decode(decoder) }
    },
  }
  return codec
}

/** No bytes at all. */
export const nothing: Codec<Record<never, never>> = struct({})

/** A codec whose values are seen as something else. */
export const mapped = <W, T>(codec: Codec<W>, to: (value: W) => T, from: (value: T) => W): Codec<T> => ({
  shape: codec.shape,
  minimum: codec.minimum,
  encode: (encoder, value) => codec.encode(encoder, from(value)),
  decode: (decoder) => to(codec.decode(decoder)),
})
