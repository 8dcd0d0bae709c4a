import { createHash, randomBytes } from 'node:crypto'

/** Bytes that look like a raw disk with a partition table, and compress badly. */
export function rawDisk(size: number): Buffer {
  const disk = randomBytes(size)
  disk.fill(0, 0, 8)
  disk.write('\x55\xaa', 510, 'latin1')
  return disk
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

export function sha512(data: Uint8Array): string {
  return createHash('sha512').update(data).digest('hex')
}

export interface Qcow2Parts {
  readonly version?: 2 | 3
  readonly virtualSize?: bigint
  readonly clusterBits?: number
}

/** A whole qcow2 file without data, as `qemu-img create` makes it: header, refcount table and block, L1 table. */
export function qcow2({ version = 3, virtualSize = 1n << 30n, clusterBits = 16 }: Qcow2Parts = {}): Buffer {
  const cluster = 2 ** clusterBits
  const perL1Entry = cluster * (cluster / 8)
  const l1Entries = Math.max(1, Math.ceil(Number(virtualSize) / perL1Entry))
  const file = Buffer.alloc(3 * cluster + l1Entries * 8)
  file.writeUInt32BE(0x514649fb, 0)
  file.writeUInt32BE(version, 4)
  file.writeUInt32BE(clusterBits, 20)
  file.writeBigUInt64BE(virtualSize, 24)
  file.writeUInt32BE(l1Entries, 36)
  file.writeBigUInt64BE(BigInt(3 * cluster), 40)
  file.writeBigUInt64BE(BigInt(cluster), 48)
  file.writeUInt32BE(1, 56)
  if (version === 3) {
    file.writeUInt32BE(4, 96)
    file.writeUInt32BE(112, 100)
  }
  file.writeBigUInt64BE(BigInt(2 * cluster), cluster)
  for (let i = 0; i < 4; i++) file.writeUInt16BE(1, 2 * cluster + 2 * i)
  return file
}

/** Adds a header extension to a version 3 file that has none. */
export function withExtension(file: Buffer, type: number, data: string): Buffer {
  const changed = Buffer.from(file)
  const at = changed.readUInt32BE(100)
  changed.writeUInt32BE(type, at)
  changed.writeUInt32BE(data.length, at + 4)
  changed.write(data, at + 8, 'latin1')
  return changed
}
