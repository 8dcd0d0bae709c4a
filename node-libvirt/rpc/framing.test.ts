import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { FrameReader, FramingError } from './framing.ts'

const frame = (payload: Uint8Array): Buffer => {
  const buffer = Buffer.concat([Buffer.alloc(4), payload])
  buffer.writeUInt32BE(buffer.length)
  return buffer
}

const lengthWord = (length: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(length)
  return buffer
}

describe('FrameReader', () => {
  it('gives the same messages however the bytes are cut', () => {
    const message = fc.uint8Array({ minLength: 24, maxLength: 200 })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 70 })), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(frame))
        const reader = new FrameReader()
        const got: string[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % Math.max(1, cuts.length)] ?? 1
          reader.push(bytes.subarray(at, at + size), (found) => got.push(found.toString('hex')))
          at += size
        }
        expect(got).toEqual(messages.map((sent) => Buffer.from(sent).toString('hex')))
      }),
    )
  })

  it.each([0, 4, 27, 33_554_437, 0xffffffff])('refuses a message of %d bytes at its length word', (length) => {
    expect(() => new FrameReader().push(lengthWord(length), () => {})).toThrow(FramingError)
  })

  it('waits for a message of the greatest length without having room for it', () => {
    const before = process.memoryUsage().arrayBuffers
    new FrameReader().push(lengthWord(33_554_436), () => {})
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  })
})
