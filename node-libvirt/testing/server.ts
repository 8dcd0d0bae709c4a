import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EventMessageName, type EventPayload, eventMessages } from '../protocol/event-messages.ts'
import {
  decodeHeader,
  encodeMessage,
  type Header,
  KeepaliveProcedure,
  MessageStatus,
  MessageType,
  Program,
  programVersion,
} from '../protocol/message.ts'
import { type Arguments, type ProcedureName, procedures, programOf, type Result } from '../protocol/procedures.ts'
import { remoteError } from '../protocol/types.ts'
import { type Codec, Decoder } from '../protocol/xdr.ts'
import { FrameReader } from '../rpc/framing.ts'
import { encodeRawMessage } from './raw-message.ts'

/** A message as the server got it. */
export interface Received extends Header {
  readonly payload: Buffer
}

/** A call that waits for its answer; nothing is answered unless the test does. */
export interface ReceivedCall<N extends ProcedureName> {
  readonly serial: number
  readonly args: Arguments<N>
  readonly connection: ServerConnection
  reply(result: Result<N>): void
  fail(code: number, message: string): void
}

type Handler = (call: ReceivedCall<ProcedureName>) => void

const header = (
  procedure: number,
  type: number,
  serial: number,
  status: number,
  program: number = Program.REMOTE,
): Header => ({
  program,
  version: programVersion,
  procedure,
  type,
  serial,
  status,
})

const remoteErrorFields = {
  domain: 10,
  level: 2,
  dom: undefined,
  str1: undefined,
  str2: undefined,
  str3: undefined,
  int1: -1,
  int2: -1,
  net: undefined,
}

/** The server's side of one connection. */
export class ServerConnection {
  readonly socket: Socket
  /** Everything that came, in order. */
  readonly received: Received[] = []
  readonly #waiters = new Set<() => void>()

