import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { createImageService, type FetchRequest, type ImageState } from '../../../images/index.ts'
import { rawDisk, sha256 } from '../../../images/testing/content.ts'
import { FileServer } from '../../../images/testing/file-server.ts'

jest.setTimeout(60_000)

const size = 8 * 1024 * 1024
let directory: string
let server: FileServer
let child: ChildProcess | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-images-crash-'))
  server = new FileServer(rawDisk(size))
  await server.listen()
})

afterEach(async () => {
  await killed()
  await server.close()
  await rm(directory, { recursive: true, force: true })
})

function request(): FetchRequest {
  return { id: 'a', source: { url: server.url(), checksum: `sha256:${sha256(server.content)}` } }
}

function started(): ChildProcess {
  const program = join(import.meta.dirname, 'service-process.ts')
  child = spawn(process.execPath, [program, directory, JSON.stringify(request())], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return child
}

async function killed(): Promise<void> {
  const victim = child
  child = undefined
  if (!victim || victim.exitCode !== null || victim.signalCode !== null) return
  const exit = once(victim, 'exit')
  victim.kill('SIGKILL')
  await exit
}

async function stateWhere(process: ChildProcess, condition: (state: ImageState) => boolean): Promise<ImageState> {
  if (!process.stdout) throw new Error('no output')
  for await (const line of createInterface({ input: process.stdout })) {
    const state = JSON.parse(line) as ImageState
    if (condition(state)) return state
  }
  throw new Error('the service ended')
}

/** Whatever was killed where: what lies under the name of a digest has that digest. */
async function checkStore(): Promise<void> {
  for (const name of await readdir(join(directory, 'sha256')).catch(() => [])) {
    if (!name.endsWith('.tmp')) expect(sha256(await readFile(join(directory, 'sha256', name)))).toBe(name)
  }
}

test('after kill -9 in the middle a new process goes on where it was made durable, with less than the whole sent again', async () => {
  server.behave = (index) => (index === 0 ? { rate: size / 4 } : {})
  await stateWhere(started(), (state) => state.state === 'Fetching' && state.received > size / 2)
  await killed()
  await checkStore()
  const before = server.bytesSent
  expect(await stateWhere(started(), (state) => state.state === 'Ready')).toMatchObject({
    image: { digest: sha256(server.content), storedSize: size },
  })
  const again = server.bytesSent - before
  expect(server.requests[1]?.headers.range).toMatch(/^bytes=[1-9]/)
  expect(again).toBeGreaterThan(0)
  expect(again).toBeLessThan((size * 3) / 4)
})

test('kill -9 at many moments never leaves a wrong content, and the image comes in the end', async () => {
  server.behave = () => ({ rate: size * 2 })
  for (let round = 0; round < 12; round++) {
    const process = started()
    // Later with each round: while loading, receiving, verifying, publishing, and after.
    const bytes = (size * round) / 10
    await stateWhere(process, (state) => state.state !== 'Fetching' || state.received >= Math.min(bytes, size / 2))
    const until = server.bytesSent + bytes / 8
    while (server.bytesSent < until && process.exitCode === null) {
      const state = await Promise.race([
        stateWhere(process, (s) => s.state === 'Ready').catch(() => undefined),
        new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined))),
      ])
      if (state) break
    }
    await killed()
    await checkStore()
  }
  expect(await stateWhere(started(), (state) => state.state === 'Ready')).toMatchObject({ state: 'Ready' })
  await killed()
  await checkStore()
  expect(await readdir(join(directory, 'sha256'))).toEqual([sha256(server.content)])
})

test('a second process cannot open the store while the first lives, and can at once when that was killed', async () => {
  server.behave = () => ({ stallAfter: 1024 })
  const first = started()
  await stateWhere(first, (state) => state.state === 'Fetching')
  await expect(createImageService({ directory })).rejects.toThrow(`pid ${first.pid}`)
  await killed()
  const second = await createImageService({ directory })
  await second.close()
})
