import { once } from 'node:events'
import { type Duplex, Readable, type Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ErrorCode } from '../error-codes.ts'
import { LibvirtError, LibvirtProtocolError, LibvirtTimeoutError } from '../errors.ts'
import { MessageStatus, MessageType, maxStreamPayload } from '../protocol/message.ts'
import { type Received, TestServer } from '../testing/server.ts'
import { parseURI } from '../uri.ts'
import { RpcClient } from './client.ts'
import { hardLimit, softLimit } from './flow.ts'
import { connect } from './transport.ts'

const upload = 'storage_vol_upload'
const download = 'storage_vol_download'
const args = { vol: { pool: 'p', name: 'v', key: 'k' }, offset: 0, length: 0, flags: 0 }

let server: TestServer
let client: RpcClient

beforeEach(async () => {
  server = await TestServer.start()
  const socket = await connect(parseURI(server.uri), {}, new AbortController().signal)
  client = new RpcClient(socket, { callTimeout: 5_000, maxConcurrentCalls: 4, downloadPatience: 40 })
  server.on('connect_get_hostname', (call) => call.reply({ hostname: 'host' }))
})

afterEach(async () => {
  await client.close()
  await server[Symbol.asyncDispose]()
})

const startUpload = async (idleTimeout?: number): Promise<{ stream: Writable; serial: number }> => {
  const opening = client.upload(upload, args, { idleTimeout })
  const call = await server.next(upload)
  call.reply({})
  return { stream: await opening, serial: call.serial }
}

const startDownload = async (idleTimeout?: number): Promise<{ stream: Readable; serial: number }> => {
  const opening = client.download(download, args, { idleTimeout })
  const call = await server.next(download)
  call.reply({})
  return { stream: await opening, serial: call.serial }
}

const packets = (received: readonly Received[], status?: number) =>
  received.filter((message) => message.type === MessageType.STREAM && (status ?? message.status) === message.status)

const packet = (status: number) => (received: readonly Received[]) => packets(received, status).length > 0

const failure = (stream: Duplex | Readable | Writable): Promise<Error> =>
  new Promise((resolve) => stream.once('error', (error: Error) => resolve(error)))

