import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Connection, type ConnectionOptions } from '../connection.ts'
import { ErrorCode } from '../error-codes.ts'
import {
  LibvirtAbortError,
  LibvirtConnectionError,
  LibvirtError,
  LibvirtProtocolError,
  LibvirtTimeoutError,
} from '../errors.ts'
import { KeepaliveProcedure, MessageType, Program } from '../protocol/message.ts'
import { encodeReply, type Received, TestServer } from '../testing/server.ts'

let server: TestServer
let connections: Connection[]

beforeEach(async () => {
  server = await TestServer.start()
  connections = []
})

afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.close()))
  await server[Symbol.asyncDispose]()
})

const open = async (options?: ConnectionOptions): Promise<Connection> => {
  const connection = await Connection.open(server.uri, { keepalive: { interval: 0, count: 0 }, ...options })
  connections.push(connection)
  return connection
}

/** What a promise rejects with. */
const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`fulfilled with ${JSON.stringify(value)}`)
    },
    (error: unknown) => error,
  )

describe('calls', () => {
  it('asks the server for the name without transport and parameters', async () => {
    let name: string | undefined
    server.on('connect_open', (call) => {
      name = call.args.name
      call.reply({})
    })
    await open()
    expect(name).toBe('test:///default')
  })

  it('gives each answer to its own call when they come in another order', async () => {
    const connection = await open()
    const hostname = connection.getHostname()
    const type = connection.getType()
    const first = await server.next('connect_get_hostname')
    const second = await server.next('connect_get_type')
    second.reply({ type: 'TEST' })
    expect(await type).toBe('TEST')
    first.reply({ hostname: 'host' })
    expect(await hostname).toBe('host')
  })

  it('puts an answer together from single bytes', async () => {
    const connection = await open()
    const hostname = connection.getHostname()
    const { serial } = await server.next('connect_get_hostname')
    for (const byte of encodeReply('connect_get_hostname', serial, { hostname: 'host' })) {
      server.connection.send(Uint8Array.of(byte))
      await new Promise(setImmediate)
    }
    expect(await hostname).toBe('host')
  })

  it('takes several answers from one piece', async () => {
    const connection = await open()
    const both = Promise.all([connection.getHostname(), connection.getType()])
    const first = await server.next('connect_get_hostname')
    const second = await server.next('connect_get_type')
    server.connection.send(
      Buffer.concat([
        encodeReply('connect_get_hostname', first.serial, { hostname: 'host' }),
        encodeReply('connect_get_type', second.serial, { type: 'TEST' }),
      ]),
    )
    expect(await both).toEqual(['host', 'TEST'])
  })

  it("rejects with the server's own error", async () => {
    const connection = await open()
    const error = failure(connection.lookupDomainByName('absent'))
    const call = await server.next('domain_lookup_by_name')
    call.fail(ErrorCode.NO_DOMAIN, 'Domain not found')
    expect(await error).toBeInstanceOf(LibvirtError)
    expect(await error).toMatchObject({
      code: 42,
      domain: 10,
      level: 2,
      message: 'Domain not found',
      procedure: 'domain_lookup_by_name',
    })
  })

  it('never has more calls at the server than it may, or the server stops reading, keepalive included', async () => {
    const connection = await open({ maxConcurrentCalls: 2 })
    const names = Promise.all([1, 2, 3].map(() => connection.getHostname()))
    const first = await server.next('connect_get_hostname')
    const second = await server.next('connect_get_hostname')
    const calls = () => server.connection.received.filter(({ procedure }) => procedure === 59).length
    server.connection.ping()
    await server.connection.until((received) => received.at(-1)?.procedure === KeepaliveProcedure.PONG)
    expect(calls()).toBe(2)
    first.reply({ hostname: 'a' })
    const third = await server.next('connect_get_hostname')
    third.reply({ hostname: 'c' })
    second.reply({ hostname: 'b' })
    expect(await names).toEqual(['a', 'b', 'c'])
  })

  it('refuses what cannot be sent, without sending', async () => {
    const connection = await open()
    const error = await failure(connection.lookupDomainByUUID('no-uuid'))
    expect(error).toBeInstanceOf(LibvirtProtocolError)
    expect(error).toMatchObject({ effectUnknown: false })
    const name = connection.getHostname()
    ;(await server.next('connect_get_hostname')).reply({ hostname: 'host' })
    expect(await name).toBe('host')
  })
})

