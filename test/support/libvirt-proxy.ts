/** A proxy before libvirtd's unix socket that knows the messages: it can hold one back, cut a stream, or fall silent. */
import { rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import {
  decodeHeader,
  type Header,
  headerSize,
  lengthSize,
  MessageType,
  Program,
} from '../../node-libvirt/protocol/message.ts'
import { procedures } from '../../node-libvirt/protocol/procedures.ts'
import { Decoder } from '../../node-libvirt/protocol/xdr.ts'
import { FrameReader } from '../../node-libvirt/rpc/framing.ts'

export interface SeenMessage {
  readonly from: 'client' | 'server'
  readonly type: 'call' | 'reply' | 'stream' | 'other'
  /** As libvirt's remote_protocol.x calls it. */
  readonly procedure: string
  /** Of a stream, what was sent in this direction before this message, in bytes. */
  readonly streamed: number
}

export type Treatment = 'pass' | 'hold' | 'cut'

/** A message that was held back: it goes on its way when released, though its sender may be gone. */
export interface HeldMessage {
  readonly message: SeenMessage
  release(): void
}

const nameOf = new Map<number, string>(Object.entries(procedures).map(([name, { number }]) => [number, name]))

/** The procedures that change something on a host, of those that Berth calls. */
const changing =
  /^(domain_(create|define|destroy|undefine|shutdown|managed_save|suspend|resume|set_|attach|detach|update)|storage_(pool_(define|create|build|set)|vol_(create|delete|upload|resize|wipe)))/
export const changesHost = ({ from, type, procedure }: SeenMessage): boolean =>
  from === 'client' && type === 'call' && changing.test(procedure)

export class LibvirtProxy {
  readonly uri: string
  /** Calls that change the host, in the order in which they were sent to it. */
  readonly changes: string[] = []
  readonly held: HeldMessage[] = []
  /** What is done with a message; those that are not told go through. */
  treat: (message: SeenMessage) => Treatment = () => 'pass'
  readonly #path: string
  readonly #target: string
  readonly #pairs = new Set<Pair>()
  #server: Server | undefined
  #silent = false

  private constructor(path: string, target: string) {
    this.#path = path
    this.#target = target
    this.uri = `qemu+unix:///system?socket=${path}`
  }

  /** `path` is where the proxy listens. */
  static async start({ socketPath }: { readonly socketPath: string }, path: string): Promise<LibvirtProxy> {
    const proxy = new LibvirtProxy(path, socketPath)
    await proxy.accept()
    return proxy
  }

  /** Everything goes through again, held messages excepted. */
  heal(): void {
    this.treat = () => 'pass'
    if (this.#silent) {
      this.#silent = false
      for (const pair of this.#pairs) pair.resume()
    }
  }

  /** Takes connections (again). */
  accept(): Promise<void> {
    rmSync(this.#path, { force: true })
    const server = createServer((client) => this.#connect(client))
    this.#server = server
    return new Promise((resolve) => server.listen(this.#path, resolve))
  }

  /** Refuses new connections, and cuts those that are there. */
  refuse(): void {
    this.#server?.close()
    for (const pair of this.#pairs) pair.cut()
  }

  /** As a host that hangs: connections stay, take everything, and nothing comes back. */
  fallSilent(): void {
    this.#silent = true
    for (const pair of this.#pairs) pair.pause()
  }

  stop(): void {
    this.refuse()
    rmSync(this.#path, { force: true })
  }

  #connect(client: Socket): void {
    const pair = new Pair(client, createConnection(this.#target), this, () => this.#pairs.delete(pair))
    this.#pairs.add(pair)
    if (this.#silent) pair.pause()
  }
}

/** One connection of a client, and its own to the daemon. */
class Pair {
  readonly #client: Socket
  readonly #server: Socket
  readonly #proxy: LibvirtProxy
  readonly #streamed = new Map<string, number>()
  /** Serials of held calls, until the daemon has answered them. */
  readonly #heldCalls = new Set<number>()
  #clientGone = false

  constructor(client: Socket, server: Socket, proxy: LibvirtProxy, ended: () => void) {
    this.#client = client
    this.#server = server
    this.#proxy = proxy
    this.#forward('client', client, server)
    this.#forward('server', server, client)
    client.once('close', () => {
      this.#clientGone = true
      this.#endServer()
    })
    server.once('close', () => {
      client.destroy()
      ended()
    })
    for (const socket of [client, server]) socket.on('error', () => undefined)
  }

  cut(): void {
    this.#client.destroy()
  }
  pause(): void {
    this.#client.pause()
    this.#server.pause()
  }
  resume(): void {
    this.#client.resume()
    this.#server.resume()
  }

  #forward(from: SeenMessage['from'], source: Socket, sink: Socket): void {
    const reader = new FrameReader()
    source.on('data', (chunk: Buffer) => {
      reader.push(chunk, (frame) => {
        // What comes after a cut is lost, as on a broken line.
        if (!this.#clientGone || from === 'server') this.#message(from, frame, sink)
      })
    })
  }

  #message(from: SeenMessage['from'], frame: Buffer, sink: Socket): void {
    const header = decodeHeader(new Decoder(frame))
    const message: SeenMessage = {
      from,
      type: typeOf(header),
      procedure: header.program === Program.REMOTE ? (nameOf.get(header.procedure) ?? `${header.procedure}`) : 'other',
      streamed: this.#count(from, header, frame.length - headerSize),
    }
    const bytes = Buffer.alloc(lengthSize + frame.length)
    bytes.writeUInt32BE(bytes.length, 0)
    frame.copy(bytes, lengthSize)
    const send = () => {
      if (changesHost(message)) this.#proxy.changes.push(message.procedure)
      if (!sink.destroyed) sink.write(bytes)
    }
    const treatment = this.#proxy.treat(message)
    if (treatment === 'pass') send()
    if (treatment === 'cut') {
      this.#clientGone = true
      this.#client.destroy()
    }
    if (treatment === 'hold') this.#hold(message, header, send)
    else if (message.type === 'reply' && this.#heldCalls.delete(header.serial)) this.#endServer()
  }

  #hold(message: SeenMessage, { serial }: Header, send: () => void): void {
    if (message.from === 'client') this.#heldCalls.add(serial)
    this.#proxy.held.push({ message, release: send })
  }

  /** The connection to the daemon ends with the client's, but not before what was held has been sent and answered. */
  #endServer(): void {
    if (this.#clientGone && this.#heldCalls.size === 0) this.#server.end()
  }

  #count(from: string, { type, serial }: Header, length: number): number {
    if (type !== MessageType.STREAM) return 0
    const key = `${from} ${serial}`
    const before = this.#streamed.get(key) ?? 0
    this.#streamed.set(key, before + length)
    return before
  }
}

const typeOf = ({ type }: Header): SeenMessage['type'] => {
  if (type === MessageType.CALL) return 'call'
  if (type === MessageType.REPLY) return 'reply'
  return type === MessageType.STREAM ? 'stream' : 'other'
}