describe('uploads', () => {
  it('cuts data into packets that every libvirt takes, and sends them whole and in order', async () => {
    const { stream, serial } = await startUpload()
    const data = Buffer.from(Array.from({ length: 2 * maxStreamPayload + 5 }, (_, index) => index % 251))
    const done = pipeline(Readable.from([data.subarray(0, 7), data.subarray(7)]), stream)
    await server.connection.until(packet(MessageStatus.OK))
    const sent = packets(server.connection.received, MessageStatus.CONTINUE)
    expect(sent.every(({ payload }) => payload.length <= maxStreamPayload)).toBe(true)
    expect(Buffer.concat(sent.map(({ payload }) => payload)).equals(data)).toBe(true)
    server.connection.packet(upload, serial, MessageStatus.OK)
    await done
  })

  it('fills its packets however its source cuts the data, and keeps nothing of a buffer that is used again', async () => {
    const { stream, serial } = await startUpload()
    const chunk = Buffer.alloc(1024 * 1024)
    const chunks = 5
    const done = finished(stream)
    for (let number = 0; number < chunks; number++) {
      await new Promise((resolve) => stream.write(chunk.fill(number), resolve))
    }
    chunk.fill(chunks)
    stream.end()
    await server.connection.until(packet(MessageStatus.OK))
    const sent = packets(server.connection.received, MessageStatus.CONTINUE).map(({ payload }) => payload)
    expect(sent.length).toBe(Math.ceil((chunks * chunk.length) / maxStreamPayload))
    const expected = Array.from({ length: chunks }, (_, number) => Buffer.alloc(chunk.length, number))
    expect(Buffer.concat(sent).equals(Buffer.concat(expected))).toBe(true)
    server.connection.packet(upload, serial, MessageStatus.OK)
    await done
  })

  it('finishes only when the server has confirmed: until then it may still fail', async () => {
    const { stream, serial } = await startUpload()
    let over = false
    const done = finished(stream).finally(() => {
      over = true
    })
    stream.end('data')
    await server.connection.until(packet(MessageStatus.OK))
    await client.call('connect_get_hostname', {})
    expect(over).toBe(false)
    server.connection.packetError(upload, serial, ErrorCode.SYSTEM_ERROR, 'no space left')
    await expect(done).rejects.toMatchObject({ name: 'LibvirtError', code: ErrorCode.SYSTEM_ERROR, procedure: upload })
  })

  it('destroys the stream when the server reports an error in the middle, and sends no abort', async () => {
    const { stream, serial } = await startUpload()
    stream.write('data')
    const error = failure(stream)
    server.connection.packetError(upload, serial, ErrorCode.SYSTEM_ERROR, 'no space left')
    expect(await error).toBeInstanceOf(LibvirtError)
    await client.call('connect_get_hostname', {})
    expect(packets(server.connection.received, MessageStatus.ERROR)).toHaveLength(0)
  })

  it('aborts at the server when it is destroyed, and ignores what comes after', async () => {
    const { stream, serial } = await startUpload()
    stream.write('data')
    stream.destroy()
    await server.connection.until(packet(MessageStatus.ERROR))
    server.connection.packet(upload, serial, MessageStatus.OK)
    expect(await client.call('connect_get_hostname', {})).toEqual({ hostname: 'host' })
  })

  it('holds back its source while the server takes nothing, and lets calls pass', async () => {
    const { stream } = await startUpload()
    server.connection.socket.pause()
    let produced = 0
    const source = function* () {
      for (;;) {
        produced++
        yield Buffer.alloc(maxStreamPayload)
      }
    }
    const piping = pipeline(Readable.from(source()), stream).catch(() => {})
    await new Promise<void>((resolve) => {
      let last = -1
      const settled = () => {
        if (produced === last) return resolve()
        last = produced
        setTimeout(settled, 50)
      }
      settled()
    })
    expect(produced).toBeLessThan(100)
    const name = client.call('connect_get_hostname', {})
    server.connection.socket.resume()
    expect(await name).toEqual({ hostname: 'host' })
    stream.destroy()
    await piping
  })

  it('fails when the server makes no progress, at the confirmation too', async () => {
    const { stream } = await startUpload(30)
    const error = failure(stream)
    stream.end('data')
    expect(await error).toBeInstanceOf(LibvirtTimeoutError)
    await server.connection.until(packet(MessageStatus.ERROR))
  })

  it('does not time out while its own source is slow', async () => {
    const { stream, serial } = await startUpload(20)
    await failureOrSilence(stream, 80)
    stream.end('data')
    server.connection.packet(upload, serial, MessageStatus.OK)
  })

  it('reports an error that comes in one piece with the answer, before anybody could listen', async () => {
    const opening = client.upload(upload, args)
    const call = await server.next(upload)
    server.connection.socket.cork()
    call.reply({})
    server.connection.packetError(upload, call.serial, ErrorCode.SYSTEM_ERROR, 'no space left')
    server.connection.socket.uncork()
    await expect(opening.then((stream) => pipeline(Readable.from(['data']), stream))).rejects.toBeInstanceOf(
      LibvirtError,
    )
  })

  it('rejects when the server refuses to start', async () => {
    const opening = client.upload(upload, args)
    ;(await server.next(upload)).fail(ErrorCode.NO_STORAGE_VOL, 'no such volume')
    await expect(opening).rejects.toMatchObject({ code: ErrorCode.NO_STORAGE_VOL })
  })

  it('refuses a server that finishes or sends data on its own', async () => {
    const first = await startUpload()
    const early = failure(first.stream)
    server.connection.packet(upload, first.serial, MessageStatus.OK)
    expect(await early).toBeInstanceOf(LibvirtProtocolError)
    const second = await startUpload()
    const data = failure(second.stream)
    server.connection.packet(upload, second.serial, MessageStatus.CONTINUE, Buffer.from('x'))
    expect(await data).toBeInstanceOf(LibvirtProtocolError)
  })
})

