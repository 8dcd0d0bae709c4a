import { SecretMethods } from './connection/secrets.ts'
import { EventHub } from './event-hub.ts'
import type { EventKind, EventListener, Subscription } from './events.ts'
import type { SaslOptions } from './rpc/authenticate.ts'
import type { CallOptions } from './rpc/caller.ts'
import type { RpcClient } from './rpc/client.ts'
import { openClient } from './rpc/open.ts'
import type { SshOptions } from './rpc/ssh.ts'
import type { TlsOptions } from './rpc/tls.ts'

export interface KeepaliveOptions {
  /** Milliseconds of silence before the server is asked for a sign of life; 0 turns it off. */
  readonly interval: number
  /** Unanswered questions after which the connection counts as lost. */
  readonly count: number
}

export interface ConnectionOptions {
  /** Deadline in milliseconds of the whole opening, and of each call that gives none of its own; 30 000. */
  readonly callTimeout?: number | undefined
  /** `{ interval: 5000, count: 3 }` unless given. */
  readonly keepalive?: KeepaliveOptions | undefined
  /** Needed for `qemu+tls://`. */
  readonly tls?: TlsOptions | undefined
  /** Needed for `qemu+ssh://`. */
  readonly ssh?: SshOptions | undefined
  /** Needed where the server demands a user and a password. */
  readonly sasl?: SaslOptions | undefined
  /** Ends the opening; of no effect afterwards. */
  readonly signal?: AbortSignal | undefined
  /**
   * Calls that may be at the server at once; others wait their turn here. 4 unless given: one less than the server's
   * own default limit (`max_client_requests` = 5), at which it stops reading from us, keepalive included.
   */
  readonly maxConcurrentCalls?: number | undefined
}

/**
 * A connection to one libvirt daemon. Methods may be called concurrently. They reject with `LibvirtError` (the server
 * said no), `LibvirtTimeoutError`, `LibvirtAbortError`, `LibvirtConnectionError` or `LibvirtProtocolError`.
 */
export class Connection extends SecretMethods {
  /** As given to {@link Connection.open}. */
  readonly uri: string
  /** Settles when the connection is gone: undefined after `close()`, else the reason. Never rejects. */
  readonly closed: Promise<Error | undefined>
  readonly #events: EventHub

  private constructor(uri: string, client: RpcClient) {
    super(client)
    this.uri = uri
    this.closed = client.closed
    this.#events = new EventHub(client)
  }

  /**
   * Opens a connection.
   * - `qemu:///system`, `test:///default`: the local daemon's unix socket.
   * - `qemu+unix:///system?socket=/path`: that socket.
   * - `qemu+tls://host[:port]/system`: TLS with client certificates, port 16514.
   * - `qemu+ssh://user@host[:port]/system[?socket=/path]`: through an SSH server to the unix socket on its host.
   * - `qemu+tcp://host[:port]/system`: neither secret nor checked, port 16509: for networks that nobody else is on.
   * @throws LibvirtConnectionError of phase `open`, or LibvirtError when the server refuses the name.
   * @throws TypeError for a URI that is none of these.
   */
  static async open(uri: string, options: ConnectionOptions = {}): Promise<Connection> {
    return new Connection(uri, await openClient(uri, options))
  }

  /** False as soon as the connection is known to be gone. Asks nobody. */
  get isAlive(): boolean {
    return this.client.isAlive
  }

  /** Says goodbye and closes. Calls that are under way are rejected, streams destroyed. Idempotent, never rejects. */
  async close(): Promise<void> {
    await this.client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * Events of one kind, of every object on the server. Settles when the server has registered us; events that happen
   * after that moment are delivered, in the server's order, until the subscription or the connection is closed.
   * A listener must not throw.
   */
  async subscribe<K extends EventKind>(
    kind: K,
    listener: EventListener<K>,
    options?: CallOptions,
  ): Promise<Subscription> {
    return this.#events.subscribe(kind, listener, options)
  }
}
