import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Connection } from '../connection.ts'
import { ErrorCode } from '../error-codes.ts'
import { LibvirtConnectionError, LibvirtError } from '../errors.ts'
import { TestServer } from '../testing/server.ts'

let server: TestServer

beforeEach(async () => {
  server = await TestServer.start()
})

afterEach(async () => {
  await server[Symbol.asyncDispose]()
})

const failure = async (promise: Promise<Connection>): Promise<unknown> =>
  promise.then(
    async (connection) => {
      await connection.close()
      throw new Error('opened')
    },
    (error: unknown) => error,
  )

const tls = { ca: '', cert: '', key: '' }

describe('opening', () => {
  it.each(['auth_list', 'connect_open', 'connect_supports_feature'] as const)(
    'has one deadline over all of it: the server hangs at %s',
    async (name) => {
      server.on(name, undefined)
      const error = await failure(Connection.open(server.uri, { callTimeout: 50 }))
      expect(error).toBeInstanceOf(LibvirtConnectionError)
      expect(error).toMatchObject({ phase: 'open', reason: 'Timeout', effectUnknown: false })
      await closed(server.connection.socket)
    },
  )

  it('has a deadline for a server that accepts and never speaks TLS', async () => {
    await using silent = await listen(() => {})
    const error = await failure(Connection.open(silent.uri, { callTimeout: 50, tls }))
    expect(error).toMatchObject({ phase: 'open', reason: 'Timeout' })
  })

  it("ends with the caller's signal, before and while it waits", async () => {
    server.on('connect_open', undefined)
    const controller = new AbortController()
    const error = failure(Connection.open(server.uri, { signal: controller.signal }))
    await server.next('connect_open')
    controller.abort('enough')
    expect(await error).toMatchObject({ phase: 'open', reason: 'Aborted', cause: 'enough' })
    await closed(server.connection.socket)
    const before = failure(Connection.open(server.uri, { signal: controller.signal }))
    expect(await before).toMatchObject({ phase: 'open', reason: 'Aborted' })
    expect(server.connections).toHaveLength(1)
  })

  it('is refused where nothing listens', async () => {
    const uri = `${server.uri}-absent`
    expect(await failure(Connection.open(uri))).toMatchObject({ phase: 'open', reason: 'Refused' })
  })

  it('is refused at a port that nobody listens at', async () => {
    const closing = await listen(() => {})
    await closing[Symbol.asyncDispose]()
    const error = await failure(Connection.open(closing.uri, { tls }))
    expect(error).toMatchObject({ phase: 'open', reason: 'Refused' })
  })

  it('says that a server which is no TLS server has failed the handshake', async () => {
    await using plain = await listen((socket) => socket.write('220 mail.example ESMTP\r\n'))
    const error = await failure(Connection.open(plain.uri, { tls }))
    expect(error).toMatchObject({ phase: 'open', reason: 'TLS' })
  })

  it('says that certificates cannot be used, without showing them', async () => {
    await using plain = await listen(() => {})
    const error = await failure(Connection.open(plain.uri, { tls: { ca: '', cert: 'SECRET1', key: 'SECRET2' } }))
    expect(error).toMatchObject({ phase: 'open', reason: 'TLS' })
    expect(String(error)).not.toMatch(/SECRET/)
  })

  it('needs certificates for TLS', async () => {
    expect(await failure(Connection.open('qemu+tls://localhost/system'))).toBeInstanceOf(TypeError)
  })

  it('says that the server demands authentication that it does not speak', async () => {
    server.on('auth_list', (call) => call.reply({ types: [7] }))
    const error = await failure(Connection.open(server.uri))
    expect(error).toMatchObject({ phase: 'open', reason: 'AuthenticationUnsupported' })
  })

  it("passes on the server's refusal of the name", async () => {
    server.on('connect_open', (call) => call.fail(ErrorCode.NO_CONNECT, 'no driver'))
    const error = await failure(Connection.open(server.uri))
    expect(error).toBeInstanceOf(LibvirtError)
    expect(error).toMatchObject({ code: ErrorCode.NO_CONNECT })
    await closed(server.connection.socket)
  })

  it('says that the server closed in the middle', async () => {
    server.on('connect_open', (call) => call.connection.socket.destroy())
    const error = await failure(Connection.open(server.uri))
    expect(error).toMatchObject({ phase: 'open', reason: 'Lost', effectUnknown: false })
  })
})

/** Waits until the other side has closed. */
const closed = async (socket: Socket): Promise<void> => {
  socket.resume()
  if (!socket.destroyed) await once(socket, 'close')
}

const listen = async (onConnection: (socket: Socket) => void) => {
  const sockets: Socket[] = []
  const listener = createServer((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    onConnection(socket)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return {
    uri: `qemu+tls://127.0.0.1:${port}/system`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