describe('downloads', () => {
  it('gives the data that come in one piece with the answer, and ends when the server has confirmed', async () => {
    const opening = client.download(download, args)
    const call = await server.next(download)
    server.connection.socket.cork()
    call.reply({})
    server.connection.packet(download, call.serial, MessageStatus.CONTINUE, Buffer.from('abc'))
    server.connection.packet(download, call.serial, MessageStatus.CONTINUE, Buffer.from('de'))
    server.connection.packet(download, call.serial, MessageStatus.CONTINUE)
    server.connection.socket.uncork()
    const text = opening.then(async (stream) => Buffer.concat(await stream.toArray()).toString())
    await server.connection.until(packet(MessageStatus.OK))
    server.connection.packet(download, call.serial, MessageStatus.OK)
    expect(await text).toBe('abcde')
  })

  it.each([
    ['data, end, answer', 3],
    ['data, answer, end', 2],
    ['some data, answer, the rest', 1],
  ])('gives data that come ahead of the answer, as of libvirtd 9.0: %s', async (_order, early) => {
    const opening = client.download(download, args)
    const call = await server.next(download)
    const sends = ['abc', 'de', ''].map(
      (text) => () => server.connection.packet(download, call.serial, MessageStatus.CONTINUE, Buffer.from(text)),
    )
    sends.splice(early, 0, () => call.reply({}))
    for (const send of sends) send()
    const text = opening.then(async (stream) => Buffer.concat(await stream.toArray()).toString())
    await server.connection.until(packet(MessageStatus.OK))
    server.connection.packet(download, call.serial, MessageStatus.OK)
    expect(await text).toBe('abcde')
  })

  it('does not end as if all were there when the server reports an error at the end', async () => {
    const { stream, serial } = await startDownload()
    const all = stream.toArray()
    server.connection.packet(download, serial, MessageStatus.CONTINUE, Buffer.from('abc'))
    server.connection.packet(download, serial, MessageStatus.CONTINUE)
    await server.connection.until(packet(MessageStatus.OK))
    server.connection.packetError(download, serial, ErrorCode.SYSTEM_ERROR, 'read error')
    await expect(all).rejects.toMatchObject({ code: ErrorCode.SYSTEM_ERROR })
  })

  it("fails with the server's error that comes ahead of the answer", async () => {
    const opening = client.download(download, args)
    const call = await server.next(download)
    server.connection.packet(download, call.serial, MessageStatus.CONTINUE, Buffer.from('abc'))
    server.connection.packetError(download, call.serial, ErrorCode.SYSTEM_ERROR, 'read error')
    call.reply({})
    const all = opening.then((stream) => stream.toArray())
    await expect(all).rejects.toMatchObject({ code: ErrorCode.SYSTEM_ERROR, procedure: download })
  })

  it('drops what came ahead of an answer that is an error, and goes on', async () => {
    const opening = client.download(download, args)
    const call = await server.next(download)
    server.connection.packet(download, call.serial, MessageStatus.CONTINUE, Buffer.from('abc'))
    server.connection.packet(download, call.serial, MessageStatus.CONTINUE)
    call.fail(ErrorCode.NO_STORAGE_VOL, 'no volume')
    await expect(opening).rejects.toMatchObject({ code: ErrorCode.NO_STORAGE_VOL })
    expect(await client.call('connect_get_hostname', {})).toEqual({ hostname: 'host' })
    expect(packets(server.connection.received)).toEqual([])
  })

  it.each([
    ['data', Buffer.alloc(256 * 1024)],
    ['empty packets', Buffer.alloc(0)],
  ])('does not hold %s without limit ahead of the answer: the call fails, the rest goes on', async (_what, chunk) => {
    const opening = client.download(download, args)
    const failed = expect(opening).rejects.toBeInstanceOf(LibvirtProtocolError)
    const call = await server.next(download)
    // Much less than what empty packets' own bytes would need to reach the limit.
    for (let sent = 0; sent <= hardLimit; sent += Math.max(chunk.length, 1_024)) {
      server.connection.packet(download, call.serial, MessageStatus.CONTINUE, chunk)
    }
    await failed
    await server.connection.until(packet(MessageStatus.ERROR))
    call.reply({})
    expect(await client.call('connect_get_hostname', {})).toEqual({ hostname: 'host' })
  })

  it('aborts at the server when it is destroyed', async () => {
    const { stream } = await startDownload()
    stream.destroy()
    await server.connection.until(packet(MessageStatus.ERROR))
  })

  it('fails when the server sends nothing for too long, but not while its consumer does not read', async () => {
    const { stream, serial } = await startDownload(30)
    server.connection.packet(download, serial, MessageStatus.CONTINUE, Buffer.alloc(2 * maxStreamPayload))
    await failureOrSilence(stream, 90)
    const error = failure(stream)
    stream.resume()
    expect(await error).toBeInstanceOf(LibvirtTimeoutError)
  })

  it('stops reading from the server while the consumer is slow, and loses nothing', async () => {
    const { stream, serial } = await startDownload()
    const total = 3 * softLimit
    flood(serial, total)
    await until(() => server.connection.socket.writableLength > 0 && client.downloadPaused)
    expect(server.connection.socket.writableLength).toBeGreaterThan(softLimit)
    server.connection.packet(download, serial, MessageStatus.CONTINUE)
    let size = 0
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
    })
    await server.connection.until(packet(MessageStatus.OK))
    server.connection.packet(download, serial, MessageStatus.OK)
    await once(stream, 'end')
    expect(size).toBe(total)
  })

  it('answers calls though a consumer reads nothing', async () => {
    const { serial } = await startDownload()
    flood(serial, 3 * softLimit)
    await until(() => client.downloadPaused)
    expect(await client.call('connect_get_hostname', {})).toEqual({ hostname: 'host' })
  })

  it('takes the stream from a consumer that reads nothing while others wait, rather than starve them', async () => {
    const { stream, serial } = await startDownload()
    const error = failure(stream)
    flood(serial, hardLimit + softLimit)
    const name = client.call('connect_get_hostname', {})
    expect(await error).toBeInstanceOf(LibvirtTimeoutError)
    expect(await name).toEqual({ hostname: 'host' })
    await server.connection.until(packet(MessageStatus.ERROR))
  })
})

