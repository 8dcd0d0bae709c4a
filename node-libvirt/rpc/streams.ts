import { type Duplex, Readable, Writable } from 'node:stream'
import { LibvirtProtocolError, LibvirtTimeoutError } from '../errors.ts'
import { maxStreamPayload } from '../protocol/message.ts'
import type { HoldingStream } from './flow.ts'

/** What a stream needs of its connection. */
export interface StreamChannel {
  readonly procedure: string
  /** Puts data into the packet that is to be sent next; answers how many bytes it had room for. Not while one is sent. */
  fill(data: Uint8Array): number
  /** Sends that packet, unless it is empty; `written` is called when the next may be filled. */
  send(written: () => void): void
  /** Whether that packet has no room left. */
  readonly full: boolean
  /** Says that all was sent or received; the server confirms. */
  finish(): void
  /** Tells the server to give up, and forgets the stream; late packets are ignored. */
  abort(): void
  /** Forgets a stream that has ended. */
  release(): void
  /** What waits for the consumer has become more or less. */
  flow(): void
}

/** A stream as the connection sees it. */
export interface ServerStream {
  /** Data; empty: the server has no more. */
  received(data: Buffer): void
  /** The server confirms that the stream is finished. */
  confirmed(): void
  /** The server reports an error, or the connection is gone: the server needs no word of it. */
  failed(error: Error): void
}

export const unexpected = (channel: StreamChannel, what: string): LibvirtProtocolError =>
  new LibvirtProtocolError(`${channel.procedure}: ${what}`, { effectUnknown: true, procedure: channel.procedure })

export const stalled = (channel: StreamChannel, what: string): LibvirtTimeoutError =>
  new LibvirtTimeoutError(`${channel.procedure}: ${what}`, { effectUnknown: true, procedure: channel.procedure })

/** An error may come in one piece with the answer that makes the stream: its caller is to have a chance to listen. */
export const destroyLater = (stream: Duplex | Readable | Writable, error: Error): void => {
  setImmediate(() => stream.destroy(error))
}

/** Bytes to the server. Finishes when the server has confirmed; destroyed earlier, it aborts. */
export class UploadStream extends Writable implements ServerStream {
  readonly #channel: StreamChannel
  readonly #timer: NodeJS.Timeout
  /** Whether we wait for the server. */
  #waiting = false
  #over = false
  #confirm: (() => void) | undefined

  constructor(channel: StreamChannel, idleTimeout: number) {
    super({ highWaterMark: 4 * maxStreamPayload, decodeStrings: true })
    this.#channel = channel
    this.#timer = setInterval(() => {
      if (this.#waiting) this.destroy(stalled(channel, `the server has taken nothing for ${idleTimeout} ms`))
    }, idleTimeout).unref()
  }

  /** A packet that is not full waits for more: the server has as much work with a small one as with a large one. */
  override _write(chunk: Buffer, encoding: BufferEncoding, done: () => void): void {
    const rest = chunk.subarray(this.#channel.fill(chunk))
    if (this.#channel.full) this.#send(() => this._write(rest, encoding, done))
    else done()
  }

  override _final(done: () => void): void {
    this.#send(() => {
      this.#waiting = true
      this.#confirm = done
      this.#channel.finish()
    })
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer)
    if (!this.#over) this.#channel.abort()
    done(error)
  }

  received(data: Buffer): void {
    // An empty packet only says that the other end of the server's pipe was closed; an error or our finish decides.
    if (data.length > 0) this.destroy(unexpected(this.#channel, 'the server sent data on an upload'))
  }

  confirmed(): void {
    if (this.#confirm === undefined) {
      this.destroy(unexpected(this.#channel, 'the server finished an upload that is under way'))
      return
    }
    this.#end()
    this.#confirm()
  }

  failed(error: Error): void {
    this.#end()
    destroyLater(this, error)
  }

  #send(sent: () => void): void {
    this.#waiting = true
    this.#timer.refresh()
    this.#channel.send(() => {
      this.#waiting = false
      this.#timer.refresh()
      sent()
    })
  }

  #end(): void {
    this.#over = true
    this.#channel.release()
    clearInterval(this.#timer)
  }
}

/** Bytes from the server. Ends when the server has confirmed that all was sent; destroyed earlier, it aborts. */
export class DownloadStream extends Readable implements ServerStream, HoldingStream {
  readonly #channel: StreamChannel
  readonly #timer: NodeJS.Timeout
  #queue: Buffer[] = []
  #buffered = 0
  #wanted = false
  #finishing = false
  #complete = false
  #over = false

  constructor(channel: StreamChannel, idleTimeout: number) {
    super({ highWaterMark: maxStreamPayload })
    this.#channel = channel
    this.#timer = setInterval(() => {
      const waiting = (this.#wanted && this.#buffered === 0) || this.#finishing
      if (waiting) this.destroy(stalled(channel, `the server has sent nothing for ${idleTimeout} ms`))
    }, idleTimeout).unref()
  }

  get buffered(): number {
    return this.#buffered
  }

  giveUp(milliseconds: number): void {
    this.destroy(stalled(this.#channel, `nothing was read from the stream for ${milliseconds} ms, and others wait`))
  }

  override _read(): void {
    this.#wanted = true
    if (this.#buffered > 0) {
      this.#deliver()
      this.#channel.flow()
    } else {
      this.#timer.refresh()
      this.#endIfComplete()
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer)
    this.#queue = []
    this.#buffered = 0
    if (!this.#over) this.#channel.abort()
    this.#channel.flow()
    done(error)
  }

  received(data: Buffer): void {
    this.#timer.refresh()
    if (this.#finishing) {
      this.destroy(unexpected(this.#channel, 'the server sent data after the end'))
    } else if (data.length === 0) {
      this.#finishing = true
      this.#channel.finish()
    } else {
      this.#queue.push(data)
      this.#buffered += data.length
      this.#deliver()
      this.#channel.flow()
    }
  }

  confirmed(): void {
    if (!this.#finishing) {
      this.destroy(unexpected(this.#channel, 'the server finished a download before its end'))
      return
    }
    this.#end()
    this.#finishing = false
    this.#complete = true
    this.#endIfComplete()
  }

  failed(error: Error): void {
    this.#end()
    destroyLater(this, error)
  }

  #deliver(): void {
    while (this.#wanted) {
      const chunk = this.#queue.shift()
      if (chunk === undefined) break
      this.#buffered -= chunk.length
      this.#wanted = this.push(chunk)
    }
    this.#endIfComplete()
  }

  #endIfComplete(): void {
    if (!this.#complete || this.#buffered > 0) return
    this.#complete = false
    this.push(null)
  }

  #end(): void {
    this.#over = true
    this.#channel.release()
    clearInterval(this.#timer)
  }
}
