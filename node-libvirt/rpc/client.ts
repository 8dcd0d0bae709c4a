import type { Duplex, Readable, Writable } from 'node:stream'
import {
  type ConnectionErrorReason,
  LibvirtAbortError,
  LibvirtConnectionError,
  LibvirtError,
  LibvirtProtocolError,
  LibvirtTimeoutError,
} from '../errors.ts'
import { type EventMessageName, type EventPayload, eventMessages } from '../protocol/event-messages.ts'
import {
  DataMessage,
  decodeHeader,
  encodeHeaderMessage,
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
import type { Caller, CallOptions, StreamOptions } from './caller.ts'
import { EarlyPackets, type Packet } from './early-packets.ts'
import { FlowControl, hardLimit } from './flow.ts'
import { FrameReader } from './framing.ts'
import { InteractiveStream } from './interactive-stream.ts'
import { Keepalive } from './keepalive.ts'
import { type Outgoing, Sender } from './sender.ts'
import { DownloadStream, type ServerStream, type StreamChannel, UploadStream } from './streams.ts'

export interface ClientOptions {
  /** Milliseconds. */
  readonly callTimeout: number
  readonly maxConcurrentCalls: number
  /** Milliseconds that a download's consumer may keep others waiting without reading. */
  readonly downloadPatience?: number
}

export type EventHandler = <N extends EventMessageName>(name: N, payload: EventPayload<N>) => void

interface PendingCall {
  readonly name: ProcedureName
  readonly serial: number
  readonly message: Outgoing
  readonly beforeSend: (() => void) | undefined
  /** Whether the socket has got it. */
  started: boolean
  timer: NodeJS.Timeout | undefined
  /** Of a call that opens a stream: what comes of it before the answer. */
  readonly early: EarlyPackets | undefined
  /** The server's answer, at the payload. Runs before the next message is looked at. */
  readonly answer: (payload: Decoder) => void
  readonly reject: (error: Error) => void
}

interface Loss {
  readonly reason: ConnectionErrorReason
  readonly message: string
  readonly cause?: unknown
}

const closedByUs: Loss = { reason: 'Closed', message: 'the connection was closed' }

const eventsByNumber = new Map<number, EventMessageName>(
  Object.entries(eventMessages).map(([name, { number }]) => [number, name as EventMessageName]),
)

const defaultIdleTimeout = 60_000
/** How long the server may take to say goodbye, milliseconds. */
const closeTimeout = 1_000

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

/**
 * libvirt's remote procedure calls over one socket: calls with deadlines, events, streams, keepalive.
 *
 * A call that is given up (deadline, signal) frees its place at once; its late answer is ignored. If the server never
 * answers, its own limit of concurrent calls is reached sooner or later, it stops reading, and keepalive ends the
 * connection.
 */
export class RpcClient implements Caller {
  /** Settles with the reason when the connection is gone; with undefined after {@link RpcClient.close}. */
  readonly closed: Promise<Error | undefined>
  readonly #socket: Duplex
  readonly #options: ClientOptions
  readonly #sender: Sender
  readonly #frames = new FrameReader()
  readonly #flow: FlowControl
  readonly #waiting = new Set<PendingCall>()
  readonly #inFlight = new Map<number, PendingCall>()
  readonly #streams = new Map<number, ServerStream>()
  /** Calls that would have opened a stream, and were given up: if the server opens it after all, it is told. */
  readonly #unwantedStreams = new Map<number, ProcedureName>()
  readonly #resolveClosed: (error: Error | undefined) => void
  #keepalive: Keepalive | undefined
  #pingQueued = false
  #eventHandler: EventHandler = () => {}
  #eventsWanted = 0
  #serial = 0
  #loss: Loss | undefined
  #closing: Promise<void> | undefined

  /** @param socket A connected stream on which nothing was read yet. */
  constructor(socket: Duplex, options: ClientOptions) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    this.closed = promise
    this.#resolveClosed = resolve
    this.#socket = socket
    this.#options = options
    this.#sender = new Sender(socket)
    this.#flow = new FlowControl(this.#flowHost(), options.downloadPatience ?? 5_000)
    socket.on('error', (cause) => this.#lose({ reason: 'Lost', message: `connection lost: ${cause.message}`, cause }))
    socket.on('close', () => this.#lose({ reason: 'Lost', message: 'the server closed the connection' }))
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    if (socket.destroyed) this.#lose({ reason: 'Lost', message: 'the server closed the connection' })
    else socket.resume()
  }

  get isAlive(): boolean {
    return this.#loss === undefined && this.#closing === undefined
  }

  /** Whether nothing is read from the server because a download's consumer is slow. */
  get downloadPaused(): boolean {
    return this.#flow.paused
  }

  // Calls

  call<N extends ProcedureName>(name: N, args: Arguments<N>, options: CallOptions = {}): Promise<Result<N>> {
    return this.callWith(name, args, options, (result) => result)
  }

  /**
   * A call whose answer is looked at before any later message: `onReply` gets the result and the call's serial, and
   * makes what the caller gets.
   */
  callWith<N extends ProcedureName, T>(
    name: N,
    args: Arguments<N>,
    options: CallOptions,
    onReply: (result: Result<N>, serial: number) => T,
  ): Promise<T> {
    return this.#call(name, args, options, onReply, undefined)
  }

  #call<N extends ProcedureName, T>(
    name: N,
    args: Arguments<N>,
    options: CallOptions,
    onReply: (result: Result<N>, serial: number) => T,
    early: EarlyPackets | undefined,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { signal, beforeSend, timeout = this.#options.callTimeout } = options
      const loss = this.#loss ?? (this.#closing === undefined ? undefined : closedByUs)
      if (loss !== undefined) throw this.#lost(loss, { procedure: name, effectUnknown: false })
      if (signal?.aborted) throw aborted(name, false, signal.reason)
      const { args: codec, ret } = procedures[name]
      const serial = this.#nextSerial()
      const bytes = encodeCall(name, serial, codec as Codec<Arguments<N>>, args)
      const onAbort = () => {
        this.#abandon(pending)
        pending.reject(aborted(name, pending.started, signal?.reason))
      }
      const settle = () => {
        clearTimeout(pending.timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const pending: PendingCall = {
        name,
        serial,
        beforeSend,
        started: false,
        timer: undefined,
        early,
        message: {
          bytes,
          started: () => {
            pending.started = true
          },
        },
        answer: (payload) => {
          settle()
          const result = (ret as Codec<Result<N>>).decode(payload)
          payload.end()
          resolve(onReply(result, serial))
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (Number.isFinite(timeout)) {
        pending.timer = setTimeout(() => {
          this.#abandon(pending)
          const fields = { procedure: name, effectUnknown: pending.started }
          pending.reject(new LibvirtTimeoutError(`${name}: no answer within ${timeout} ms`, fields))
        }, timeout).unref()
      }
      this.#waiting.add(pending)
      this.#startCalls()
    })
  }

  #startCalls(): void {
    for (const pending of this.#waiting) {
      if (this.#inFlight.size >= this.#options.maxConcurrentCalls) break
      this.#waiting.delete(pending)
      try {
        pending.beforeSend?.()
      } catch (error) {
        pending.reject(asError(error))
        continue
      }
      this.#inFlight.set(pending.serial, pending)
      this.#sender.send(pending.message)
    }
    this.#flow.update()
  }

  #abandon(pending: PendingCall): void {
    if (pending.early !== undefined && pending.started) this.#unwantedStreams.set(pending.serial, pending.name)
    this.#sender.cancel(pending.message)
    this.#waiting.delete(pending)
    this.#inFlight.delete(pending.serial)
    this.#startCalls()
  }

  #nextSerial(): number {
    do {
      this.#serial = this.#serial === 0xffffffff ? 1 : this.#serial + 1
    } while ([this.#inFlight, this.#streams, this.#unwantedStreams].some((serials) => serials.has(this.#serial)))
    return this.#serial
  }

  // Streams

  upload<N extends ProcedureName>(name: N, args: Arguments<N>, options: StreamOptions = {}): Promise<Writable> {
    return this.#openStream(name, args, options, (serial) => {
      const stream = new UploadStream(this.#channel(name, serial), options.idleTimeout ?? defaultIdleTimeout)
      this.#addStream(serial, stream)
      return stream
    })
  }

  async download<N extends ProcedureName>(name: N, args: Arguments<N>, options?: StreamOptions): Promise<Readable> {
    return (await this.downloadWith(name, args, options)).stream
  }

  downloadWith<N extends ProcedureName>(
    name: N,
    args: Arguments<N>,
    options: StreamOptions = {},
  ): Promise<{ readonly result: Result<N>; readonly stream: Readable }> {
    return this.#openStream(name, args, options, (serial, result) => {
      const stream = new DownloadStream(this.#channel(name, serial), options.idleTimeout ?? defaultIdleTimeout)
      this.#addStream(serial, stream)
      this.#flow.add(stream)
      stream.once('close', () => this.#flow.delete(stream))
      return { result, stream }
    })
  }

  interact<N extends ProcedureName>(name: N, args: Arguments<N>, options: StreamOptions = {}): Promise<Duplex> {
    return this.#openStream(name, args, options, (serial) => {
      const stream = new InteractiveStream(this.#channel(name, serial), options.idleTimeout ?? defaultIdleTimeout)
      this.#addStream(serial, stream)
      this.#flow.add(stream)
      stream.once('close', () => this.#flow.delete(stream))
      return stream
    })
  }

  #openStream<N extends ProcedureName, T>(
    name: N,
    args: Arguments<N>,
    options: StreamOptions,
    make: (serial: number, result: Result<N>) => T,
  ): Promise<T> {
    return this.#call(name, args, options, (result, serial) => make(serial, result), new EarlyPackets(hardLimit))
  }

  #addStream(serial: number, stream: UploadStream | DownloadStream | InteractiveStream): void {
    this.#streams.set(serial, stream)
    // A caller that does something else before it listens must not crash the process: `stream.errored` keeps the error.
    stream.on('error', () => {})
  }

  #channel(name: ProcedureName, serial: number): StreamChannel {
    const headerOf = (status: number) => header(name, MessageType.STREAM, serial, status)
    // Downloads need none.
    let packet: DataMessage | undefined
    let data: Outgoing | undefined
    return {
      procedure: name,
      fill: (bytes) => {
        packet ??= new DataMessage(headerOf(MessageStatus.CONTINUE))
        return packet.fill(bytes)
      },
      get full() {
        return packet?.full ?? false
      },
      send: (written) => {
        if (packet === undefined || packet.empty) {
          written()
          return
        }
        const next = () => {
          packet?.clear()
          written()
        }
        data = { bytes: packet.encoded(), written: next }
        this.#sender.send(data, true)
      },
      finish: () => this.#sender.send({ bytes: encodeHeaderMessage(headerOf(MessageStatus.OK)) }),
      abort: () => {
        this.#streams.delete(serial)
        if (this.#loss !== undefined) return
        if (data !== undefined) this.#sender.cancel(data)
        this.#sender.send({ bytes: abortMessage(name, serial) })
      },
      release: () => {
        this.#streams.delete(serial)
        if (data !== undefined) this.#sender.cancel(data)
      },
      flow: () => this.#flow.update(),
    }
  }

  #flowHost() {
    const client = this
    return {
      get othersWait() {
        return client.#inFlight.size > 0 || client.#eventsWanted > 0
      },
      pause: () => this.#socket.pause(),
      resume: () => this.#socket.resume(),
    }
  }

  // Events

  /** Whom events are told. Runs before the next message is looked at. */
  onEvent(handler: EventHandler): void {
    this.#eventHandler = handler
  }

  /** How many subscriptions there are: they count as others who wait when a download's consumer is slow. */
  set eventsWanted(count: number) {
    this.#eventsWanted = count
    this.#flow.update()
  }

  // Keepalive

  /** To be started when the server is known to speak it. */
  startKeepalive(options: { readonly interval: number; readonly count: number }): void {
    if (this.#loss !== undefined) return
    const client = this
    this.#keepalive = new Keepalive(
      {
        get paused() {
          return client.downloadPaused
        },
        ping: () => this.#ping(),
        dead: (message) => this.#lose({ reason: 'KeepaliveTimeout', message }),
      },
      options,
    )
  }

  #ping(): void {
    if (this.#pingQueued) return
    this.#pingQueued = true
    const written = () => {
      this.#pingQueued = false
    }
    this.#sender.send({ bytes: keepaliveMessage(KeepaliveProcedure.PING), written })
  }

  // Receiving

  #receive(chunk: Buffer): void {
    this.#keepalive?.heard()
    try {
      this.#frames.push(chunk, (message) => {
        if (this.#loss === undefined) this.#dispatch(message)
      })
    } catch (cause) {
      const message = `the server does not follow the protocol: ${asError(cause).message}`
      this.#lose({ reason: 'Protocol', message, cause })
    }
  }

  /** @throws what makes the connection useless. An answer that is wrong in itself fails its own call only. */
  #dispatch(message: Buffer): void {
    const decoder = new Decoder(message)
    const { program, version, procedure, type, serial, status } = decodeHeader(decoder)
    if (version !== programVersion) throw new Error(`version ${version} of program ${program}`)
    if (program === Program.KEEPALIVE) {
      if (procedure === KeepaliveProcedure.PING) {
        this.#sender.send({ bytes: keepaliveMessage(KeepaliveProcedure.PONG) })
      }
      return
    }
    if (program !== Program.REMOTE && program !== Program.QEMU) throw new Error(`program ${program}`)
    switch (type) {
      case MessageType.REPLY:
        this.#reply({ program, procedure, serial, status }, decoder)
        break
      case MessageType.MESSAGE:
        this.#event(procedure, decoder)
        break
      case MessageType.STREAM:
        this.#packet({ procedure, serial, status, payload: decoder })
        break
      default:
        throw new Error(`message type ${type}`)
    }
  }

  #reply({ program, procedure, serial, status }: Omit<Header, 'version' | 'type'>, payload: Decoder): void {
    const pending = this.#inFlight.get(serial)
    if (pending === undefined) {
      this.#lateReply(serial, status)
      return
    }
    this.#inFlight.delete(serial)
    try {
      if (procedure !== procedures[pending.name].number || program !== programOf(pending.name)) {
        throw new Error(`an answer of procedure ${procedure} of program ${program}`)
      }
      if (status === MessageStatus.OK) pending.answer(payload)
      else if (status === MessageStatus.ERROR) pending.reject(decodeError(payload, pending.name))
      else throw new Error(`an answer of status ${status}`)
    } catch (cause) {
      const fields = { effectUnknown: true, procedure: pending.name, cause }
      pending.reject(new LibvirtProtocolError(`${pending.name}: ${asError(cause).message}`, fields))
    }
    // After an error there is no stream that would take them.
    for (const packet of pending.early?.take() ?? []) this.#packet(packet)
    this.#startCalls()
  }

  /** A stream that nobody waits for any more would stay open at the server. */
  #lateReply(serial: number, status: number): void {
    const name = this.#unwantedStreams.get(serial)
    if (name === undefined) return
    this.#unwantedStreams.delete(serial)
    if (status === MessageStatus.OK) this.#sender.send({ bytes: abortMessage(name, serial) })
  }

  #event(number: number, payload: Decoder): void {
    const name = eventsByNumber.get(number)
    if (name === undefined) return
    const codec = eventMessages[name].msg as Codec<EventPayload<typeof name>>
    const event = codec.decode(payload)
    payload.end()
    this.#eventHandler(name, event)
  }

  #packet(packet: Packet): void {
    const { procedure, serial, status, payload } = packet
    const stream = this.#streams.get(serial)
    if (stream === undefined) this.#earlyPacket(packet)
    else if (status === MessageStatus.CONTINUE) stream.received(payload.rest())
    else if (status === MessageStatus.OK) stream.confirmed()
    else if (status === MessageStatus.ERROR) stream.failed(decodeError(payload, procedureName(procedure)))
    else throw new Error(`a stream packet of status ${status}`)
  }

  #earlyPacket(packet: Packet): void {
    const pending = this.#inFlight.get(packet.serial)
    if (pending?.early === undefined || pending.early.hold(packet)) return
    this.#abandon(pending)
    this.#unwantedStreams.delete(pending.serial)
    this.#sender.send({ bytes: abortMessage(pending.name, pending.serial) })
    const fields = { effectUnknown: true, procedure: pending.name }
    const message = `${pending.name}: more than ${hardLimit} bytes came before the answer`
    pending.reject(new LibvirtProtocolError(message, fields))
  }

  // The end

  /** Says goodbye, and closes. Calls that wait are rejected at once, streams destroyed. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#loss === undefined) {
      this.#rejectCalls(closedByUs)
      this.#destroyStreams(closedByUs)
      // Without it the host's journal gets an error about every connection that ends.
      await this.call('connect_close', {}, { timeout: closeTimeout }).catch(() => {})
      this.#lose(closedByUs)
    }
    await this.closed
  }

  /** Closes without a word. */
  abandon(): void {
    this.#lose({ reason: 'Closed', message: 'the connection was given up' })
  }

  #lose(loss: Loss): void {
    if (this.#loss !== undefined) return
    this.#loss = loss
    this.#keepalive?.stop()
    this.#flow.stop()
    this.#socket.destroy()
    this.#rejectCalls(loss)
    this.#destroyStreams(loss)
    const ours = this.#closing !== undefined
    this.#resolveClosed(ours ? undefined : this.#lost(loss, { effectUnknown: false }))
  }

  #rejectCalls(loss: Loss): void {
    const calls = [...this.#inFlight.values(), ...this.#waiting]
    this.#inFlight.clear()
    this.#waiting.clear()
    for (const call of calls) {
      this.#sender.cancel(call.message)
      call.reject(this.#lost(loss, { procedure: call.name, effectUnknown: call.started }))
    }
  }

  #destroyStreams(loss: Loss): void {
    for (const stream of [...this.#streams.values()]) stream.failed(this.#lost(loss, { effectUnknown: true }))
  }

  #lost(loss: Loss, fields: { readonly procedure?: string; readonly effectUnknown: boolean }): LibvirtConnectionError {
    const message = fields.procedure === undefined ? loss.message : `${fields.procedure}: ${loss.message}`
    const { reason, cause } = loss
    return new LibvirtConnectionError(message, { phase: 'established', reason, cause, ...fields })
  }
}

