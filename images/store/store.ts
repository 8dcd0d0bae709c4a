import { link, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { codeOf, ImageError } from '../failure.ts'
import type { FetchRequest, StoredImage } from '../port.ts'
import { makeDirectory, readJSON, removeDurably, syncDirectory, writeJSON } from './files.ts'
import type { PartialPaths } from './partial.ts'

/** What is remembered of an id: refs/<id>.json. */
export interface ImageRecord {
  readonly version: 1
  readonly request: FetchRequest
  readonly outcome?: Outcome
}

export type Outcome =
  | { readonly state: 'Ready'; readonly image: StoredImage }
  | {
      readonly state: 'Failed'
      readonly failure: Exclude<ImageError['failure'], 'TemporaryFailure'>
      readonly message: string
      /** For StoreFull: bytes that have to be free. */
      readonly needed?: number
    }

const digestPattern = /^[0-9a-f]{64}$/
const readSize = 256 * 1024

/** The file name that stands for an id. Throws RangeError for an id that cannot be one. */
export function nameOf(id: string): string {
  // Dots at the front would hide the file, or be the directory itself.
  const name = encodeURIComponent(id).replace(/^\./, '%2E')
  if (name === '' || name.length > 200) throw new RangeError('an image id has 1 to 200 bytes')
  return name
}

/**
 * The files: `sha256/<hex>` by content, `refs/<id>.json` who holds what, `partial/` what is under way. A name under
 * sha256/ is given only to a file whose content was verified and made durable before.
 */
export class Store {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  async prepare(): Promise<void> {
    for (const name of ['sha256', 'refs', 'partial']) await makeDirectory(join(this.directory, name))
    await syncDirectory(this.directory)
  }

  blobPath(digest: string): string {
    return join(this.directory, 'sha256', digest)
  }

  /** The raw form of a stored qcow2 file, while somebody uses it. What a crash leaves is swept. */
  rawPath(digest: string): string {
    return `${this.blobPath(digest)}.raw`
  }

  /** Bytes of stored content. Throws ImageError NotFound. */
  async sizeOf(digest: string): Promise<number> {
    try {
      return (await stat(this.blobPath(digest))).size
    } catch (error) {
      throw codeOf(error) === 'ENOENT' ? notStored(digest) : error
    }
  }

  partialPaths(id: string): PartialPaths {
    const base = join(this.directory, 'partial', nameOf(id))
    return { data: `${base}.part`, meta: `${base}.json` }
  }

  async writeRecord(record: ImageRecord): Promise<void> {
    await writeJSON(this.#recordPath(record.request.id), record)
  }

  async removeRecord(id: string): Promise<void> {
    await removeDurably(this.#recordPath(id))
  }

  /**
   * Everything that is remembered, by id. A file that is no JSON (a damaged disk) is removed: its image is fetched again.
   * Throws Error for a record of a later version.
   */
  async records(): Promise<Map<string, ImageRecord>> {
    const records = new Map<string, ImageRecord>()
    for (const name of await this.#list('refs')) {
      const path = join(this.directory, 'refs', name)
      const read = name.endsWith('.json') ? await readJSON(path) : 'broken'
      if (read === undefined) continue
      if (read === 'broken' || !isRecord(read.value)) {
        await removeDurably(path)
        continue
      }
      if (read.value.version !== 1) throw new Error(`${path} was written by a later version of Berth`)
      records.set(read.value.request.id, read.value)
    }
    return records
  }

  /**
   * Gives verified, durable content its place, as a second name of the same file: until the caller has recorded who
   * holds it and removes the first name, a crash loses nothing. Content that is there already is the same.
   */
  async adopt(path: string, image: StoredImage): Promise<void> {
    if (await this.has(image)) return
    const staged = `${this.blobPath(image.digest)}.tmp`
    await rm(staged, { force: true })
    await link(path, staged)
    await rename(staged, this.blobPath(image.digest))
    await syncDirectory(join(this.directory, 'sha256'))
  }

  /** Whether content of that digest and size is stored. */
  async has(image: StoredImage): Promise<boolean> {
    try {
      return (await stat(this.blobPath(image.digest))).size === image.storedSize
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  async removeBlob(digest: string): Promise<void> {
    await removeDurably(this.blobPath(digest))
  }

  /** Removes what no id needs: content, partial files, and temporary files that a crash left. */
  async sweep(records: ReadonlyMap<string, ImageRecord>, held: ReadonlySet<string>): Promise<void> {
    const underWay = new Set([...records.values()].filter((r) => !r.outcome).map((r) => nameOf(r.request.id)))
    for (const name of await this.#list('sha256')) {
      if (!held.has(name)) await removeDurably(join(this.directory, 'sha256', name))
    }
    for (const name of await this.#list('partial')) {
      const owner = /^(.*)\.(?:part|json)$/.exec(name)?.[1]
      if (owner === undefined || !underWay.has(owner)) await removeDurably(join(this.directory, 'partial', name))
    }
  }

  /** Stored content, or a part of it. Throws ImageError NotFound, or RangeError. */
  async *read(digest: string, range: { start?: number; end?: number } = {}): AsyncGenerator<Uint8Array> {
    if (!digestPattern.test(digest)) throw new ImageError('NotFound', 'a digest has 64 hexadecimal digits')
    try {
      yield* readFileContent(this.blobPath(digest), range)
    } catch (error) {
      throw codeOf(error) === 'ENOENT' ? notStored(digest) : error
    }
  }

  #recordPath(id: string): string {
    return join(this.directory, 'refs', `${nameOf(id)}.json`)
  }

  async #list(name: string): Promise<string[]> {
    return (await readdir(join(this.directory, name))).sort()
  }
}

const notStored = (digest: string) => new ImageError('NotFound', `no content ${digest} is stored`)

/** A file, or a part of it, piece by piece. Throws RangeError. */
export async function* readFileContent(
  path: string,
  range: { start?: number; end?: number } = {},
): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const { start = 0, end = size } = range
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start || end > size) {
      throw new RangeError(`bytes ${start} to ${end} are not within the ${size} bytes of ${basename(path)}`)
    }
    for (let position = start; position < end; ) {
      // A new buffer each time: the reader may keep the one before.
      const buffer = Buffer.allocUnsafeSlow(Math.min(readSize, end - position))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
      if (bytesRead === 0) throw new Error(`the content of ${basename(path)} is cut`)
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

function isRecord(value: unknown): value is ImageRecord {
  if (typeof value !== 'object' || value === null || !('version' in value) || !('request' in value)) return false
  const { request } = value
  return typeof request === 'object' && request !== null && 'id' in request && typeof request.id === 'string'
}
