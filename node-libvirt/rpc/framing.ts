import { headerSize, lengthSize, maxMessage } from '../protocol/message.ts'

/** Bytes in which no message can be found; the connection is of no use any more. */
export class FramingError extends Error {
  override readonly name = 'FramingError'
}

/** Cuts a byte stream into messages, without their length words. Holds no more than the bytes that came. */
export class FrameReader {
  #chunks: Buffer[] = []
  #available = 0

  /** Calls `deliver` with each message that is whole now. @throws FramingError */
  push(chunk: Buffer, deliver: (message: Buffer) => void): void {
    this.#chunks.push(chunk)
    this.#available += chunk.length
    while (this.#available >= lengthSize) {
      const length = this.#peekLength()
      if (length < lengthSize + headerSize || length > lengthSize + maxMessage) {
        throw new FramingError(`a message of ${length} bytes`)
      }
      if (this.#available < length) return
      deliver(this.#take(length).subarray(lengthSize))
    }
  }

  #peekLength(): number {
    const [first] = this.#chunks
    if (first !== undefined && first.length >= lengthSize) return first.readUInt32BE(0)
    return this.#join().readUInt32BE(0)
  }

  #take(length: number): Buffer {
    const [first] = this.#chunks
    const whole = first !== undefined && first.length >= length ? first : this.#join()
    this.#available -= length
    const rest = whole.subarray(length)
    if (rest.length > 0) this.#chunks[0] = rest
    else this.#chunks.shift()
    return whole.subarray(0, length)
  }

  #join(): Buffer {
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }
}
