import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ImageError } from '../failure.ts'
import { qcow2, withExtension } from '../testing/content.ts'
import { parseQcow2 } from './qcow2.ts'

const maximum = 2 ** 44
const parse = (file: Buffer, fileSize = file.length) => parseQcow2(file, fileSize, maximum)

function changed(change: (file: Buffer) => void, file = qcow2()): Buffer {
  change(file)
  return file
}

const all =
  (...changes: ((file: Buffer) => void)[]) =>
  (file: Buffer) => {
    for (const change of changes) change(file)
  }
const u8 = (at: number, value: number) => (file: Buffer) => file.writeUInt8(value, at)
const u32 = (at: number, value: number) => (file: Buffer) => file.writeUInt32BE(value, at)
const u64 = (at: number, value: bigint) => (file: Buffer) => file.writeBigUInt64BE(value, at)

describe('sound headers', () => {
  test.each([
    [2, 9],
    [2, 16],
    [3, 12],
    [3, 16],
    [3, 21],
  ] as const)('version %d with clusters of 2^%d bytes', (version, clusterBits) => {
    const file = qcow2({ version, clusterBits, virtualSize: 10n * 2n ** 20n })
    expect(parse(file)).toEqual({ version, clusterSize: 2 ** clusterBits, virtualSize: 10 * 2 ** 20 })
  })

  test('zstd compression and extended L2 entries, which QEMU knows since 5.2', () => {
    const zstd = changed(all(u64(72, 1n << 3n), u8(104, 1)))
    expect(parse(zstd).version).toBe(3)
    // Their entries are twice as large, so the L1 table has twice as many.
    expect(parse(changed(all(u64(72, 1n << 4n), u32(36, 4))), 3 * 65536 + 32).version).toBe(3)
    expect(() => parse(changed(u64(72, 1n << 4n)))).toThrow('L1 table')
  })

  test('extensions that are only informative', () => {
    expect(parse(withExtension(qcow2(), 0x6803f857, 'names of features')).version).toBe(3)
    expect(parse(withExtension(qcow2(), 0x12345678, 'unknown')).version).toBe(3)
  })
})

describe('what could lead a reader to other files is UnsafeFormat', () => {
  test.each([
    ['a backing file', changed(all(u64(8, 512n), u32(16, 11), (f) => f.write('/etc/shadow', 512)))],
    ['a backing file of no length', changed(u64(8, 512n))],
    ['a backing file in version 2', changed(u64(8, 512n), qcow2({ version: 2 }))],
    ['names the format of a backing file', withExtension(qcow2(), 0xe2792aca, 'raw')],
    ['an external data file', changed(u64(72, 1n << 2n))],
    ['names an external data file', withExtension(qcow2(), 0x44415441, 'json:{"file":"x"}')],
  ])('%s', (what, file) => {
    expect(() => parse(file)).toThrow(expect.objectContaining({ failure: 'UnsafeFormat' }))
    expect(() => parse(file)).toThrow(what.replace(/ of no length| in version 2/, ''))
  })
})

