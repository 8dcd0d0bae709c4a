import { type FileHandle, open } from 'node:fs/promises'
import { ImageError } from '../failure.ts'
import { identify } from './identify.ts'
import { parseQcow2, qcow2HeadSize } from './qcow2.ts'

/**
 * Reads the virtual size, in bytes, of a qcow2 file whose header has been found harmless. Rejects with an ImageError;
 * TemporaryFailure when the inspection itself could not be done.
 */
export type DiskInspector = (path: string, signal: AbortSignal) => Promise<number>

export interface Inspection {
  readonly format: 'qcow2' | 'raw'
  /** Bytes. */
  readonly virtualSize: number
}

export interface InspectOptions {
  /** What the file must be. Absent: found out. */
  readonly format: 'qcow2' | 'raw' | undefined
  readonly maximumVirtualSize: number
  readonly inspector: DiskInspector
  readonly signal: AbortSignal
}

const accepted = 'accepted are qcow2 and raw disks; qemu-img convert -O qcow2 makes one of most formats'
const identifySize = 64 * 1024
const sector = 512

/**
 * Finds out what a file that nobody trusts is. Our own reading of the first bytes comes first; only a qcow2 file that
 * passes it is shown to another program. Throws ImageError.
 */
export async function inspect(path: string, options: InspectOptions): Promise<Inspection> {
  const file = await open(path, 'r')
  let virtualSize: number
  try {
    const { size } = await file.stat()
    if (size === 0) throw new ImageError('InvalidConfiguration', 'the file is empty')
    const format = await findFormat(file, size, options.format)
    if (format === 'raw') return { format, virtualSize: rawSize(size, options.maximumVirtualSize) }
    virtualSize = parseQcow2(await read(file, 0, qcow2HeadSize), size, options.maximumVirtualSize).virtualSize
  } finally {
    await file.close()
  }
  const seen = await options.inspector(path, options.signal)
  if (seen !== virtualSize) {
    throw new ImageError(
      'UnsafeFormat',
      `the qcow2 file says ${virtualSize} bytes in its header, but qemu-img sees ${seen}`,
    )
  }
  return { format: 'qcow2', virtualSize }
}

async function findFormat(
  file: FileHandle,
  size: number,
  wanted: 'qcow2' | 'raw' | undefined,
): Promise<'qcow2' | 'raw'> {
  const head = await read(file, 0, identifySize)
  const tail = await read(file, Math.max(0, size - sector), sector)
  const identity = identify(head, tail)
  if (identity.kind === 'qcow2') {
    if (wanted === 'raw')
      throw new ImageError('InvalidConfiguration', 'the file is qcow2, not raw: set format to QCOW2')
    return 'qcow2'
  }
  if (identity.kind === 'foreign' && !(wanted === 'raw' && identity.asRaw)) {
    const mend = identity.asRaw ? '; if a disk is to have exactly these bytes, set format: Raw' : ''
    throw new ImageError('InvalidConfiguration', `the file is ${identity.name}: ${accepted}${mend}`)
  }
  if (wanted === 'qcow2') throw new ImageError('InvalidConfiguration', 'the file is not qcow2: correct format or url')
  if (identity.kind === 'unknown' && wanted === undefined) {
    throw new ImageError(
      'InvalidConfiguration',
      `the file is of no known format and has no partition table: ${accepted}; if it is a raw disk, set format: Raw`,
    )
  }
  return 'raw'
}

/** A raw file's last sector may be incomplete; QEMU fills it up with zeros. */
function rawSize(size: number, maximum: number): number {
  const virtualSize = Math.ceil(size / sector) * sector
  if (virtualSize > maximum) {
    throw new ImageError('TooLarge', `the disk has ${virtualSize} bytes, more than the ${maximum} that are allowed`)
  }
  return virtualSize
}

async function read(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}
