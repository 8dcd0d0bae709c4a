const chunkSize = 64 * 1024

/**
 * The bytes of a disk, of which only what was written and is not zero takes memory. Chunks are never changed in place,
 * so copies share them.
 */
export class SparseBytes {
  #size: number
  readonly #chunks = new Map<number, Buffer>()

  constructor(size: number) {
    this.#size = size
  }

  get size(): number {
    return this.#size
  }

  /** Bytes that are kept. */
  get allocated(): number {
    return this.#chunks.size * chunkSize
  }

  write(offset: number, data: Buffer): void {
    if (offset + data.length > this.#size) throw new RangeError('A write beyond the end of the disk.')
    for (let done = 0; done < data.length; ) {
      const index = Math.floor((offset + done) / chunkSize)
      const within = (offset + done) % chunkSize
      const part = data.subarray(done, done + chunkSize - within)
      const chunk = Buffer.alloc(chunkSize)
      this.#chunks.get(index)?.copy(chunk)
      part.copy(chunk, within)
      if (isZero(chunk)) this.#chunks.delete(index)
      else this.#chunks.set(index, chunk)
      done += part.length
    }
  }

  read(offset: number, length: number): Buffer {
    const end = Math.min(offset + length, this.#size)
    const data = Buffer.alloc(Math.max(0, end - offset))
    for (let position = offset; position < end; ) {
      const within = position % chunkSize
      const part = Math.min(chunkSize - within, end - position)
      this.#chunks.get(Math.floor(position / chunkSize))?.copy(data, position - offset, within, within + part)
      position += part
    }
    return data
  }

  /** Takes the other's bytes from the beginning; what lies beyond the other's end stays. */
  overlay(other: SparseBytes): void {
    for (let index = 0; index * chunkSize < Math.min(other.#size, this.#size); index++) {
      const chunk = other.#chunks.get(index)
      const whole = (index + 1) * chunkSize <= Math.min(other.#size, this.#size)
      if (whole && chunk !== undefined) this.#chunks.set(index, chunk)
      else if (whole) this.#chunks.delete(index)
      else {
        const start = index * chunkSize
        this.write(start, other.read(start, Math.min(other.#size, this.#size) - start))
      }
    }
  }

  resize(size: number): void {
    if (size < this.#size) throw new RangeError('A disk does not shrink.')
    this.#size = size
  }
}

function isZero(chunk: Buffer): boolean {
  return chunk.equals(zeroes)
}

const zeroes = Buffer.alloc(chunkSize)
