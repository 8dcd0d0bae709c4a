/** What the keepalive needs of its connection. */
export interface KeepaliveHost {
  /** True while we do not read because a consumer is slow: silence says nothing then. */
  readonly paused: boolean
  ping(): void
  /** The server is silent: the connection is to be given up. */
  dead(message: string): void
}

/**
 * Notices a server that is silent, and keeps it from thinking the same of us. After each interval without a byte from
 * the server it is pinged; after `count` pings without one it counts as dead.
 */
export class Keepalive {
  readonly #host: KeepaliveHost
  readonly #count: number
  readonly #interval: number
  readonly #timer: NodeJS.Timeout
  #heard = true
  #pings = 0

  constructor(host: KeepaliveHost, { interval, count }: { readonly interval: number; readonly count: number }) {
    this.#host = host
    this.#interval = interval
    this.#count = count
    this.#timer = setInterval(() => this.#tick(), interval).unref()
  }

  /** Something came from the server. */
  heard(): void {
    this.#heard = true
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    if (this.#host.paused) {
      this.#host.ping()
      return
    }
    if (this.#heard) {
      this.#heard = false
      this.#pings = 0
      return
    }
    if (this.#pings >= this.#count) {
      this.#host.dead(`the server has not answered ${this.#count} keepalive messages, ${this.#interval} ms apart`)
      return
    }
    this.#pings++
    this.#host.ping()
  }
}
