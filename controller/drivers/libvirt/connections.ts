import { Connection, type ConnectionOptions } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import { readHostID } from './host-id.ts'

/**
 * What a connection is for. A daemon works on a few calls of one connection at a time and reads no others meanwhile,
 * so long calls (`operations`), those that go on for minutes when nobody waits any more (`suspends`), streams
 * (`transfers`) and what waits for a guest (`agent`) must not stand before short ones (`main`), nor before each other.
 */
export type Purpose = 'main' | 'operations' | 'suspends' | 'transfers' | 'agent'

/** Connections to one daemon, by purpose. All but `main` are opened when first needed, and anew when they were lost. */
export class Connections {
  readonly main: Connection
  readonly #uri: string
  readonly #options: ConnectionOptions
  readonly #others = new Map<Purpose, Promise<Connection>>()
  #closed = false

  private constructor(uri: string, options: ConnectionOptions, main: Connection) {
    this.#uri = uri
    this.#options = options
    this.main = main
  }

  /** Rejects as `Connection.open` does. */
  static async open(uri: string, options: ConnectionOptions, signal?: AbortSignal): Promise<Connections> {
    return new Connections(uri, options, await Connection.open(uri, { ...options, signal }))
  }

  async for(purpose: Purpose): Promise<Connection> {
    if (purpose === 'main' || this.#closed) return this.main
    const known = this.#others.get(purpose)
    const alive = await known?.then(
      (connection) => connection.isAlive,
      () => false,
    )
    if (known !== undefined && alive) return known
    if (this.#closed) return this.main
    // Another caller may have opened one while we waited.
    const current = this.#others.get(purpose)
    if (current !== undefined && current !== known) return current
    const opening = this.#openOther()
    this.#others.set(purpose, opening)
    return opening
  }

  /** A name may lead to another host by now: nothing is ever done there. */
  async #openOther(): Promise<Connection> {
    const connection = await Connection.open(this.#uri, this.#options)
    try {
      const [expected, found] = await Promise.all([readHostID(this.main), readHostID(connection)])
      if (found === expected) return connection
      throw new BerthError('DifferentHost', `The address answers with host ${found} instead of ${expected}.`)
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  /** Idempotent, never rejects. */
  async close(): Promise<void> {
    this.#closed = true
    const others = await Promise.allSettled(this.#others.values())
    await Promise.all([
      this.main.close(),
      ...others.map((other) => (other.status === 'fulfilled' ? other.value.close() : undefined)),
    ])
  }
}
