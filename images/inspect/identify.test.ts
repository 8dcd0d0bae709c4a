import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { qcow2, rawDisk } from '../testing/content.ts'
import { inspect } from './inspect.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-inspect-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

async function inspected(content: Buffer, format?: 'qcow2' | 'raw') {
  const path = join(directory, 'file')
  await writeFile(path, content)
  return inspect(path, {
    format,
    maximumVirtualSize: 2 ** 40,
    inspector: async () => 2 ** 30,
    signal: new AbortController().signal,
  })
}

function file(at: number, magic: string, size = 64 * 1024): Buffer {
  const content = Buffer.alloc(size)
  content.write(magic, at < 0 ? size + at : at, 'latin1')
  return content
}

const foreign: [string, Buffer][] = [
  ['a VMDK disk', file(0, 'KDMV')],
  ['a VMDK descriptor', file(0, '# Disk DescriptorFile\n')],
  ['a VDI disk', file(64, '\x7f\x10\xda\xbe')],
  ['a VHDX disk', file(0, 'vhdxfile')],
  ['a VHD disk', file(0, 'conectix')],
  ['a VHD disk of fixed size', file(-512, 'conectix')],
  ['a QED disk', file(0, 'QED\0')],
  ['gzip-compressed', file(0, '\x1f\x8b')],
  ['xz-compressed', file(0, '\xfd7zXZ\0')],
  ['zstd-compressed', file(0, '\x28\xb5\x2f\xfd')],
  ['a tar archive (an OVA is one)', file(257, 'ustar')],
  ['a qcow disk of version 1', file(0, 'QFI\xfb\0\0\0\x01')],
  ['a web page or XML text', Buffer.from('\n<!DOCTYPE html><title>Log in</title>')],
  ['a web page or XML text', Buffer.from('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')],
]

describe('other formats are refused by name, also when called raw', () => {
  test.each(foreign)('%s', async (name, content) => {
    for (const format of [undefined, 'qcow2', 'raw'] as const) {
      await expect(inspected(content, format)).rejects.toMatchObject({
        failure: 'InvalidConfiguration',
        message: expect.stringContaining(`the file is ${name}: accepted are qcow2 and raw`),
      })
    }
  })
})

describe('what may also be meant as the bytes of a disk is taken when that is said', () => {
  test.each([
    ['an ISO 9660 image', file(32769, 'CD001')],
    ['a LUKS-encrypted disk', file(0, 'LUKS\xba\xbe')],
  ])('%s', async (name, content) => {
    await expect(inspected(content)).rejects.toThrow(`${name}: accepted`)
    await expect(inspected(content)).rejects.toThrow('set format: Raw')
    await expect(inspected(content, 'raw')).resolves.toEqual({ format: 'raw', virtualSize: content.length })
  })
})

describe('raw', () => {
  test('a boot sector or a GPT (also of 4096-byte sectors) is taken for a raw disk', async () => {
    for (const content of [rawDisk(4096), file(512, 'EFI PART'), file(4096, 'EFI PART')]) {
      await expect(inspected(content)).resolves.toMatchObject({ format: 'raw' })
    }
  })

  test('anything else is so only when that is said', async () => {
    const content = Buffer.from('just some bytes')
    await expect(inspected(content)).rejects.toMatchObject({
      failure: 'InvalidConfiguration',
      message: expect.stringContaining('set format: Raw'),
    })
    await expect(inspected(content, 'raw')).resolves.toEqual({ format: 'raw', virtualSize: 512 })
  })

  test('is not qcow2, and qcow2 is not raw', async () => {
    await expect(inspected(rawDisk(4096), 'qcow2')).rejects.toMatchObject({ failure: 'InvalidConfiguration' })
    await expect(inspected(qcow2(), 'raw')).rejects.toMatchObject({ failure: 'InvalidConfiguration' })
    await expect(inspected(qcow2(), 'qcow2')).resolves.toEqual({ format: 'qcow2', virtualSize: 2 ** 30 })
  })

  test('an empty file is nothing', async () => {
    await expect(inspected(Buffer.alloc(0), 'raw')).rejects.toMatchObject({ failure: 'InvalidConfiguration' })
  })
})
