import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { ImageServiceOptions } from './options.ts'
import type { FetchRequest, ImageService, ImageState } from './port.ts'
import { createImageService } from './service.ts'
import { qcow2, rawDisk, sha256, sha512 } from './testing/content.ts'
import { type Behaviour, FileServer } from './testing/file-server.ts'
import { settled, stateWhere } from './testing/until.ts'

const size = 1024 * 1024
let directory: string
let server: FileServer
let service: ImageService | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-images-'))
  server = new FileServer(rawDisk(size))
  await server.listen()
})

afterEach(async () => {
  await service?.close()
  service = undefined
  await server.close()
  await rm(directory, { recursive: true, force: true })
})

async function start(options: Partial<ImageServiceOptions> = {}): Promise<ImageService> {
  service = await createImageService({
    directory,
    ...options,
    limits: { reservedSpace: 0, ...options.limits },
    retry: { base: 1, maximum: 20, ...options.retry },
  })
  return service
}

function request(source: Partial<FetchRequest['source']> = {}, rest: Partial<FetchRequest> = {}): FetchRequest {
  return {
    id: 'a',
    source: { url: server.url(), checksum: `sha256:${sha256(server.content)}`, ...source },
    ...rest,
  }
}

async function fetched(options: Partial<ImageServiceOptions> = {}, wanted = request()): Promise<ImageState> {
  const running = service ?? (await start(options))
  await running.ensure(wanted)
  return settled(running, wanted.id)
}

async function contentOf(digest: string, range?: { start?: number; end?: number }): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of (service as ImageService).open(digest, range)) pieces.push(piece)
  return Buffer.concat(pieces)
}

const waived = (rest: Partial<FetchRequest> = {}): FetchRequest => ({ id: 'a', source: { url: server.url() }, ...rest })
const blobs = () => readdir(join(directory, 'sha256'))
const partials = () => readdir(join(directory, 'partial'))

describe('a fetch without trouble', () => {
  test('stores the very bytes under their sha256 and leaves nothing else', async () => {
    const digest = sha256(server.content)
    expect(await fetched()).toEqual({
      state: 'Ready',
      image: { digest, format: 'raw', virtualSize: size, storedSize: size, checksum: 'Matches' },
    })
    expect(sha256(await readFile(join(directory, 'sha256', digest)))).toBe(digest)
    expect(await blobs()).toEqual([digest])
    expect(await partials()).toEqual([])
    expect(server.requests).toHaveLength(1)
  })

  test('verifies sha512 as well, and stores by sha256 nevertheless', async () => {
    const state = await fetched({}, request({ checksum: `sha512:${sha512(server.content)}` }))
    expect(state).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content), checksum: 'Matches' } })
  })

  test('says that a checksum was waived', async () => {
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { checksum: 'Waived' } })
  })

  test('takes the virtual size of a qcow2 file from its header, if the inspector agrees', async () => {
    server.content = qcow2({ virtualSize: 5n << 30n })
    const state = await fetched({ inspector: async () => 5 * 1024 ** 3 })
    expect(state).toMatchObject({ state: 'Ready', image: { format: 'qcow2', virtualSize: 5 * 1024 ** 3 } })
  })

  test('does not trust a qcow2 file of which two readers see different sizes', async () => {
    server.content = qcow2()
    expect(await fetched({ inspector: async () => 512 })).toMatchObject({ state: 'Failed', failure: 'UnsafeFormat' })
  })

  test('shows progress that rises to the total, and tells of it at most once a second', async () => {
    server.behave = () => ({ rate: 2 * size })
    const running = await start()
    const seen: number[] = []
    let told = 0
    running.onChange(() => {
      told++
    })
    await running.ensure(request())
    while ((await running.state('a'))?.state === 'Fetching') {
      const state = await running.state('a')
      if (state?.state === 'Fetching' && state.received !== seen.at(-1)) seen.push(state.received)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await settled(running, 'a')
    expect(seen.length).toBeGreaterThan(5)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    // begun, Verifying, Ready, and the few seconds that it took
    expect(told).toBeLessThanOrEqual(7)
  })

  test('the same request again changes nothing; another source starts anew and lets go of the old content', async () => {
    await fetched()
    expect(await (service as ImageService).ensure(request())).toMatchObject({ state: 'Ready' })
    expect(server.requests).toHaveLength(1)
    const old = sha256(server.content)
    server.content = rawDisk(size)
    expect(await fetched({}, request({ url: server.url('/other.img') }))).toMatchObject({ state: 'Ready' })
    expect(await blobs()).toEqual([sha256(server.content)])
    expect(old).not.toBe(sha256(server.content))
  })
})

