import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SparseBytes } from './sparse-bytes.ts'

const size = 200_000

test('holds what was written, as a plain buffer does, and so does a copy', () => {
  const write = fc.record({ offset: fc.nat(size), length: fc.nat(70_000), fill: fc.constantFrom(0, 1, 2) })
  fc.assert(
    fc.property(fc.array(write, { maxLength: 6 }), fc.nat(6), fc.nat(size), (writes, copiedAfter, offset) => {
      const [disk, plain] = [new SparseBytes(size), Buffer.alloc(size)]
      let copy: [SparseBytes, Buffer] | undefined
      for (const [index, { offset, length, fill }] of writes.entries()) {
        if (index === copiedAfter) {
          const other = new SparseBytes(size)
          other.overlay(disk)
          copy = [other, Buffer.from(plain)]
        }
        const data = Buffer.alloc(Math.min(length, size - offset), fill)
        disk.write(offset, data)
        data.copy(plain, offset)
      }
      expect(disk.read(0, size).equals(plain)).toBe(true)
      expect(disk.read(offset, 1000).equals(plain.subarray(offset, offset + 1000))).toBe(true)
      if (copy) expect(copy[0].read(0, size).equals(copy[1])).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('keeps no zeroes', () => {
  const disk = new SparseBytes(1024 ** 4)
  disk.write(1024 ** 3, Buffer.alloc(1024 ** 2))
  expect(disk.allocated).toBe(0)
  disk.write(1024 ** 4 - 1, Buffer.from([1]))
  expect(disk.allocated).toBeLessThanOrEqual(65_536)
  disk.write(1024 ** 4 - 1, Buffer.from([0]))
  expect(disk.allocated).toBe(0)
})

test('is not written beyond its end, nor made smaller', () => {
  const disk = new SparseBytes(10)
  expect(() => disk.write(5, Buffer.alloc(6))).toThrow(RangeError)
  expect(() => disk.resize(9)).toThrow(RangeError)
})