describe('deadlines', () => {
  it('rejects when no answer came in time, and ignores the late one', async () => {
    const connection = await open()
    const error = await failure(connection.getHostname({ timeout: 20 }))
    expect(error).toBeInstanceOf(LibvirtTimeoutError)
    expect(error).toMatchObject({ effectUnknown: true, procedure: 'connect_get_hostname' })
    const abandoned = await server.next('connect_get_hostname')
    const next = connection.getHostname()
    const call = await server.next('connect_get_hostname')
    abandoned.reply({ hostname: 'late' })
    call.reply({ hostname: 'host' })
    expect(await next).toBe('host')
  })

  it('knows that a call which waited for its turn had no effect', async () => {
    const connection = await open({ maxConcurrentCalls: 1 })
    const hanging = failure(connection.getType({ timeout: 60 }))
    const waiting = await failure(connection.getHostname({ timeout: 20 }))
    expect(waiting).toBeInstanceOf(LibvirtTimeoutError)
    expect(waiting).toMatchObject({ effectUnknown: false })
    expect(await hanging).toMatchObject({ effectUnknown: true })
    expect(server.connection.received.some(({ procedure }) => procedure === 59)).toBe(false)
  })

  it('asks the caller when it is the turn of a call: what it throws ends the call, and only that one', async () => {
    const connection = await open({ maxConcurrentCalls: 1 })
    const first = connection.getType()
    let deposed = false
    const beforeSend = () => {
      if (deposed) throw new Error('deposed')
    }
    const second = failure(connection.getHostname({ beforeSend }))
    const third = connection.getURI()
    const call = await server.next('connect_get_type')
    deposed = true
    call.reply({ type: 'TEST' })
    expect(await first).toBe('TEST')
    expect(await second).toMatchObject({ message: 'deposed' })
    ;(await server.next('connect_get_uri')).reply({ uri: 'test:///default' })
    expect(await third).toBe('test:///default')
    expect(server.connection.received.some(({ procedure }) => procedure === 59)).toBe(false)
  })

  it('frees the place of a call that was given up', async () => {
    const connection = await open({ maxConcurrentCalls: 1 })
    await failure(connection.getType({ timeout: 20 }))
    const name = connection.getHostname()
    ;(await server.next('connect_get_hostname')).reply({ hostname: 'host' })
    expect(await name).toBe('host')
  })

  it("ends the wait with the caller's signal, and leaves no listener on it", async () => {
    const connection = await open()
    const controller = new AbortController()
    const { signal } = controller
    const error = failure(connection.getHostname({ signal }))
    await server.next('connect_get_hostname')
    controller.abort('enough')
    expect(await error).toBeInstanceOf(LibvirtAbortError)
    expect(await error).toMatchObject({ effectUnknown: true, cause: 'enough' })
    expect(await failure(connection.getHostname({ signal }))).toMatchObject({ effectUnknown: false })

    const second = new AbortController()
    const name = connection.getHostname({ signal: second.signal })
    ;(await server.next('connect_get_hostname')).reply({ hostname: 'host' })
    await name
    expect(getEventListeners(second.signal, 'abort')).toHaveLength(0)
  })
})