describe('a connection that is cut', () => {
  test.each([1, 50, 99])('at %d %% is resumed where it was', async (percent) => {
    const cutAfter = Math.floor((size * percent) / 100)
    server.behave = (index) => (index === 0 ? { cutAfter } : {})
    expect(await fetched()).toMatchObject({ state: 'Ready', image: { storedSize: size } })
    const resumed = server.requests[1]?.headers
    const from = Number(/^bytes=(\d+)-$/.exec(resumed?.range ?? '')?.[1] ?? 0)
    // The HTTP client drops what it still has in its own buffer when a connection is cut.
    expect(from).toBeGreaterThanOrEqual(Math.max(0, cutAfter - 128 * 1024))
    expect(from).toBeLessThanOrEqual(cutAfter)
    if (from > 0) expect(resumed?.['if-range']).toBe('"v1"')
    expect(server.bytesSent).toBeLessThanOrEqual(size + 128 * 1024)
  })

  test('is resumed by Last-Modified when there is no entity tag', async () => {
    server.etag = undefined
    server.lastModified = 'Wed, 01 Jan 2020 00:00:00 GMT'
    server.behave = (index) => (index === 0 ? { cutAfter: size / 2 } : {})
    expect(await fetched()).toMatchObject({ state: 'Ready' })
    expect(server.requests[1]?.headers['if-range']).toBe(server.lastModified)
  })

  test('is begun anew when a server ignores ranges', async () => {
    server.behave = (index) => (index === 0 ? { cutAfter: size / 2 } : { ignoreRange: true })
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
  })

  test('is begun anew without a validator: what follows may be of another version', async () => {
    server.etag = undefined
    server.behave = (index) => (index === 0 ? { cutAfter: size / 2 } : {})
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
    expect(server.requests[1]?.headers.range).toBeUndefined()
  })

  test('never joins two versions when the content changed meanwhile', async () => {
    const second = rawDisk(size + 4096)
    server.behave = (index) => {
      if (index === 0) return { cutAfter: size / 2 }
      server.content = second
      server.etag = '"v2"'
      return {}
    }
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(second) } })
  })

  test('is begun anew when a server goes on from another place than asked', async () => {
    server.behave = (index) => [{ cutAfter: size / 2 }, { shiftRange: 7 }][index] ?? {}
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
    expect(server.requests[2]?.headers.range).toBeUndefined()
  })

  test('is begun anew when a changed server answers a range under another entity tag', async () => {
    server.behave = (index) => [{ cutAfter: size / 2 }, { headers: { etag: '"v2"' } }][index] ?? {}
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
    expect(server.requests).toHaveLength(3)
  })

  test('is fetched once more as a whole when the pieces do not match the checksum', async () => {
    const good = server.content
    const other = rawDisk(size)
    server.content = other // under the same entity tag: a careless mirror
    server.behave = (index) => {
      if (index > 0) server.content = good
      return index === 0 ? { cutAfter: size / 2 } : {}
    }
    expect(await fetched({}, request({ checksum: `sha256:${sha256(good)}` }))).toMatchObject({ state: 'Ready' })
    expect(server.requests).toHaveLength(3)
  })

  test('is never taken for the end of a body whose length was not announced', async () => {
    server.behave = (index) => (index === 0 ? { framing: 'chunked', cutAfter: size / 2 } : { framing: 'chunked' })
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
  })

  test('is noticed by the checksum where only the end of the connection ends the body', async () => {
    server.behave = (index) => ({ framing: 'close', ...(index === 0 ? { cutAfter: size / 2 } : {}) })
    expect(await fetched()).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
  })

  test('cannot be noticed without checksum and length, so that is refused', async () => {
    server.behave = () => ({ framing: 'close' })
    expect(await fetched({}, waived())).toMatchObject({
      state: 'Failed',
      failure: 'InvalidConfiguration',
      message: expect.stringContaining('set checksum'),
    })
  })

  test('a body shorter than announced is not accepted', async () => {
    server.behave = (index) => (index === 0 ? { announce: size + 1000, cutAfter: size } : {})
    expect(await fetched({}, waived())).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
    expect(server.requests.length).toBeGreaterThan(1)
  })
})

