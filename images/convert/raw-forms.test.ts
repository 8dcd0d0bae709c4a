import { mkdtemp, readdir, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Space } from '../store/space.ts'
import { Store } from '../store/store.ts'
import { qcow2, sha256 } from '../testing/content.ts'
import { type DiskConverter, RawForms } from './raw-forms.ts'

const { signal } = new AbortController()
const virtualSize = 1024 * 1024
const disk = Buffer.alloc(virtualSize, 5)
const image = qcow2({ virtualSize: BigInt(virtualSize) })
const digest = sha256(image)
let directory: string
let conversions: number

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-raw-'))
  conversions = 0
})
afterEach(() => rm(directory, { recursive: true }))

const written: DiskConverter = async (_, target) => {
  conversions++
  await writeFile(target, disk)
}

async function formsWith(convert: DiskConverter, reserved = 0): Promise<RawForms> {
  const store = new Store(directory)
  await store.prepare()
  await writeFile(store.blobPath(digest), image)
  return new RawForms(store, new Space(directory, reserved), convert, 2 ** 40)
}
const files = () => readdir(join(directory, 'sha256'))

describe('the raw form of a stored image', () => {
  test('is made once for all who use it at a time, and anew for who comes later', async () => {
    const forms = await formsWith(written)
    const users = await Promise.all([1, 2, 3].map(() => forms.open(digest, signal)))
    expect(conversions).toBe(1)
    for (const user of users) expect(user).toMatchObject({ length: virtualSize, digest: sha256(disk) })
    await Promise.all(users.map((user) => user.close()))
    expect(await files()).toEqual([digest])
    await (await forms.open(digest, signal)).close()
    expect(conversions).toBe(2)
  })

  test('leaves nothing when it cannot be made, and is tried again by the next', async () => {
    let fails = true
    const forms = await formsWith(async (source, target, length, abort) => {
      await written(source, target, length, abort)
      if (fails) throw new Error('no')
    })
    await expect(forms.open(digest, signal)).rejects.toThrow('no')
    expect(await files()).toEqual([digest])
    fails = false
    await (await forms.open(digest, signal)).close()
  })

  test('of another length than the header says is refused', async () => {
    const forms = await formsWith(async (...args) => {
      await written(...args)
      await truncate(args[1], virtualSize - 512)
    })
    await expect(forms.open(digest, signal)).rejects.toMatchObject({ failure: 'UnsafeFormat' })
    expect(await files()).toEqual([digest])
  })

  test('is not begun where the store has no room for it', async () => {
    const { bavail, bsize } = await statfs(directory)
    const forms = await formsWith(written, bavail * bsize)
    await expect(forms.open(digest, signal)).rejects.toMatchObject({ failure: 'StoreFull' })
    expect(conversions).toBe(0)
  })

  test('of what is not stored is NotFound', async () => {
    const forms = await formsWith(written)
    await expect(forms.open('f'.repeat(64), signal)).rejects.toMatchObject({ failure: 'NotFound' })
  })

  test('left by a crash is swept', async () => {
    await (await formsWith(written)).open(digest, signal)
    await stat(join(directory, 'sha256', `${digest}.raw`))
    await new Store(directory).sweep(new Map(), new Set([digest]))
    expect(await files()).toEqual([digest])
  })
})