const flood = (serial: number, total: number) => {
  const chunk = Buffer.alloc(256 * 1024)
  for (let sent = 0; sent < total; sent += chunk.length) {
    server.connection.packet(download, serial, MessageStatus.CONTINUE, chunk)
  }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(setImmediate)
}

/** Waits for a time in which a stream must not fail: the assertion is that nothing happens. */
const failureOrSilence = async (stream: Readable | Writable, milliseconds: number): Promise<void> => {
  const error = await Promise.race([failure(stream), new Promise((resolve) => setTimeout(resolve, milliseconds))])
  expect(error).toBeUndefined()
}

describe('a stream that is given up before it is open', () => {
  const aborts = (received: readonly Received[], serial: number) =>
    packets(received, MessageStatus.ERROR).filter((message) => message.serial === serial)

  it('is ended at the server as soon as the server has opened it after all', async () => {
    const controller = new AbortController()
    const opening = client.upload(upload, args, { signal: controller.signal })
    const call = await server.next(upload)
    controller.abort()
    await expect(opening).rejects.toMatchObject({ name: 'LibvirtAbortError' })
    // Not before: libvirtd drops what is for a stream that it does not have yet.
    await client.call('connect_get_hostname', {})
    expect(aborts(server.connection.received, call.serial)).toEqual([])
    call.reply({})
    await server.connection.until((received) => aborts(received, call.serial).length > 0)
    await client.call('connect_get_hostname', {})
    expect(aborts(server.connection.received, call.serial)).toHaveLength(1)
  })

  it('needs no word when the server refuses it', async () => {
    const opening = client.download(download, args, { timeout: 20 })
    const call = await server.next(download)
    await expect(opening).rejects.toMatchObject({ name: 'LibvirtTimeoutError' })
    call.fail(ErrorCode.NO_STORAGE_VOL, 'gone')
    await client.call('connect_get_hostname', {})
    expect(aborts(server.connection.received, call.serial)).toEqual([])
  })
})

describe('streams both ways', () => {
  const console = 'domain_open_console'
  const dom = { name: 'd', uuid: '00112233-4455-6677-8899-aabbccddeeff', id: 1 }

  const startConsole = async () => {
    const opening = client.interact(console, { dom, dev_name: undefined, flags: 0 })
    const call = await server.next(console)
    call.reply({})
    return { stream: await opening, serial: call.serial }
  }

  it('end both directions when we do, and the server confirms', async () => {
    const { stream, serial } = await startConsole()
    stream.write('typed')
    server.connection.packet(console, serial, MessageStatus.CONTINUE, Buffer.from('shown'))
    expect(String((await once(stream, 'data'))[0])).toBe('shown')
    stream.end()
    await server.connection.until(packet(MessageStatus.OK))
    expect(String(packets(server.connection.received, MessageStatus.CONTINUE)[0]?.payload)).toBe('typed')
    server.connection.packet(console, serial, MessageStatus.OK)
    await finished(stream)
  })

  it('end both directions when the server does', async () => {
    const { stream, serial } = await startConsole()
    stream.resume()
    server.connection.packet(console, serial, MessageStatus.CONTINUE)
    await server.connection.until(packet(MessageStatus.OK))
    server.connection.packet(console, serial, MessageStatus.OK)
    await finished(stream)
    expect(stream.writableFinished).toBe(true)
  })

  it('are aborted when they are destroyed, and fail as the server says', async () => {
    const first = await startConsole()
    first.stream.destroy()
    await server.connection.until(packet(MessageStatus.ERROR))
    const second = await startConsole()
    server.connection.packetError(console, second.serial, ErrorCode.OPERATION_FAILED, 'the guest stopped')
    expect(await failure(second.stream)).toMatchObject({ code: ErrorCode.OPERATION_FAILED })
  })
})
