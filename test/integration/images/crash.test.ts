import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
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

/** Starts the service; `latest` follows what it says. */
function started(): { child: ChildProcess; latest: () => ImageState | undefined } {
  const program = join(import.meta.dirname, 'service-process.ts')
  const service = spawn(process.execPath, [program, directory, JSON.stringify(request())], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let latest: ImageState | undefined
  createInterface({ input: service.stdout }).on('line', (line) => {
    latest = JSON.parse(line) as ImageState
  })
  child = service
  return { child: service, latest: () => latest }
}

async function killed(): Promise<void> {
  const victim = child
  child = undefined
  if (!victim || victim.exitCode !== null || victim.signalCode !== null) return
  const exit = once(victim, 'exit')
  victim.kill('SIGKILL')
  await exit
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(2)
}

/** Whatever was killed where: what lies under the name of a digest has that digest. */
async function checkStore(): Promise<void> {
  for (const name of await readdir(join(directory, 'sha256')).catch(() => [])) {
    if (!name.endsWith('.tmp')) expect(sha256(await readFile(join(directory, 'sha256', name)))).toBe(name)
  }
}

const isReady = (state: ImageState | undefined) => state?.state === 'Ready'

test('after kill -9 in the middle a new process goes on where it was made durable, with less than the whole sent again', async () => {
  server.behave = (index) => (index === 0 ? { rate: size / 4 } : {})
  const first = started()
  await until(() => {
    const state = first.latest()
    return state?.state === 'Fetching' && state.received > size / 2
  })
  await killed()
  await checkStore()
  const before = server.bytesSent
  const second = started()
  await until(() => isReady(second.latest()))
  expect(second.latest()).toMatchObject({ image: { digest: sha256(server.content), storedSize: size } })
  const again = server.bytesSent - before
  expect(server.requests[1]?.headers.range).toMatch(/^bytes=[1-9]/)
  expect(again).toBeGreaterThan(0)
  expect(again).toBeLessThan((size * 3) / 4)
})

test.each([0, 0.2, 0.6, 0.9, 0.99, 1])(
  'kill -9 after %d of the bytes, then again and again at the end, leaves no wrong content, and the image comes',
  async (fraction) => {
    server.behave = () => ({ rate: size * 2 })
    started()
    await until(() => server.requests.length > 0 && server.bytesSent >= size * fraction)
    await killed()
    await checkStore()
    // Around the moments of verifying and of giving the content its place, each time as early as it can be seen.
    for (const moment of ['Verifying', 'Verifying', 'Ready']) {
      const { latest } = started()
      await until(() => latest()?.state === moment || isReady(latest()))
      await killed()
      await checkStore()
    }
    const last = started()
    await until(() => isReady(last.latest()))
    await killed()
    await checkStore()
    expect(await readdir(join(directory, 'sha256'))).toEqual([sha256(server.content)])
    expect(await readdir(join(directory, 'partial'))).toEqual([])
  },
)

test('a second process cannot open the store while the first lives, and can at once when that was killed', async () => {
  server.behave = () => ({ stallAfter: 1024 })
  const first = started()
  await until(() => first.latest() !== undefined)
  await expect(createImageService({ directory })).rejects.toThrow(`pid ${first.child.pid}`)
  await killed()
  const second = await createImageService({ directory })
  await second.close()
})