  constructor(socket: Socket, onCall: (connection: ServerConnection, message: Received) => void) {
    this.socket = socket
    const frames = new FrameReader()
    socket.on('data', (chunk: Buffer) => {
      frames.push(chunk, (frame) => {
        const decoder = new Decoder(frame)
        const message = { ...decodeHeader(decoder), payload: decoder.rest() }
        this.received.push(message)
        if (message.program !== Program.KEEPALIVE && message.type === MessageType.CALL) onCall(this, message)
        for (const waiter of [...this.#waiters]) waiter()
      })
    })
    socket.on('error', () => {})
  }

  /** Waits until what came satisfies a condition. */
  async until(condition: (received: readonly Received[]) => boolean): Promise<void> {
    while (!condition(this.received)) {
      await new Promise<void>((resolve) => {
        const waiter = () => {
          this.#waiters.delete(waiter)
          resolve()
        }
        this.#waiters.add(waiter)
      })
    }
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  event<N extends EventMessageName>(name: N, payload: EventPayload<N>): void {
    const { number, msg } = eventMessages[name]
    const head = header(number, MessageType.MESSAGE, 0, MessageStatus.OK)
    this.send(encodeMessage(head, msg as Codec<EventPayload<N>>, payload))
  }

  packet(name: ProcedureName, serial: number, status: number, payload?: Uint8Array): void {
    this.send(encodeRawMessage(header(procedures[name].number, MessageType.STREAM, serial, status), payload))
  }

  packetError(name: ProcedureName, serial: number, code: number, message: string): void {
    const head = header(procedures[name].number, MessageType.STREAM, serial, MessageStatus.ERROR)
    this.send(encodeMessage(head, remoteError, { ...remoteErrorFields, code, message }))
  }

  ping(): void {
    const head = header(KeepaliveProcedure.PING, MessageType.MESSAGE, 0, MessageStatus.OK)
    this.send(encodeRawMessage({ ...head, program: Program.KEEPALIVE }))
  }
}

/** The bytes of an answer, for tests that cut or damage them. */
export const encodeReply = <N extends ProcedureName>(name: N, serial: number, result: Result<N>): Buffer => {
  const { number, ret } = procedures[name]
  const head = header(number, MessageType.REPLY, serial, MessageStatus.OK, programOf(name))
  return encodeMessage(head, ret as Codec<Result<N>>, result)
}

const encodeFailure = (name: ProcedureName, serial: number, code: number, message: string): Buffer => {
  const head = header(procedures[name].number, MessageType.REPLY, serial, MessageStatus.ERROR, programOf(name))
  return encodeMessage(head, remoteError, { ...remoteErrorFields, code, message })
}

/**
 * A libvirt server for unit tests, on a unix socket: it opens connections by itself, and leaves every other call to
 * the test. Deliberately no more: behaviour is for the tests on a real libvirtd.
 */
export class TestServer implements AsyncDisposable {
  readonly socketPath: string
  readonly uri: string
  readonly connections: ServerConnection[] = []
  readonly #server: Server
  readonly #folder: string
  readonly #handlers = new Map<ProcedureName, Handler>()
  readonly #calls: { name: ProcedureName; call: ReceivedCall<ProcedureName> }[] = []
  readonly #waiters = new Set<() => void>()

  private constructor(server: Server, folder: string) {
    this.#server = server
    this.#folder = folder
    this.socketPath = join(folder, 'sock')
    this.uri = `test+unix:///default?socket=${this.socketPath}`
    this.on('auth_list', (call) => call.reply({ types: [0] }))
    this.on('connect_open', (call) => call.reply({}))
    this.on('connect_supports_feature', (call) => call.reply({ supported: 1 }))
    this.on('connect_close', (call) => {
      call.reply({})
      call.connection.socket.end()
    })
    server.on('connection', (socket) => {
      this.connections.push(new ServerConnection(socket, (connection, message) => this.#onCall(connection, message)))
    })
  }

  static async start(): Promise<TestServer> {
    const server = createServer()
    const started = new TestServer(server, mkdtempSync(join(tmpdir(), 'node-libvirt-')))
    server.listen(started.socketPath)
    await once(server, 'listening')
    return started
  }

  /** For servers that stand before this one. */
  dial(): Socket {
    return connect(this.socketPath)
  }

  /** The connection that was opened last. */
  get connection(): ServerConnection {
    const connection = this.connections.at(-1)
    if (connection === undefined) throw new Error('no connection')
    return connection
  }

  /** Answers every call of a procedure; undefined leaves them unanswered. */
  on<N extends ProcedureName>(name: N, handler: ((call: ReceivedCall<N>) => void) | undefined): void {
    if (handler === undefined) this.#handlers.delete(name)
    else this.#handlers.set(name, handler as unknown as Handler)
  }

  /** The next call of a procedure that has no handler. */
  async next<N extends ProcedureName>(name: N): Promise<ReceivedCall<N>> {
    for (;;) {
      const at = this.#calls.findIndex((call) => call.name === name)
      const [found] = at < 0 ? [] : this.#calls.splice(at, 1)
      if (found !== undefined) return found.call as unknown as ReceivedCall<N>
      await new Promise<void>((resolve) => {
        const waiter = () => {
          this.#waiters.delete(waiter)
          resolve()
        }
        this.#waiters.add(waiter)
      })
    }
  }

  #onCall(connection: ServerConnection, message: Received): void {
    const name = (Object.keys(procedures) as ProcedureName[]).find(
      (known) => procedures[known].number === message.procedure && programOf(known) === message.program,
    )
    if (name === undefined) throw new Error(`procedure ${message.procedure}`)
    const decoder = new Decoder(message.payload)
    const args = procedures[name].args.decode(decoder) as Arguments<ProcedureName>
    decoder.end()
    const { serial } = message
    const call: ReceivedCall<ProcedureName> = {
      serial,
      args,
      connection,
      reply: (result) => connection.send(encodeReply(name, serial, result)),
      fail: (code, text) => connection.send(encodeFailure(name, serial, code, text)),
    }
    const handler = this.#handlers.get(name)
    if (handler !== undefined) handler(call)
    else {
      this.#calls.push({ name, call })
      for (const waiter of [...this.#waiters]) waiter()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.connections) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