describe('what is absurd, broken or unreadable is UnsafeFormat', () => {
  test.each([
    ['cut within the header', qcow2().subarray(0, 60)],
    ['cut within the header of version 3', qcow2().subarray(0, 100)],
    ['version 4', changed(u32(4, 4))],
    ['encryption', changed(u32(32, 1))],
    ['the header extension of LUKS', withExtension(qcow2(), 0x0537be77, 'x'.repeat(16))],
    ['an unknown incompatible feature', changed(u64(72, 1n << 40n))],
    ['the dirty bit', changed(u64(72, 1n))],
    ['the corrupt bit', changed(u64(72, 2n))],
    ['clusters too small', changed(u32(20, 8))],
    ['clusters too large', changed(u32(20, 22))],
    ['a refcount order of 7', changed(u32(96, 7))],
    ['a header length beyond the cluster', changed(u32(100, 0x10000 + 8))],
    ['a header length that is not a multiple of 8', changed(u32(100, 110))],
    ['a header length that is too short', changed(u32(100, 72))],
    ['an unknown compression', changed(all(u64(72, 1n << 3n), u8(104, 9)))],
    ['a compression without its feature bit', changed(u8(104, 1))],
    ['an extension longer than the header', changed(all(u32(112, 0x12345678), u32(116, 0xffffffff)))],
    ['no size', changed(u64(24, 0n))],
    ['an L1 table too short for the disk', changed(u32(36, 1))],
    ['an L1 table of 32 GiB', changed(u32(36, 0xffffffff))],
    ['an L1 table behind the end', changed(u64(40, 1n << 50n))],
    ['an L1 table that is not aligned', changed(u64(40, 0x10001n))],
    ['an L1 table over the header', changed(u64(40, 0n))],
    ['no refcount table', changed(u32(56, 0))],
    ['a refcount table of gigabytes', changed(u32(56, 0xffff))],
    ['a refcount table behind the end', changed(u64(48, 1n << 62n))],
    ['too many snapshots', changed(u32(60, 65537))],
    ['a snapshot table behind the end', changed(all(u32(60, 1), u64(64, 1n << 40n)))],
  ])('%s', (_what, file) => {
    expect(() => parse(file)).toThrow(expect.objectContaining({ failure: 'UnsafeFormat' }))
  })

  test('a file that is cut before its tables', () => {
    expect(() => parse(qcow2(), 3 * 65536)).toThrow('it may be cut')
  })

  test('a disk of exabytes is TooLarge', () => {
    expect(() => parse(changed(u64(24, 1n << 62n)))).toThrow(expect.objectContaining({ failure: 'TooLarge' }))
  })
})

/** Reads what matters from the bytes by itself, so that a mistake of the parser is not repeated here. */
function couldHarm(file: Buffer): boolean {
  const features = file.readUInt32BE(4) === 3 ? file.readBigUInt64BE(72) : 0n
  return (
    file.readBigUInt64BE(8) !== 0n ||
    file.readUInt32BE(32) !== 0 ||
    (features & ~0b11000n) !== 0n ||
    file.readBigUInt64BE(24) > BigInt(maximum) ||
    file.readUInt32BE(36) > 4 * 1024 * 1024
  )
}

describe('whatever the bytes are', () => {
  const bases = [qcow2(), qcow2({ version: 2 }), qcow2({ clusterBits: 9, virtualSize: 1n << 20n })]
  const mutation = fc.record({ at: fc.nat(199), value: fc.nat(255) })

  test('the parser ends with a header or an ImageError, and accepts nothing that could harm', () => {
    let accepted = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...bases),
        fc.array(mutation, { maxLength: 6 }),
        fc.nat(200_000),
        (base, list, size) => {
          const file = Buffer.from(base)
          for (const { at, value } of list) file[at] = value
          const head = size < 200 ? file.subarray(0, size) : file
          try {
            const header = parse(head, file.length)
            accepted++
            expect(couldHarm(file)).toBe(false)
            expect(header.virtualSize).toBe(Number(file.readBigUInt64BE(24)))
          } catch (error) {
            if (!(error instanceof ImageError)) throw error
          }
        },
      ),
      { numRuns: 5000 },
    )
    expect(accepted).toBeGreaterThan(100) // else the property would say nothing
  })

  test('a backing file is refused, whatever else is changed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...bases),
        fc.array(mutation, { maxLength: 20 }),
        fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
        (base, list, offset) => {
          const file = Buffer.from(base)
          for (const { at, value } of list) file[at] = value
          file.writeBigUInt64BE(offset, 8)
          expect(() => parse(file)).toThrow(ImageError)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('random bytes never make it crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const head = Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), bytes])
        expect(() => parse(head)).toThrow(ImageError)
      }),
    )
  })
})
