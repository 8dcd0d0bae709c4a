import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** How the server behaves for one path. */
export interface Served {
  readonly file: string
  /** Bytes a second; absent: as fast as it goes. Can be changed while it sends. */
  bytesPerSecond?: number
  /** Ends the connection after so many bytes, though more were announced. */
  cutAfter?: number
}

export interface ImageServer {
  readonly url: string
  /** Files by path (`/disk.qcow2`). Change it to change what is served from now on. */
  readonly files: Map<string, Served>
  /** Bytes sent since the start. */
  sent(): number
  stop(): Promise<void>
}

/** A small HTTP server for images, on loopback: with ranges, and with the faults that a network has. */
export async function startImageServer(): Promise<ImageServer> {
  const files = new Map<string, Served>()
  let sent = 0
  const server = createServer((request, response) => {
    answer(request, response, files, (bytes) => {
      sent += bytes
    }).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    files,
    sent: () => sent,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  files: ReadonlyMap<string, Served>,
  count: (bytes: number) => void,
): Promise<void> {
  const served = files.get(new URL(request.url ?? '/', 'http://localhost').pathname)
  if (!served) {
    response.writeHead(404).end('there is nothing here\n')
    return
  }
  const { size, mtime } = await stat(served.file)
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
  const start = from === undefined ? 0 : Number(from)
  response.writeHead(from === undefined ? 200 : 206, {
    'accept-ranges': 'bytes',
    'content-length': size - start,
    etag: `"${size}-${mtime.getTime()}"`,
    ...(from === undefined ? {} : { 'content-range': `bytes ${start}-${size - 1}/${size}` }),
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const closed = new AbortController()
  response.once('close', () => closed.abort())
  let here = 0
  for await (const chunk of createReadStream(served.file, { start, highWaterMark: 65_536 })) {
    const bytes = (chunk as Buffer).length
    if (response.destroyed) return
    if (served.cutAfter !== undefined && here + bytes > served.cutAfter) {
      response.destroy()
      return
    }
    if (!response.write(chunk)) await once(response, 'drain', { signal: closed.signal })
    here += bytes
    count(bytes)
    if (served.bytesPerSecond !== undefined) await sleep((bytes * 1000) / served.bytesPerSecond)
  }
  response.end()
}
