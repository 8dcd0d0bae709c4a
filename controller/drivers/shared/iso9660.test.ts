import { describe, expect, test } from '@jest/globals'
import { isoImage } from './iso9660.ts'

const files = { 'user-data': '#cloud-config\n', 'meta-data': 'instance-id: x\n', 'network-config': 'version: 2\n' }

/** Reads the directory as a system does that follows Rock Ridge, or Joliet; ECMA-119 §9.1. */
function readDirectory(image: Buffer, naming: 'RockRidge' | 'Joliet'): Record<string, string> {
  const descriptor = image.subarray((naming === 'RockRidge' ? 16 : 17) * 2048)
  const root = descriptor.readUInt32LE(156 + 2) * 2048
  const found: Record<string, string> = {}
  for (let at = root; (image[at] ?? 0) > 0; at += image[at] ?? 0) {
    const record = image.subarray(at, at + (image[at] ?? 0))
    const identifier = record.subarray(33, 33 + (record[32] ?? 0))
    if (identifier.length === 1 && (identifier[0] ?? 0) < 2) continue
    const name =
      naming === 'Joliet'
        ? Buffer.from(identifier).swap16().toString('utf16le')
        : rockRidgeName(record.subarray(33 + identifier.length + (identifier.length % 2 === 0 ? 1 : 0)))
    const start = record.readUInt32LE(2) * 2048
    found[name] = image.subarray(start, start + record.readUInt32LE(10)).toString()
  }
  return found
}

function rockRidgeName(systemUse: Buffer): string {
  for (let at = 0; at + 4 <= systemUse.length; at += systemUse[at + 2] ?? systemUse.length) {
    const entry = systemUse.subarray(at, at + (systemUse[at + 2] ?? 0))
    if (entry.toString('latin1', 0, 2) === 'NM') return entry.toString('latin1', 5)
  }
  return ''
}

describe('seed images', () => {
  test.each(['RockRidge', 'Joliet'] as const)('cloud-init finds the files by their exact names (%s)', (naming) => {
    expect(readDirectory(isoImage('cidata', files), naming)).toEqual(files)
  })

  test('it is found by its label', () => {
    const image = isoImage('cidata', files)
    expect(image.toString('latin1', 16 * 2048 + 1, 16 * 2048 + 6)).toBe('CD001')
    expect(image.toString('latin1', 16 * 2048 + 40, 16 * 2048 + 72).trimEnd()).toBe('cidata')
    // BusyBox's findfs reads 34 sectors at once, and finds nothing on a shorter device.
    expect(image.length).toBeGreaterThanOrEqual(34 * 2048)
    expect(image.length).toBeGreaterThanOrEqual(image.readUInt32LE(16 * 2048 + 80) * 2048)
  })

  test('equal files give equal images, in whatever order they come', () => {
    const reversed = Object.fromEntries(Object.entries(files).reverse())
    expect(isoImage('cidata', reversed).equals(isoImage('cidata', files))).toBe(true)
  })

  test('content of any size is kept: none, just a sector, more than one, and more than bytes', () => {
    const sizes = { a: '', b: 'x'.repeat(2048), c: 'y'.repeat(2049), d: 'ä€😀'.repeat(5000) }
    expect(readDirectory(isoImage('cidata', sizes), 'RockRidge')).toEqual(sizes)
    expect(readDirectory(isoImage('cidata', sizes), 'Joliet')).toEqual(sizes)
  })

  test.each(['', '../x', 'User-Data', 'a_b', 'a/b', 'x'.repeat(28)])('no file can be called %j', (name) => {
    expect(() => isoImage('cidata', { [name]: '' })).toThrow(RangeError)
  })

  test('more files than a directory’s sector holds are refused', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`file-${index}`, '']))
    expect(() => isoImage('cidata', many)).toThrow(RangeError)
  })
})
