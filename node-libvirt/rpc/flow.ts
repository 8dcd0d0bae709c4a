/** Bytes that a download may hold for its consumer before we stop reading, while nobody else waits for the server. */
export const softLimit = 4 * 1024 * 1024
/** Bytes that it may hold while others do. */
export const hardLimit = 32 * 1024 * 1024

/** A stream that holds bytes for its consumer. */
export interface HoldingStream {
  /** Bytes that the consumer has not taken yet. */
  readonly buffered: number
  /** The consumer keeps others waiting for too long. */
  giveUp(milliseconds: number): void
}

export interface FlowHost {
  /** Whether anything but downloads comes from the server: replies, events. */
  readonly othersWait: boolean
  pause(): void
  resume(): void
}

/**
 * Back-pressure of downloads. libvirt's protocol has none of its own: data come as fast as the socket takes them, in
 * one line with replies, events and keepalive. So a slow consumer can only be waited for by not reading at all:
 * - above {@link softLimit} we stop reading while nobody else waits for the server;
 * - when somebody does, reading goes on up to {@link hardLimit};
 * - above that it stops for all, but a consumer that takes nothing for `patience` milliseconds loses its stream.
 */
export class FlowControl {
  readonly #host: FlowHost
  readonly #patience: number
  readonly #downloads = new Set<HoldingStream>()
  #paused = false
  #timer: NodeJS.Timeout | undefined

  constructor(host: FlowHost, patience: number) {
    this.#host = host
    this.#patience = patience
  }

  get paused(): boolean {
    return this.#paused
  }

  add(stream: HoldingStream): void {
    this.#downloads.add(stream)
  }

  delete(stream: HoldingStream): void {
    this.#downloads.delete(stream)
    this.update()
  }

  /** To be called when a stream's buffer, or who waits, has changed. */
  update(): void {
    const limit = this.#host.othersWait ? hardLimit : softLimit
    let full = false
    for (const stream of this.#downloads) full ||= stream.buffered >= limit
    if (full === this.#paused) return
    this.#paused = full
    clearTimeout(this.#timer)
    if (full) {
      this.#host.pause()
      this.#watch()
    } else {
      this.#host.resume()
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#downloads.clear()
  }

  #watch(): void {
    const before = new Map([...this.#downloads].map((stream) => [stream, stream.buffered]))
    this.#timer = setTimeout(() => {
      if (this.#host.othersWait) {
        for (const stream of [...this.#downloads]) {
          const stuck = stream.buffered >= hardLimit && stream.buffered === before.get(stream)
          if (stuck) stream.giveUp(this.#patience)
        }
      }
      if (this.#paused) this.#watch()
    }, this.#patience).unref()
  }
}
