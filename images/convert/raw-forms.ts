/** Raw forms of stored qcow2 images, for hosts that take nothing else: made by `qemu-img` in a limited child process. */
import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { ImageError, temporary } from '../failure.ts'
import { parseQcow2, qcow2HeadSize } from '../inspect/qcow2.ts'
import { KeyedMutex } from '../locks.ts'
import type { RawForm } from '../port.ts'
import type { Space } from '../store/space.ts'
import { readFileContent, type Store } from '../store/store.ts'

/**
 * Writes the disk that a qcow2 file stands for, as `length` bytes at `target`, holes where it holds zeros. Rejects with an
 * ImageError.
 */
export type DiskConverter = (source: string, target: string, length: number, signal: AbortSignal) => Promise<void>

interface Form {
  users: number
  readonly path: string
  readonly length: number
  readonly digest: string
}

/** One file for all who use a form at a time; the last one takes it away. */
export class RawForms {
  readonly #store: Store
  readonly #space: Space
  readonly #convert: DiskConverter
  readonly #maximumVirtualSize: number
  readonly #forms = new Map<string, Form>()
  readonly #perDigest = new KeyedMutex()

  constructor(store: Store, space: Space, convert: DiskConverter, maximumVirtualSize: number) {
    this.#store = store
    this.#space = space
    this.#convert = convert
    this.#maximumVirtualSize = maximumVirtualSize
  }

  /** Rejects with NotFound, StoreFull, UnsafeFormat or TemporaryFailure. */
  async open(digest: string, signal: AbortSignal): Promise<RawForm> {
    const form = await this.#perDigest.run(digest, async () => {
      const known = this.#forms.get(digest) ?? (await this.#make(digest, signal))
      known.users++
      this.#forms.set(digest, known)
      return known
    })
    let isOpen = true
    return {
      length: form.length,
      digest: form.digest,
      open: () => readFileContent(form.path),
      close: async () => {
        if (!isOpen) return
        isOpen = false
        await this.#perDigest.run(digest, () => this.#leave(digest, form))
      },
    }
  }

  async #make(digest: string, signal: AbortSignal): Promise<Form> {
    const source = this.#store.blobPath(digest)
    const length = await this.#virtualSize(digest)
    const path = this.#store.rawPath(digest)
    const claim = `raw ${digest}`
    // Zeros take no room, but how many there are is known afterwards.
    this.#space.claim(claim, length)
    try {
      await this.#space.check(claim)
      await rm(path, { force: true })
      await this.#convert(source, path, length, signal)
      return { users: 0, path, length, digest: await sha256Of(path, length, signal) }
    } catch (error) {
      await rm(path, { force: true })
      throw error
    } finally {
      this.#space.free(claim)
    }
  }

  async #virtualSize(digest: string): Promise<number> {
    const head: Uint8Array[] = []
    for await (const piece of this.#store.read(digest)) {
      head.push(piece)
      break
    }
    const first = Buffer.concat(head)
    const size = await this.#store.sizeOf(digest)
    return parseQcow2(first.subarray(0, qcow2HeadSize), size, this.#maximumVirtualSize).virtualSize
  }

  async #leave(digest: string, form: Form): Promise<void> {
    if (--form.users > 0) return
    this.#forms.delete(digest)
    await rm(form.path, { force: true })
  }
}

async function sha256Of(path: string, length: number, signal: AbortSignal): Promise<string> {
  const file = await open(path, 'r')
  const { size } = await file.stat()
  await file.close()
  if (size !== length) throw new ImageError('UnsafeFormat', `the disk became ${size} bytes instead of ${length}`)
  const hash = createHash('sha256')
  for await (const piece of readFileContent(path)) {
    if (signal.aborted) throw temporary('the conversion was ended')
    hash.update(piece)
  }
  return hash.digest('hex')
}
