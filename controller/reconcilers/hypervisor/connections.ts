/** Keeps one session open to each hypervisor, and turns what it tells into hints for the queues. */
import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import { BerthError } from '../../errors/index.ts'
import type { HostRegistry } from '../../hypervisor/hosts.ts'
import type { ConnectTarget, HypervisorEvent, InventoryEntry, Session } from '../../hypervisor/port.ts'

/** Opens a session with all that Berth wraps around it: the leader's guard, the host's limits, metrics. */
export type Connect = (
  hypervisor: string,
  target: ConnectTarget,
  limit: number,
  signal: AbortSignal,
) => Promise<Session>

interface Connection {
  readonly target: string
  readonly session: Session
  readonly abort: AbortController
}

export interface ConnectionListener {
  /** Something happened to a machine; look again. */
  machine(hypervisor: string, event: Extract<HypervisorEvent, { type: 'Machine' }>): void
  /** What is there now, by a listing of its own. */
  inventory(hypervisor: string, entries: readonly InventoryEntry[]): void
  /** Events may have been lost: look at everything there again. */
  gap(hypervisor: string): void
}

export class Connections {
  readonly #connect: Connect
  readonly #registry: HostRegistry
  readonly #listener: ConnectionListener
  readonly #log: Logger
  readonly #open = new Map<string, Connection>()

  constructor(connect: Connect, registry: HostRegistry, listener: ConnectionListener, log: Logger) {
    this.#connect = connect
    this.#registry = registry
    this.#listener = listener
    this.#log = log
  }

  /**
   * The session to that target: the open one, or a new one where the address, credentials or limits are others.
   * `expectedID`: the host's id as known; another id is DifferentHost, and nothing is done there.
   */
  async ensure(
    name: string,
    target: ConnectTarget,
    limit: number,
    expectedID: string | undefined,
    signal: AbortSignal,
  ): Promise<Session> {
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([target, limit]))
      .digest('hex')
    const open = this.#open.get(name)
    if (open?.target === fingerprint) return open.session
    await this.close(name)
    try {
      const session = await this.#connect(name, target, limit, signal)
      const { id } = session.information
      if (expectedID !== undefined && id !== expectedID) {
        await session.close()
        throw new BerthError(
          'DifferentHost',
          `the address answers with id ${id}, but it was ${expectedID} before: nothing is done there`,
        )
      }
      this.#adopt(name, { target: fingerprint, session, abort: new AbortController() }, target.callTimeout)
      return session
    } catch (error) {
      const { code, message } =
        error instanceof BerthError ? error : new BerthError('HypervisorUnreachable', String(error))
      this.#registry.set(name, { connected: false, code, message: `hypervisor ${name}: ${message}` })
      throw error
    }
  }

  /** It cannot be worked with, for a reason that was found before, or instead of, connecting. */
  failed(name: string, { code, message }: BerthError): void {
    if (!this.#registry.get(name).connected) {
      this.#registry.set(name, { connected: false, code, message: `hypervisor ${name}: ${message}` })
    }
  }

  /** Hands on a listing that was made for another reason. */
  tell(name: string, entries: readonly InventoryEntry[]): void {
    this.#listener.inventory(name, entries)
  }

  /** Closes the session and forgets the hypervisor's name. */
  async forget(name: string): Promise<void> {
    await this.close(name)
    this.#registry.remove(name)
  }

  async close(name: string): Promise<void> {
    const connection = this.#open.get(name)
    if (!connection) return
    this.#open.delete(name)
    connection.abort.abort()
    this.#registry.set(name, {
      connected: false,
      code: 'HypervisorUnreachable',
      message: `hypervisor ${name}: the connection is being replaced`,
    })
    await connection.session.close().catch(() => undefined)
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((name) => this.close(name)))
  }

  #adopt(name: string, connection: Connection, callTimeout: number): void {
    this.#open.set(name, connection)
    this.#registry.set(name, { connected: true, session: connection.session, callTimeout })
    void connection.session.closed.then((error) => this.#lost(name, connection, error))
    void this.#follow(name, connection)
  }

  async #follow(name: string, { session, abort }: Connection): Promise<void> {
    try {
      for await (const event of session.events(abort.signal)) {
        if (event.type === 'Machine') this.#listener.machine(name, event)
        else this.#listener.gap(name)
      }
    } catch (error) {
      // The session's `closed` tells the same; what is left to do is to look at everything again once it is back.
      if (!abort.signal.aborted) this.#log.info({ hypervisor: name, reason: String(error) }, 'events ended')
    }
    // Without events it would be deaf: a new session lists everything anew.
    if (!abort.signal.aborted) await session.close().catch(() => undefined)
  }

  #lost(name: string, connection: Connection, error: Error | undefined): void {
    if (this.#open.get(name) !== connection) return
    this.#open.delete(name)
    connection.abort.abort()
    const message = `hypervisor ${name}: the connection was lost${error ? `: ${error.message}` : ''}`
    this.#log.warn({ hypervisor: name, reason: error?.message }, 'connection lost')
    this.#registry.set(name, { connected: false, code: 'HypervisorUnreachable', message })
  }
}