describe('a server that breaks the protocol', () => {
  it('fails only the call whose answer is malformed', async () => {
    const connection = await open()
    const error = failure(connection.getHostname())
    const { serial } = await server.next('connect_get_hostname')
    const reply = encodeReply('connect_get_hostname', serial, { hostname: 'host' })
    reply.writeUInt32BE(0x00ffffff, 28)
    server.connection.send(reply)
    expect(await error).toBeInstanceOf(LibvirtProtocolError)
    expect(await error).toMatchObject({ effectUnknown: true })
    const next = connection.getHostname()
    ;(await server.next('connect_get_hostname')).reply({ hostname: 'host' })
    expect(await next).toBe('host')
  })

  it('fails the call whose answer is that of another procedure', async () => {
    const connection = await open()
    const error = failure(connection.getHostname())
    const { serial } = await server.next('connect_get_hostname')
    server.connection.send(encodeReply('connect_get_type', serial, { type: 'TEST' }))
    expect(await error).toBeInstanceOf(LibvirtProtocolError)
  })

  it('refuses a number that cannot be held exactly', async () => {
    const connection = await open()
    const error = failure(connection.getFreeMemory())
    const { serial } = await server.next('node_get_free_memory')
    const reply = encodeReply('node_get_free_memory', serial, { freeMem: 0 })
    reply.writeUInt32BE(0xffffffff, 28)
    server.connection.send(reply)
    expect(await error).toBeInstanceOf(LibvirtProtocolError)
  })

  it('ignores answers and stream packets of serials that it does not know', async () => {
    const connection = await open()
    server.connection.send(encodeReply('connect_get_hostname', 4711, { hostname: 'nobody' }))
    server.connection.packet('storage_vol_upload', 4711, 0)
    const name = connection.getHostname()
    ;(await server.next('connect_get_hostname')).reply({ hostname: 'host' })
    expect(await name).toBe('host')
  })

  it.each([
    ['a length of 2 GiB', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['a length of nothing', Buffer.alloc(4)],
    [
      'another program',
      Buffer.from('0000001c 11111111 00000001 00000001 00000001 00000001 00000000'.replaceAll(' ', ''), 'hex'),
    ],
    [
      'another version',
      Buffer.from('0000001c 20008086 00000002 00000001 00000001 00000001 00000000'.replaceAll(' ', ''), 'hex'),
    ],
    [
      'an unknown type',
      Buffer.from('0000001c 20008086 00000001 00000001 00000009 00000001 00000000'.replaceAll(' ', ''), 'hex'),
    ],
    [
      'an event cut short',
      Buffer.from('0000001c 20008086 00000001 0000013e 00000002 00000000 00000000'.replaceAll(' ', ''), 'hex'),
    ],
  ])('gives up the connection at %s', async (_what, bytes) => {
    const connection = await open()
    const call = failure(connection.getHostname())
    await server.next('connect_get_hostname')
    server.connection.send(bytes)
    expect(await call).toBeInstanceOf(LibvirtConnectionError)
    expect(await call).toMatchObject({ phase: 'established', reason: 'Protocol', effectUnknown: true })
    expect(await connection.closed).toMatchObject({ reason: 'Protocol' })
  })
})

describe('the end of a connection', () => {
  it('rejects all calls, those that never left as without effect, and destroys all streams', async () => {
    const connection = await open({ maxConcurrentCalls: 1 })
    server.on('storage_vol_upload', (call) => call.reply({}))
    server.on('storage_pool_lookup_by_name', (call) => call.reply({ pool }))
    server.on('storage_vol_lookup_by_name', (call) => call.reply({ vol: { pool: 'p', name: 'v', key: 'k' } }))
    const volume = await (await connection.lookupStoragePoolByName('p')).lookupVolume('v')
    const stream = await volume.upload()
    const destroyed = new Promise((resolve) => stream.once('error', resolve))
    const sent = failure(connection.getHostname())
    const waiting = failure(connection.getType())
    await server.next('connect_get_hostname')
    server.connection.socket.destroy()
    expect(await sent).toMatchObject({ name: 'LibvirtConnectionError', reason: 'Lost', effectUnknown: true })
    expect(await waiting).toMatchObject({ name: 'LibvirtConnectionError', reason: 'Lost', effectUnknown: false })
    expect(await destroyed).toMatchObject({ name: 'LibvirtConnectionError', reason: 'Lost' })
    expect(await connection.closed).toBeInstanceOf(LibvirtConnectionError)
    expect(connection.isAlive).toBe(false)
    expect(await failure(connection.getHostname())).toMatchObject({ reason: 'Lost', effectUnknown: false })
  })

  it('says goodbye when it is closed: an unannounced end is an error in the journal of the host', async () => {
    const connection = await open()
    const call = failure(connection.getHostname())
    await server.next('connect_get_hostname')
    const closing = connection.close()
    expect(connection.isAlive).toBe(false)
    expect(await failure(connection.getType())).toMatchObject({ reason: 'Closed', effectUnknown: false })
    await closing
    await connection.close()
    expect(await call).toMatchObject({ reason: 'Closed', effectUnknown: true })
    expect(await connection.closed).toBeUndefined()
    expect(server.connection.received.at(-1)?.procedure).toBe(2)
  })

  it('closes a server that does not answer the goodbye', async () => {
    server.on('connect_close', undefined)
    const connection = await open()
    await connection.close()
    expect(await connection.closed).toBeUndefined()
  })
})

describe('keepalive', () => {
  const pings = (received: readonly Received[]) =>
    received.filter(({ program, procedure }) => program === Program.KEEPALIVE && procedure === KeepaliveProcedure.PING)

  it("answers the server's pings", async () => {
    await open()
    server.connection.ping()
    await server.connection.until((received) =>
      received.some(
        ({ program, procedure, type }) =>
          program === Program.KEEPALIVE && procedure === KeepaliveProcedure.PONG && type === MessageType.MESSAGE,
      ),
    )
  })

  it('gives up a server that falls silent, with all its calls', async () => {
    const connection = await open({ keepalive: { interval: 20, count: 2 } })
    const call = failure(connection.getHostname())
    expect(await connection.closed).toMatchObject({ phase: 'established', reason: 'KeepaliveTimeout' })
    expect(await call).toMatchObject({ reason: 'KeepaliveTimeout', effectUnknown: true })
    expect(pings(server.connection.received)).toHaveLength(2)
  })

  it('keeps a connection whose server sends anything', async () => {
    const connection = await open({ keepalive: { interval: 20, count: 1 } })
    for (let turn = 0; turn < 4; turn++) {
      const before = pings(server.connection.received).length
      await server.connection.until((received) => pings(received).length > before)
      server.connection.ping()
    }
    expect(connection.isAlive).toBe(true)
  })

  it('is not used with a server that does not speak it', async () => {
    server.on('connect_supports_feature', (call) => call.reply({ supported: 0 }))
    const connection = await open({ keepalive: { interval: 5, count: 1 } })
    await failure(connection.getHostname({ timeout: 60 }))
    expect(connection.isAlive).toBe(true)
    expect(pings(server.connection.received)).toHaveLength(0)
  })
})

describe('events', () => {
  const domain = { name: 'vm', uuid: '00112233-4455-6677-8899-aabbccddeeff', id: -1 }
  const lifecycle = (callbackID: number, event: number) => ({ callbackID, msg: { dom: domain, event, detail: 1 } })

  it('delivers an event that comes in one piece with the answer to the registration', async () => {
    const connection = await open()
    const seen: number[] = []
    const subscribing = connection.subscribe('domainLifecycle', ({ event }) => seen.push(event))
    const call = await server.next('connect_domain_event_callback_register_any')
    expect(call.args).toEqual({ eventID: 0, dom: undefined })
    server.connection.socket.cork()
    call.reply({ callbackID: 7 })
    server.connection.event('domain_event_callback_lifecycle', lifecycle(7, 2))
    server.connection.event('domain_event_callback_lifecycle', lifecycle(7, 5))
    server.connection.socket.uncork()
    await subscribing
    const name = connection.getHostname()
    ;(await server.next('connect_get_hostname')).reply({ hostname: 'host' })
    await name
    expect(seen).toEqual([2, 5])
  })

  it('delivers nothing after the subscription is closed, and tells the server', async () => {
    const connection = await open()
    const seen: string[] = []
    server.on('connect_domain_event_callback_register_any', (call) => call.reply({ callbackID: 7 }))
    server.on('connect_network_event_register_any', (call) => call.reply({ callbackID: 7 }))
    const domains = await connection.subscribe('domainReboot', ({ domain: { name } }) => seen.push(name))
    await connection.subscribe('networkLifecycle', ({ network }) => seen.push(network.name))
    server.connection.event('domain_event_callback_reboot', { callbackID: 7, msg: { dom: domain } })
    const closing = domains.close()
    const call = await server.next('connect_domain_event_callback_deregister_any')
    server.connection.event('domain_event_callback_reboot', { callbackID: 7, msg: { dom: domain } })
    const net = { name: 'net', uuid: domain.uuid }
    server.connection.event('network_event_lifecycle', { callbackID: 7, net, event: 2, detail: 0 })
    call.reply({})
    await closing
    await domains.close()
    expect(seen).toEqual(['net'])
  })

  it('rejects when the server refuses the registration', async () => {
    const connection = await open()
    const error = failure(connection.subscribe('storagePoolRefresh', () => {}))
    ;(await server.next('connect_storage_pool_event_register_any')).fail(ErrorCode.NO_SUPPORT, 'no')
    expect(await error).toMatchObject({ code: ErrorCode.NO_SUPPORT })
  })
})

const pool = { name: 'p', uuid: '00112233-4455-6677-8899-aabbccddeeff' }
