import { type Codec, type Decoder, Encoder } from './xdr.ts'

/** libvirt's message layer (virnetprotocol.x, virkeepaliveprotocol.x): numbers, limits and the header. */

export const Program = { REMOTE: 0x20008086, QEMU: 0x20008087, KEEPALIVE: 0x6b656570 } as const

/** Version of all programs. */
export const programVersion = 1

export const MessageType = {
  CALL: 0,
  REPLY: 1,
  MESSAGE: 2,
  STREAM: 3,
  CALL_WITH_FDS: 4,
  REPLY_WITH_FDS: 5,
  STREAM_HOLE: 6,
} as const

export const MessageStatus = { OK: 0, ERROR: 1, CONTINUE: 2 } as const

export const KeepaliveProcedure = { PING: 1, PONG: 2 } as const

/** Bytes of the length word, which counts itself but not towards {@link maxMessage}. */
export const lengthSize = 4
export const headerSize = 24
/** Largest message after its length word. */
export const maxMessage = 33_554_432
/** Largest payload of a stream packet that every version of libvirt takes. */
export const maxStreamPayload = 262_120
export const maxString = 4_194_304

export interface Header {
  readonly program: number
  readonly version: number
  readonly procedure: number
  readonly type: number
  readonly serial: number
  readonly status: number
}

/** A whole message with its length word. */
export const encodeMessage = <T>(header: Header, codec: Codec<T>, payload: T): Buffer => {
  const encoder = new Encoder()
  encodeHeader(encoder, header)
  codec.encode(encoder, payload)
  return finish(encoder)
}

/** A whole message without a payload. */
export const encodeHeaderMessage = (header: Header): Buffer => {
  const encoder = new Encoder(lengthSize + headerSize)
  encodeHeader(encoder, header)
  return finish(encoder)
}

/**
 * A message with a stream's data, which are not padded. It is filled, sent, cleared and filled again: one piece of
 * memory for a whole transfer, and one copy of each byte.
 */
export class DataMessage {
  readonly #bytes = Buffer.allocUnsafe(lengthSize + headerSize + maxStreamPayload)
  #length = 0

  constructor(header: Header) {
    encodeHeaderMessage(header).copy(this.#bytes)
    this.clear()
  }

  get empty(): boolean {
    return this.#length === lengthSize + headerSize
  }

  get full(): boolean {
    return this.#length === this.#bytes.length
  }

  /** Takes what there is room for; answers how many bytes. */
  fill(data: Uint8Array): number {
    const taken = Math.min(data.length, this.#bytes.length - this.#length)
    this.#bytes.set(data.subarray(0, taken), this.#length)
    this.#length += taken
    return taken
  }

  /** With its length word. Good until it is filled again. */
  encoded(): Buffer {
    this.#bytes.writeUInt32BE(this.#length, 0)
    return this.#bytes.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = lengthSize + headerSize
  }
}

const encodeHeader = (encoder: Encoder, header: Header): void => {
  encoder.uint(0)
  encoder.uint(header.program)
  encoder.uint(header.version)
  encoder.int(header.procedure)
  encoder.int(header.type)
  encoder.uint(header.serial)
  encoder.int(header.status)
}

const finish = (encoder: Encoder): Buffer => {
  const bytes = encoder.bytes()
  bytes.writeUInt32BE(bytes.length, 0)
  return bytes
}

/** The header of a message that comes without its length word; the decoder stands at the payload afterwards. */
export const decodeHeader = (decoder: Decoder): Header => ({
  program: decoder.uint(),
  version: decoder.uint(),
  procedure: decoder.int(),
  type: decoder.int(),
  serial: decoder.uint(),
  status: decoder.int(),
})
