import { statfs } from 'node:fs/promises'
import { ImageError } from '../failure.ts'

/** Room in the store, with what running fetches will still need counted as taken. */
export class Space {
  readonly #directory: string
  readonly #reserved: number
  readonly #claims = new Map<string, number>()

  /** `reserved`: bytes to leave free. */
  constructor(directory: string, reserved: number) {
    this.#directory = directory
    this.#reserved = reserved
  }

  /** So many bytes are still to be written for that key. */
  claim(key: string, bytes: number): void {
    this.#claims.set(key, bytes)
  }

  free(key: string): void {
    this.#claims.delete(key)
  }

  /** Throws ImageError StoreFull when the claim of that key does not fit beside the others'. */
  async check(key: string): Promise<void> {
    const needed = this.#claims.get(key) ?? 0
    const available = await this.available(key)
    if (available < needed) {
      throw new ImageError(
        'StoreFull',
        `the image store has no room for ${needed} more bytes: enlarge it, or delete images`,
        { needed },
      )
    }
  }

  /** Bytes that the key may still use. Negative: less than the reserve is left. */
  async available(key: string): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory)
    let others = 0
    for (const [other, bytes] of this.#claims) if (other !== key) others += bytes
    return bavail * bsize - this.#reserved - others
  }
}
