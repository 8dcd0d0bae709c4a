import { encodeHeaderMessage, type Header } from '../protocol/message.ts'

/** A whole message with bytes as they are, however many. */
export function encodeRawMessage(header: Header, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const message = Buffer.concat([encodeHeaderMessage(header), payload])
  message.writeUInt32BE(message.length, 0)
  return message
}
