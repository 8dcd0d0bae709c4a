import { createHash, type Hash } from 'node:crypto'
import { constants, type FileHandle, open } from 'node:fs/promises'
import { readJSON, removeDurably, writeFully, writeJSON } from './files.ts'

interface Meta {
  /** What request it belongs to. */
  readonly fingerprint: string
  /** Entity tag or Last-Modified of the content, for If-Range. */
  readonly validator?: string
  /** Bytes of the whole content. */
  readonly total?: number
  /** So many bytes are on disk for certain. */
  readonly durable: number
  /** The content comes from more than one response, or from one that did not announce its length. */
  readonly doubtful: boolean
}

const readSize = 1024 * 1024

/**
 * A file while it is fetched, with its state beside it in JSON. What counts as received after a crash is what was made
 * durable before: the rest is cut off and fetched again, and what is kept is hashed anew from disk.
 */
export class Partial {
  readonly key: string
  readonly path: string
  readonly #metaPath: string
  readonly #file: FileHandle
  readonly #fingerprint: string
  #received = 0
  #durable = 0
  #total: number | undefined
  #validator: string | undefined
  #doubtful = false
  #sha256: Hash = createHash('sha256')
  #sha512: Hash | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(key: string, paths: PartialPaths, file: FileHandle, fingerprint: string, withSHA512: boolean) {
    this.key = key
    this.path = paths.data
    this.#metaPath = paths.meta
    this.#file = file
    this.#fingerprint = fingerprint
    this.#sha512 = withSHA512 ? createHash('sha512') : undefined
  }

  /** Opens what is there, or makes an empty one. Rejects with the signal's reason when aborted while hashing. */
  static async open(
    key: string,
    paths: PartialPaths,
    fingerprint: string,
    withSHA512: boolean,
    signal: AbortSignal,
  ): Promise<Partial> {
    const meta = await readMeta(paths)
    const file = await openUnshared(paths.data)
    const partial = new Partial(key, paths, file, fingerprint, withSHA512)
    try {
      if (meta?.fingerprint === fingerprint) await partial.#recover(meta, signal)
      else await file.truncate(0)
    } catch (error) {
      await file.close()
      throw error
    }
    return partial
  }

  /** Bytes written so far. */
  get received(): number {
    return this.#received
  }

  get total(): number | undefined {
    return this.#total
  }

  get validator(): string | undefined {
    return this.#validator
  }

  get isComplete(): boolean {
    return this.#total !== undefined && this.#received === this.#total
  }

  /** Whether a wrong checksum may be the fault of how the content came, rather than of the content. */
  get doubtful(): boolean {
    return this.#doubtful
  }

  /** Forgets what was received: a new content starts. */
  async begin(content: { total?: number | undefined; validator?: string | undefined }): Promise<void> {
    await this.#writing
    this.#received = 0
    this.#durable = 0
    this.#total = content.total
    this.#validator = content.validator
    this.#doubtful = content.total === undefined
    this.#sha256 = createHash('sha256')
    if (this.#sha512) this.#sha512 = createHash('sha512')
    await this.#writeMeta()
    await this.#file.truncate(0)
  }

  /** Goes on where it is, with another response. */
  async resume(total: number | undefined): Promise<void> {
    this.#doubtful = true
    this.#total ??= total
    await this.checkpoint()
  }

  async write(piece: Uint8Array): Promise<void> {
    await writeFully(this.#file, piece, this.#received)
    this.#received += piece.length
    this.#sha256.update(piece)
    this.#sha512?.update(piece)
  }

  /** What was written up to this call survives a crash once this resolves. */
  async checkpoint(): Promise<void> {
    const received = this.#received
    await this.#file.datasync()
    this.#durable = received
    await this.#writeMeta()
  }

  /** Everything is there; from now on the total is known. */
  async complete(): Promise<void> {
    this.#total = this.#received
    await this.#file.sync()
    this.#durable = this.#received
    await this.#writeMeta()
  }

  /** Of everything received, in hexadecimal. */
  digests(): { sha256: string; sha512: string | undefined } {
    return { sha256: this.#sha256.copy().digest('hex'), sha512: this.#sha512?.copy().digest('hex') }
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#file.close()
  }

  async #recover(meta: Meta, signal: AbortSignal): Promise<void> {
    const { size } = await this.#file.stat()
    const kept = Math.min(size, meta.durable)
    await this.#file.truncate(kept)
    const buffer = Buffer.allocUnsafe(readSize)
    while (this.#received < kept) {
      signal.throwIfAborted()
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(readSize, kept - this.#received), this.#received)
      if (bytesRead === 0) throw new Error('the partial file changed while it was read')
      const piece = buffer.subarray(0, bytesRead)
      this.#sha256.update(piece)
      this.#sha512?.update(piece)
      this.#received += bytesRead
    }
    this.#durable = kept
    this.#total = meta.total
    this.#validator = meta.validator
    this.#doubtful = meta.doubtful || kept > 0
  }

  #writeMeta(): Promise<void> {
    const write = async () => {
      const meta: Meta = {
        fingerprint: this.#fingerprint,
        durable: this.#durable,
        doubtful: this.#doubtful,
        ...(this.#validator === undefined ? {} : { validator: this.#validator }),
        ...(this.#total === undefined ? {} : { total: this.#total }),
      }
      await writeJSON(this.#metaPath, meta)
    }
    const done = this.#writing.catch(() => {}).then(write)
    this.#writing = done
    return done
  }
}

export interface PartialPaths {
  readonly data: string
  readonly meta: string
}

/** A file that already has its place in the store by another name is never written again: a new one is made. */
async function openUnshared(path: string): Promise<FileHandle> {
  const openPath = () => open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  const file = await openPath()
  if ((await file.stat()).nlink === 1) return file
  await file.close()
  await removeDurably(path)
  return openPath()
}

async function readMeta(paths: PartialPaths): Promise<Meta | undefined> {
  const read = await readJSON(paths.meta)
  return read === undefined || read === 'broken' ? undefined : (read.value as Meta)
}

/** How far a partial file is known to be, without opening it. */
export async function partialProgress(
  paths: PartialPaths,
  fingerprint: string,
): Promise<{ received: number; total?: number }> {
  const meta = await readMeta(paths)
  if (meta?.fingerprint !== fingerprint) return { received: 0 }
  return { received: meta.durable, ...(meta.total === undefined ? {} : { total: meta.total }) }
}

export async function removePartial(paths: PartialPaths): Promise<void> {
  await removeDurably(paths.data)
  await removeDurably(paths.meta)
}
