import type { Writable } from 'node:stream'

/** A message on its way out. */
export interface Outgoing {
  readonly bytes: Buffer
  /** The socket has it: from now on it may take effect. */
  readonly started?: () => void
  /** The kernel has it, and there is room for more. */
  readonly written?: () => void
}

/**
 * Writes messages one by one, each only after the write of the one before has called back.
 *
 * Over TLS this is what keeps replies coming: Node merges writes that wait into one TLS record, and libvirtd (9.0)
 * takes one message from a record and then waits for its socket, while the next message is already in its TLS
 * library's buffer; it answers only when something else arrives. Everywhere it lets calls and keepalive overtake the
 * data of streams.
 */
export class Sender {
  readonly #socket: Writable
  readonly #urgent = new Set<Outgoing>()
  readonly #bulk = new Set<Outgoing>()
  #busy = false

  constructor(socket: Writable) {
    this.#socket = socket
  }

  /** @param bulk A stream's data: goes out when nothing else waits. */
  send(message: Outgoing, bulk = false): void {
    const queue = bulk ? this.#bulk : this.#urgent
    queue.add(message)
    if (!this.#busy) this.#next()
  }

  /** Takes back a message that has not started. */
  cancel(message: Outgoing): void {
    this.#urgent.delete(message)
    this.#bulk.delete(message)
  }

  #next(): void {
    const queue = this.#urgent.size > 0 ? this.#urgent : this.#bulk
    const [message] = queue
    this.#busy = message !== undefined
    if (message === undefined) return
    queue.delete(message)
    message.started?.()
    this.#socket.write(message.bytes, (error) => {
      // An error closes the connection, which tells everyone who waits.
      if (error) return
      message.written?.()
      this.#next()
    })
  }
}
