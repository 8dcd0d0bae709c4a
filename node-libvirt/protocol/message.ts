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

/** A whole message with bytes as they are: a stream's data are not padded. */
export const encodeRawMessage = (header: Header, payload?: Uint8Array): Buffer => {
  const size = lengthSize + headerSize
  const encoder = new Encoder(size)
  encodeHeader(encoder, header)
  const head = finish(encoder)
  if (payload === undefined || payload.length === 0) return head
  head.writeUInt32BE(size + payload.length, 0)
  return Buffer.concat([head, payload])
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