describe('a server that fails for a while', () => {
  test.each([500, 502, 503, 429, 408, 416])('HTTP %d is tried again, and says so meanwhile', async (status) => {
    server.behave = (index) => (index < 2 ? { status } : {})
    const running = await start()
    const seen = stateWhere(running, 'a', (state) => state.state === 'Fetching' && state.retrying !== undefined)
    await running.ensure(request())
    expect(await settled(running, 'a')).toMatchObject({ state: 'Ready' })
    expect(server.requests).toHaveLength(3)
    expect(await seen).toBeDefined()
  })

  test('the state stays Fetching, with the reason', async () => {
    server.behave = () => ({ status: 503 })
    const running = await start({ retry: { base: 60_000, maximum: 60_000 } })
    await running.ensure(request())
    const state = await stateWhere(running, 'a', (s) => s.state === 'Fetching' && s.retrying !== undefined)
    expect(state).toMatchObject({ state: 'Fetching', retrying: expect.stringContaining('HTTP 503') })
  })

  test('Retry-After is respected, up to the longest wait', async () => {
    const times: number[] = []
    server.behave = (index) => {
      times.push(performance.now())
      return index === 0 ? { status: 503, headers: { 'retry-after': '3600' } } : {}
    }
    expect(await fetched({ retry: { base: 1, maximum: 150 } })).toMatchObject({ state: 'Ready' })
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(140)
  })

  test('one that never answers is left and asked again', async () => {
    server.behave = (index) => (index === 0 ? { hang: true } : {})
    expect(await fetched({ limits: { responseTimeout: 50 } })).toMatchObject({ state: 'Ready' })
  })

  test('one that stops in the middle is left, and resumed', async () => {
    server.behave = (index) => (index === 0 ? { stallAfter: size / 2 } : {})
    expect(await fetched({ limits: { rateWindow: 100 } })).toMatchObject({ state: 'Ready' })
    expect(server.requests[1]?.headers.range).toBeDefined()
  })

  test('one that drips is left, and resumed', async () => {
    server.behave = (index) => (index === 0 ? { rate: 500 } : {})
    const running = await start({ limits: { rateWindow: 200, minimumRate: 100_000 } })
    const seen = stateWhere(running, 'a', (s) => s.state === 'Fetching' && s.retrying !== undefined)
    await running.ensure(request())
    expect(await seen).toMatchObject({ retrying: expect.stringContaining('sends less than 100000 bytes a second') })
    expect(await settled(running, 'a')).toMatchObject({ state: 'Ready' })
  })

  test('one that refuses connections is asked again', async () => {
    const { port } = server
    await server.close()
    const running = await start()
    await running.ensure({ id: 'a', source: { url: `http://127.0.0.1:${port}/x` } })
    const state = await stateWhere(running, 'a', (s) => s.state === 'Fetching' && s.retrying !== undefined)
    expect(state).toMatchObject({ retrying: `127.0.0.1:${port} refuses the connection` })
  })
})

