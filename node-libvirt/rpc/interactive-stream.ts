import { Duplex } from 'node:stream'
import { maxStreamPayload } from '../protocol/message.ts'
import type { HoldingStream } from './flow.ts'
import { destroyLater, type ServerStream, type StreamChannel, stalled } from './streams.ts'

/**
 * Bytes both ways, as a console sends them: it may be silent for as long as it likes. Ended by us or by the server,
 * both directions end when the server has confirmed; destroyed earlier, it aborts.
 */
export class InteractiveStream extends Duplex implements ServerStream, HoldingStream {
  readonly #channel: StreamChannel
  readonly #timer: NodeJS.Timeout
  /** Whether we wait for the server to take something. */
  #waiting = false
  #finishing = false
  #over = false
  #finished: (() => void) | undefined

  /** @param idleTimeout Milliseconds that the server may take nothing while something is written. */
  constructor(channel: StreamChannel, idleTimeout: number) {
    super({ highWaterMark: maxStreamPayload })
    this.#channel = channel
    this.#timer = setInterval(() => {
      if (this.#waiting) this.destroy(stalled(channel, `the server has taken nothing for ${idleTimeout} ms`))
    }, idleTimeout).unref()
  }

  get buffered(): number {
    return this.readableLength
  }

  giveUp(milliseconds: number): void {
    this.destroy(stalled(this.#channel, `nothing was read from the stream for ${milliseconds} ms, and others wait`))
  }

  override _read(): void {
    this.#channel.flow()
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: () => void): void {
    this.#waiting = true
    this.#timer.refresh()
    const rest = chunk.subarray(this.#channel.fill(chunk))
    this.#channel.send(() => {
      this.#timer.refresh()
      this.#waiting = false
      if (rest.length > 0) this._write(rest, encoding, done)
      else done()
    })
  }

  override _final(done: () => void): void {
    if (this.#over) {
      done()
    } else {
      this.#finished = done
      this.#finish()
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearInterval(this.#timer)
    if (!this.#over) this.#channel.abort()
    this.#channel.flow()
    done(error)
  }

  received(data: Buffer): void {
    if (data.length === 0) this.#finish()
    else if (!this.#finishing) {
      this.push(data)
      this.#channel.flow()
    }
  }

  confirmed(): void {
    this.#end()
    this.push(null)
    this.#finished?.()
    this.end()
  }

  failed(error: Error): void {
    this.#end()
    destroyLater(this, error)
  }

  #finish(): void {
    if (this.#finishing) return
    this.#finishing = true
    this.#waiting = true
    this.#timer.refresh()
    this.#channel.finish()
  }

  #end(): void {
    this.#over = true
    this.#waiting = false
    this.#channel.release()
    clearInterval(this.#timer)
  }
}