const header = (name: ProcedureName, type: number, serial: number, status: number): Header => ({
  program: programOf(name),
  version: programVersion,
  procedure: procedures[name].number,
  type,
  serial,
  status,
})

const keepaliveMessage = (procedure: number): Buffer =>
  encodeHeaderMessage({
    program: Program.KEEPALIVE,
    version: programVersion,
    procedure,
    type: MessageType.MESSAGE,
    serial: 0,
    status: MessageStatus.OK,
  })

/** Tells the server to give a stream up. */
const abortMessage = (name: ProcedureName, serial: number): Buffer =>
  encodeHeaderMessage(header(name, MessageType.STREAM, serial, MessageStatus.ERROR))

const encodeCall = <A>(name: ProcedureName, serial: number, codec: Codec<A>, args: A): Buffer => {
  try {
    return encodeMessage(header(name, MessageType.CALL, serial, MessageStatus.OK), codec, args)
  } catch (cause) {
    const fields = { effectUnknown: false, procedure: name, cause }
    throw new LibvirtProtocolError(`${name}: ${asError(cause).message}`, fields)
  }
}

const decodeError = (payload: Decoder, procedure: string): LibvirtError => {
  const { code, domain, level, message } = remoteError.decode(payload)
  return new LibvirtError(message ?? '', { code, domain, level, procedure })
}

const procedureName = (number: number): string =>
  Object.entries(procedures).find(([, procedure]) => procedure.number === number)?.[0] ?? `procedure ${number}`

const aborted = (name: string, effectUnknown: boolean, cause: unknown): LibvirtAbortError =>
  new LibvirtAbortError(`${name}: given up`, { procedure: name, effectUnknown, cause })