describe('an answer that is final', () => {
  test.each([
    [404, 'NotFound'],
    [410, 'NotFound'],
    [401, 'AccessDenied'],
    [403, 'AccessDenied'],
    [400, 'InvalidConfiguration'],
  ])('HTTP %d is %s, asked for once, and mended by release and ensure', async (status, failure) => {
    server.behave = (index) => (index === 0 ? { status } : {})
    expect(await fetched()).toMatchObject({ state: 'Failed', failure })
    expect(await (service as ImageService).ensure(request())).toMatchObject({ state: 'Failed', failure })
    expect(server.requests).toHaveLength(1)
    await (service as ImageService).release('a')
    expect(await fetched()).toMatchObject({ state: 'Ready' })
  })

  test('a wrong checksum is refused, and nothing is kept', async () => {
    const state = await fetched({}, request({ checksum: `sha256:${'0'.repeat(64)}` }))
    expect(state).toMatchObject({ state: 'Failed', failure: 'ChecksumMismatch' })
    expect(await blobs()).toEqual([])
    expect(await partials()).toEqual([])
    expect(server.requests).toHaveLength(1)
  })

  test('a failure is remembered over a restart, and not tried again by itself', async () => {
    await fetched({}, request({ checksum: `sha256:${'0'.repeat(64)}` }))
    await (service as ImageService).close()
    expect(await (await start()).state('a')).toMatchObject({ state: 'Failed', failure: 'ChecksumMismatch' })
    expect(server.requests).toHaveLength(1)
  })

  test('a file larger than allowed is refused by its announced length, before it is received', async () => {
    server.behave = () => ({ rate: size })
    expect(await fetched({ limits: { maximumSize: size - 1 } })).toMatchObject({ failure: 'TooLarge' })
    expect(server.bytesSent).toBeLessThan(size)
  })

  test('a file larger than allowed is refused though it announces no length', async () => {
    server.behave = () => ({ framing: 'chunked' })
    expect(await fetched({ limits: { maximumSize: size - 1 } })).toMatchObject({ failure: 'TooLarge' })
  })

  test('a disk larger than allowed is refused', async () => {
    expect(await fetched({ limits: { maximumVirtualSize: size - 512 } })).toMatchObject({ failure: 'TooLarge' })
  })

  test('a store without room is StoreFull, and tried again by the same request once there is room', async () => {
    const all = 2 ** 52
    expect(await fetched({ limits: { reservedSpace: all } })).toMatchObject({ state: 'Failed', failure: 'StoreFull' })
    expect(await (service as ImageService).ensure(request())).toMatchObject({ state: 'Failed' })
    await (service as ImageService).close()
    await start()
    expect(await fetched()).toMatchObject({ state: 'Ready' })
  })

  test('a content encoding is not taken for the file', async () => {
    server.behave = () => ({ headers: { 'content-encoding': 'gzip' } })
    expect(await fetched()).toMatchObject({ state: 'Failed', failure: 'InvalidConfiguration' })
  })
})

