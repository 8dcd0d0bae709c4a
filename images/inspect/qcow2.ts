import { ImageError } from '../failure.ts'

/**
 * A qcow2 header, read without trust: what could make a reader open another file, or use absurd amounts of memory, is
 * refused before any other program sees the file. Source: docs/interop/qcow2 of QEMU.
 */
export interface Qcow2Header {
  readonly version: 2 | 3
  readonly clusterSize: number
  /** Bytes. */
  readonly virtualSize: number
}

/** Bytes from the start of the file that hold every header extension: the largest cluster. */
export const qcow2HeadSize = 2 * 1024 * 1024

const incompatible = {
  dirty: 1n << 0n,
  corrupt: 1n << 1n,
  dataFile: 1n << 2n,
  compression: 1n << 3n,
  extendedL2: 1n << 4n,
}
const known = Object.values(incompatible).reduce((all, bit) => all | bit)
const extension = { end: 0, backingFormat: 0xe2792aca, dataFile: 0x44415441, encryption: 0x0537be77 }

// QEMU's own bounds (block/qcow2.h).
const maximumL1Bytes = 32 * 1024 * 1024
const maximumRefcountTableBytes = 8 * 1024 * 1024
const maximumSnapshots = 65536

/**
 * `head`: the first `qcow2HeadSize` bytes, or all when the file is shorter; it must have the qcow2 magic.
 * Throws ImageError: UnsafeFormat, or TooLarge when the disk is larger than `maximumVirtualSize`.
 */
export function parseQcow2(head: Uint8Array, fileSize: number, maximumVirtualSize: number): Qcow2Header {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (head.length < 72) throw unsafe('is cut within its header')
  if (view.getUint32(0) !== 0x514649fb) throw unsafe('has no qcow2 magic')
  const version = view.getUint32(4)
  if (version !== 2 && version !== 3) throw unsafe(`has version ${version}; 2 and 3 are known`)

  if (view.getBigUint64(8) !== 0n || view.getUint32(16) !== 0) {
    throw unsafe('has a backing file: flatten it with qemu-img convert -O qcow2')
  }
  if (view.getUint32(32) !== 0) throw unsafe('is encrypted: decrypt it with qemu-img convert')

  const clusterBits = view.getUint32(20)
  if (clusterBits < 9 || clusterBits > 21) throw unsafe(`has clusters of 2^${clusterBits} bytes`)
  const clusterSize = 2 ** clusterBits

  let extendedL2 = false
  let headerLength = 72
  if (version === 3) {
    if (head.length < 104) throw unsafe('is cut within its header')
    const features = view.getBigUint64(72)
    if (features & incompatible.dataFile)
      throw unsafe('has an external data file: convert it with qemu-img convert -O qcow2')
    if (features & ~known) throw unsafe(`needs unknown features (0x${(features & ~known).toString(16)})`)
    if (features & incompatible.corrupt) throw unsafe('is marked as corrupt: mend it with qemu-img check -r all')
    if (features & incompatible.dirty) throw unsafe('was not closed cleanly: mend it with qemu-img check -r all')
    extendedL2 = (features & incompatible.extendedL2) !== 0n
    if (view.getUint32(96) > 6) throw unsafe('has an absurd refcount order')
    headerLength = view.getUint32(100)
    if (headerLength < 104 || headerLength % 8 !== 0 || headerLength > clusterSize || headerLength > head.length) {
      throw unsafe(`has a header of ${headerLength} bytes`)
    }
    checkCompression(view, headerLength, (features & incompatible.compression) !== 0n)
  }
  checkExtensions(view, headerLength, Math.min(clusterSize, head.length))

  const virtualSize = view.getBigUint64(24)
  if (virtualSize === 0n) throw unsafe('is a disk of no size')
  if (virtualSize > BigInt(maximumVirtualSize)) {
    throw new ImageError(
      'TooLarge',
      `the disk has ${virtualSize} bytes, more than the ${maximumVirtualSize} that are allowed`,
    )
  }
  checkTables(view, fileSize, clusterSize, Number(virtualSize), extendedL2)
  return { version, clusterSize, virtualSize: Number(virtualSize) }
}

function checkCompression(view: DataView, headerLength: number, flagged: boolean): void {
  const type = headerLength > 104 ? view.getUint8(104) : 0
  if (type > 1) throw unsafe(`is compressed by an unknown method (${type})`)
  if (flagged !== (type !== 0)) throw unsafe('contradicts itself about its compression')
}

function checkExtensions(view: DataView, start: number, end: number): void {
  for (let at = start; at + 8 <= end; ) {
    const type = view.getUint32(at)
    const length = view.getUint32(at + 4)
    if (type === extension.end) return
    if (type === extension.backingFormat)
      throw unsafe('names the format of a backing file: flatten it with qemu-img convert -O qcow2')
    if (type === extension.dataFile)
      throw unsafe('names an external data file: convert it with qemu-img convert -O qcow2')
    if (type === extension.encryption) throw unsafe('is encrypted: decrypt it with qemu-img convert')
    at += 8 + Math.ceil(length / 8) * 8
    if (at > end) throw unsafe('has a header extension that does not fit its header')
  }
}

function checkTables(
  view: DataView,
  fileSize: number,
  clusterSize: number,
  virtualSize: number,
  extendedL2: boolean,
): void {
  const l1Entries = view.getUint32(36)
  const perL1Entry = clusterSize * (clusterSize / (extendedL2 ? 16 : 8))
  if (l1Entries * 8 > maximumL1Bytes || l1Entries < Math.ceil(virtualSize / perL1Entry)) {
    throw unsafe(`has an L1 table of ${l1Entries} entries for a disk of ${virtualSize} bytes`)
  }
  checkPlace('an L1 table', view.getBigUint64(40), l1Entries * 8, fileSize, clusterSize)

  const refcountClusters = view.getUint32(56)
  if (refcountClusters === 0 || refcountClusters * clusterSize > maximumRefcountTableBytes) {
    throw unsafe(`has a refcount table of ${refcountClusters} clusters`)
  }
  // Its last cluster need not be written out in full.
  checkPlace('a refcount table', view.getBigUint64(48), 1, fileSize, clusterSize)

  const snapshots = view.getUint32(60)
  if (snapshots > maximumSnapshots) throw unsafe(`has ${snapshots} snapshots`)
  if (snapshots > 0) checkPlace('a snapshot table', view.getBigUint64(64), 1, fileSize, clusterSize)
}

function checkPlace(what: string, offset: bigint, length: number, fileSize: number, clusterSize: number): void {
  const isAligned = offset !== 0n && offset % BigInt(clusterSize) === 0n
  if (!isAligned || offset + BigInt(length) > BigInt(fileSize)) {
    throw unsafe(`has ${what} outside of the file: it may be cut`)
  }
}

function unsafe(what: string): ImageError {
  return new ImageError('UnsafeFormat', `the qcow2 file ${what}`)
}
