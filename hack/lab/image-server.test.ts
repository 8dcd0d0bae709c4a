import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type ImageServer, startImageServer } from './image-server.ts'

const data = randomBytes(24 * 1024 * 1024 + 7)
let directory: string
let file: string
let server: ImageServer

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'image-server-'))
  file = join(directory, 'disk')
  writeFileSync(file, data)
  server = await startImageServer()
  server.files.set('/disk', { file })
})

afterEach(async () => {
  await server.stop()
  rmSync(directory, { recursive: true })
})

const get = (range?: string): Promise<Response> =>
  fetch(`${server.url}/disk`, range === undefined ? {} : { headers: { range } })

describe('the image server', () => {
  test('sends all, waiting often for its reader, without a listener left for each wait', async () => {
    const { promise: listeners, resolve } = Promise.withResolvers<number>()
    const finished = (message: unknown) => {
      resolve((message as { response: ServerResponse }).response.listenerCount('close'))
    }
    subscribe('http.server.response.finish', finished)
    try {
      expect(Buffer.from(await (await get()).arrayBuffer()).equals(data)).toBe(true)
      expect(await listeners).toBeLessThan(5)
    } finally {
      unsubscribe('http.server.response.finish', finished)
    }
    expect(server.sent()).toBe(data.length)
  })

  test('goes on where a range begins', async () => {
    const response = await get('bytes=8000000-')
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes 8000000-${data.length - 1}/${data.length}`)
    expect(Buffer.from(await response.arrayBuffer()).equals(data.subarray(8_000_000))).toBe(true)
  })

  test('cuts the connection where it is told to, and serves the next request', async () => {
    server.files.set('/disk', { file, cutAfter: 200_000 })
    await expect(get().then((response) => response.arrayBuffer())).rejects.toThrow()
    server.files.set('/disk', { file })
    expect((await (await get()).arrayBuffer()).byteLength).toBe(data.length)
  })

  test('stops sending to a reader that has gone while it was waited for', async () => {
    const response = await get()
    await response.body?.cancel()
    expect((await (await get()).arrayBuffer()).byteLength).toBe(data.length)
    expect(server.sent()).toBeLessThan(2 * data.length)
  })
})