describe('redirects and addresses', () => {
  test('redirects are followed, also relative ones, with the range', async () => {
    server.behave = (index) => [{ location: '/b' }, { cutAfter: size / 2 }, { location: server.url('/c') }][index] ?? {}
    expect(await fetched()).toMatchObject({ state: 'Ready' })
    expect(server.requests.map(({ path }) => path)).toEqual(['/disk.img', '/b', '/disk.img', '/c'])
    expect(server.requests[3]?.headers.range).toBeDefined()
  })

  test('a redirect loop ends', async () => {
    server.behave = () => ({ location: '/disk.img' })
    expect(await fetched()).toMatchObject({
      state: 'Failed',
      failure: 'InvalidConfiguration',
      message: expect.stringContaining('more than 5 times'),
    })
    expect(server.requests).toHaveLength(6)
  })

  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://[::ffff:169.254.169.254]/',
    'http://2852039166/',
    'http://[fe80::1]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://0.0.0.0/',
    'http://224.0.0.1/',
  ])('neither a source nor a redirect may lead to %s', async (url) => {
    expect(await fetched({}, { id: 'direct', source: { url } })).toMatchObject({ failure: 'SourceForbidden' })
    server.behave = () => ({ location: url })
    expect(await fetched()).toMatchObject({ state: 'Failed', failure: 'SourceForbidden' })
  })

  test('a name is judged by the addresses that it has when the connection is made', async () => {
    const lookup: NonNullable<NonNullable<ImageServiceOptions['addressPolicy']>['lookup']> = (name, _options, done) =>
      done(null, [{ address: name === 'good.test' ? '127.0.0.1' : '169.254.169.254', family: 4 }])
    await start({ addressPolicy: { lookup } })
    const bad = { id: 'bad', source: { url: `http://bad.test:${server.port}/` } }
    expect(await fetched({}, bad)).toMatchObject({
      failure: 'SourceForbidden',
      message: expect.stringContaining('bad.test'),
    })
    expect(await fetched({}, request({ url: `http://good.test:${server.port}/` }))).toMatchObject({ state: 'Ready' })
  })

  test('an administrator may deny more: loopback here', async () => {
    const state = await fetched({ addressPolicy: { denyAddresses: ['127.0.0.0/8'] } })
    expect(state).toMatchObject({ state: 'Failed', failure: 'SourceForbidden' })
    expect(server.requests).toHaveLength(0)
  })

  test.each(['ftp://127.0.0.1/x', 'file:///etc/passwd', 'http://user:geheim@127.0.0.1/x'])(
    'a redirect to %s is refused without repeating secrets',
    async (location) => {
      server.behave = () => ({ location })
      const state = await fetched()
      expect(state).toMatchObject({ state: 'Failed', failure: 'SourceForbidden' })
      expect(JSON.stringify(state)).not.toContain('geheim')
    },
  )
})

describe('what is refused by its own words', () => {
  test.each([
    ['a scheme', { url: 'ftp://example.test/x' }],
    ['no URL', { url: 'disk.img' }],
    ['a password', { url: 'http://user:geheim@example.test/x' }],
    ['a short checksum', { checksum: 'sha256:abc' }],
    ['another checksum', { checksum: `md5:${'0'.repeat(32)}` }],
    ['a CA bundle that holds none', { caBundle: 'none' }],
    ['a CA bundle that is broken', { caBundle: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }],
  ])('%s', async (_what, source) => {
    const state = await fetched({}, request(source))
    expect(state).toMatchObject({ state: 'Failed', failure: 'InvalidConfiguration' })
    expect(JSON.stringify(state)).not.toContain('geheim')
    expect(await readdir(join(directory, 'refs'))).toEqual([])
    expect(server.requests).toHaveLength(0)
  })

  test('an id that cannot be a file name is a mistake of the caller', async () => {
    await expect((await start()).ensure({ ...request(), id: '' })).rejects.toThrow(RangeError)
    await expect(
      (await start().catch(() => service as ImageService)).ensure({ ...request(), id: 'x'.repeat(300) }),
    ).rejects.toThrow(RangeError)
  })

  test('an id cannot lead out of the directory', async () => {
    expect(await fetched({}, { ...request(), id: '../../escape' })).toMatchObject({ state: 'Ready' })
    expect(await readdir(join(directory, 'refs'))).toEqual(['%2E.%2F..%2Fescape.json'])
  })
})

test('no query string, where tokens are carried, is in a state or in the log', async () => {
  const lines: string[] = []
  const write = (fields: object, message: string) => lines.push(JSON.stringify({ ...fields, message }))
  const log = { debug: write, info: write, warn: write, error: write }
  const url = `${server.url()}?X-Amz-Signature=geheim#geheim`
  const behaviours: Behaviour[] = [{ status: 404 }, { location: '/x?geheim' }, { cutAfter: 10 }, { framing: 'close' }]
  for (const [index, behaviour] of behaviours.entries()) {
    const before = server.requests.length
    server.behave = (request) => (request === before || behaviour.location ? behaviour : {})
    lines.push(JSON.stringify(await fetched({ log }, { id: `image${index}`, source: { url } })))
  }
  expect(lines.length).toBeGreaterThan(4)
  expect(lines.join('\n')).not.toContain('geheim')
})

describe('contents and who holds them', () => {
  test('two ids with equal content share one blob, which goes with the last of them', async () => {
    const digest = sha256(server.content)
    await fetched()
    expect(await fetched({}, request({ url: server.url('/mirror') }, { id: 'b' }))).toMatchObject({ state: 'Ready' })
    expect(await blobs()).toEqual([digest])
    await (service as ImageService).release('a')
    expect(sha256(await contentOf(digest))).toBe(digest)
    await (service as ImageService).release('b')
    expect(await blobs()).toEqual([])
    expect(await readdir(join(directory, 'refs'))).toEqual([])
    expect(await (service as ImageService).state('a')).toBeUndefined()
  })

  test('ids that fetch the same content at the same time, and let go at once, end with nothing stored', async () => {
    const running = await start()
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    await Promise.all(ids.map((id) => running.ensure(request({}, { id }))))
    await settled(running, 'a')
    await Promise.all(ids.map((id) => running.release(id)))
    expect(await blobs()).toEqual([])
    expect(await partials()).toEqual([])
  })

  test('release stops a fetch and removes what was received', async () => {
    server.behave = () => ({ stallAfter: size / 2 })
    const running = await start()
    await running.ensure(request())
    await stateWhere(running, 'a', (s) => s.state === 'Fetching' && s.received > 0)
    await running.release('a')
    expect(await running.state('a')).toBeUndefined()
    expect(await partials()).toEqual([])
  })

  test('releasing what is not known is no error', async () => {
    await expect((await start()).release('unknown')).resolves.toBeUndefined()
  })

  test('at most so many fetches run at once; the others follow', async () => {
    let running = 0
    let most = 0
    server.behave = () => {
      running++
      most = Math.max(most, running)
      return { rate: 8 * size }
    }
    const images = await start({ limits: { concurrentFetches: 2 } })
    images.onChange(async (id) => {
      if ((await images.state(id))?.state === 'Verifying') running--
    })
    const ids = ['a', 'b', 'c', 'd']
    for (const id of ids) await images.ensure(request({}, { id }))
    for (const id of ids) expect(await settled(images, id)).toMatchObject({ state: 'Ready' })
    expect(most).toBe(2)
  })

  test('open serves ranges, and rejects unknown digests and ranges outside', async () => {
    const digest = sha256(server.content)
    await fetched()
    const middle = await contentOf(digest, { start: 100, end: 700_000 })
    expect(middle.equals(server.content.subarray(100, 700_000))).toBe(true)
    expect(await contentOf(digest, { start: size })).toHaveLength(0)
    expect(await contentOf(digest, { start: size - 3 })).toEqual(server.content.subarray(size - 3))
    await expect(contentOf(digest, { end: size + 1 })).rejects.toThrow(RangeError)
    await expect(contentOf(digest, { start: 5, end: 4 })).rejects.toThrow(RangeError)
    await expect(contentOf('0'.repeat(64))).rejects.toMatchObject({ failure: 'NotFound' })
    await expect(contentOf('../refs/a.json')).rejects.toMatchObject({ failure: 'NotFound' })
  })

  test('content that is removed while it is read is read to its end', async () => {
    const digest = sha256(server.content)
    await fetched()
    const pieces: Uint8Array[] = []
    for await (const piece of (service as ImageService).open(digest)) {
      if (pieces.length === 0) await (service as ImageService).release('a')
      pieces.push(piece)
    }
    expect(sha256(Buffer.concat(pieces))).toBe(digest)
  })

  test('content that was lost from the store is fetched again when it is asked for', async () => {
    await fetched()
    await rm(join(directory, 'sha256', sha256(server.content)))
    expect(await fetched()).toMatchObject({ state: 'Ready' })
    expect(await settled(service as ImageService, 'a')).toMatchObject({ state: 'Ready' })
    expect(await blobs()).toHaveLength(1)
  })
})

describe('a restart', () => {
  test('goes on where it was, by itself, with what was received', async () => {
    server.behave = (index) => (index === 0 ? { stallAfter: size / 2 } : {})
    const first = await start()
    await first.ensure(request())
    await stateWhere(first, 'a', (s) => s.state === 'Fetching' && s.received > 0)
    await first.close()
    const second = await start()
    expect(await settled(second, 'a')).toMatchObject({ state: 'Ready', image: { digest: sha256(server.content) } })
    expect(server.requests[1]?.headers.range).toMatch(/^bytes=[1-9]/)
  })

  test('finds a partial file that was damaged meanwhile by its checksum, and fetches it anew', async () => {
    server.behave = (index) => (index === 0 ? { stallAfter: size / 2 } : {})
    const first = await start()
    await first.ensure(request())
    await stateWhere(first, 'a', (s) => s.state === 'Fetching' && s.received > 0)
    await first.close()
    const file = await open(join(directory, 'partial', 'a.part'), 'r+')
    await file.write(Buffer.from('damaged'), 0, 7, 1000)
    await file.close()
    expect(await settled(await start(), 'a')).toMatchObject({
      state: 'Ready',
      image: { digest: sha256(server.content) },
    })
    expect(server.requests).toHaveLength(3)
  })

  test('keeps what is ready without asking the server', async () => {
    await fetched()
    await (service as ImageService).close()
    await server.close()
    expect(await (await start()).state('a')).toMatchObject({
      state: 'Ready',
      image: { digest: sha256(server.content) },
    })
    await server.listen()
  })

  test('removes contents, partial and temporary files that nobody holds', async () => {
    await fetched()
    await (service as ImageService).close()
    for (const name of [
      'sha256/0000',
      'sha256/x.tmp',
      'partial/gone.part',
      'partial/gone.json',
      'refs/z.json.tmp',
      'refs/broken.json',
    ]) {
      await writeFile(join(directory, name), '{')
    }
    await start()
    expect(await blobs()).toEqual([sha256(server.content)])
    expect(await partials()).toEqual([])
    expect(await readdir(join(directory, 'refs'))).toEqual(['a.json'])
  })

  test('refuses a store that was written by a later version', async () => {
    await fetched()
    await (service as ImageService).close()
    await writeFile(join(directory, 'refs', 'n.json'), '{"version":2,"request":{"id":"n"}}')
    await expect(start()).rejects.toThrow('later version')
  })
})

describe('the service itself', () => {
  test('a directory is held by one at a time, and free again after close', async () => {
    await start()
    await expect(createImageService({ directory })).rejects.toThrow(`in use by another process (pid ${process.pid})`)
    await (service as ImageService).close()
    await expect(start()).resolves.toBeDefined()
  })

  test('after close nothing is accepted, and closing again is no error', async () => {
    const running = await start()
    await running.close()
    await running.close()
    await expect(running.ensure(request())).rejects.toThrow('closed')
  })

  test('a listener that throws disturbs neither the fetch nor other listeners; one that unsubscribed is not called', async () => {
    const running = await start()
    const calls: string[] = []
    running.onChange(() => {
      throw new Error('mine')
    })
    running.onChange((id) => calls.push(id))
    running.onChange((id) => calls.push(`gone ${id}`))()
    expect(await fetched()).toMatchObject({ state: 'Ready' })
    expect(calls).toContain('a')
    expect(calls).not.toContain('gone a')
  })

  test('options that cannot work are refused at once', async () => {
    await expect(createImageService({ directory, limits: { concurrentFetches: 0 } })).rejects.toThrow(RangeError)
    await expect(createImageService({ directory, retry: { base: Number.NaN } })).rejects.toThrow(RangeError)
    await expect(createImageService({ directory, addressPolicy: { denyAddresses: ['10.0.0.0'] } })).rejects.toThrow(
      'CIDR',
    )
  })
})
