import { Domain } from './domain.ts'
import { EventHub } from './event-hub.ts'
import type { EventKind, EventListener, Subscription } from './events.ts'
import { Network } from './network.ts'
import type { CallOptions } from './rpc/caller.ts'
import type { RpcClient } from './rpc/client.ts'
import { openClient } from './rpc/open.ts'
import type { TlsOptions } from './rpc/transport.ts'
import { StoragePool, StorageVolume } from './storage.ts'

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
  /** Ends the opening; of no effect afterwards. */
  readonly signal?: AbortSignal | undefined
  /**
   * Calls that may be at the server at once; others wait their turn here. 4 unless given: one less than the server's
   * own default limit (`max_client_requests` = 5), at which it stops reading from us, keepalive included.
   */
  readonly maxConcurrentCalls?: number | undefined
}

export interface NodeInfo {
  /** CPU architecture: `x86_64`. */
  readonly model: string
  /** KiB. */
  readonly memory: number
  /** CPUs that are on line. */
  readonly cpus: number
  readonly mhz: number
  /** NUMA nodes. */
  readonly nodes: number
  /** Per node. */
  readonly sockets: number
  /** Per socket. */
  readonly cores: number
  /** Per core. */
  readonly threads: number
}

export interface DomainCapabilitiesQuery {
  readonly emulator?: string | undefined
  readonly arch?: string | undefined
  readonly machine?: string | undefined
  /** `kvm`, `qemu`, … */
  readonly virtType?: string | undefined
}

/**
 * A connection to one libvirt daemon. Methods may be called concurrently. They reject with `LibvirtError` (the server
 * said no), `LibvirtTimeoutError`, `LibvirtAbortError`, `LibvirtConnectionError` or `LibvirtProtocolError`.
 */
export class Connection {
  /** As given to {@link Connection.open}. */
  readonly uri: string
  /** Settles when the connection is gone: undefined after `close()`, else the reason. Never rejects. */
  readonly closed: Promise<Error | undefined>
  readonly #client: RpcClient
  readonly #events: EventHub

  private constructor(uri: string, client: RpcClient) {
    this.uri = uri
    this.#client = client
    this.closed = client.closed
    this.#events = new EventHub(client)
  }

  /**
   * Opens a connection.
   * - `qemu:///system`, `test:///default`: the local daemon's unix socket.
   * - `qemu+unix:///system?socket=/path`: that socket.
   * - `qemu+tls://host[:port]/system`: TLS with client certificates, port 16514.
   * @throws LibvirtConnectionError of phase `open`, or LibvirtError when the server refuses the name.
   * @throws TypeError for a URI that is none of these.
   */
  static async open(uri: string, options: ConnectionOptions = {}): Promise<Connection> {
    return new Connection(uri, await openClient(uri, options))
  }

  /** False as soon as the connection is known to be gone. Asks nobody. */
  get isAlive(): boolean {
    return this.#client.isAlive
  }

  /** Says goodbye and closes. Calls that are under way are rejected, streams destroyed. Idempotent, never rejects. */
  async close(): Promise<void> {
    await this.#client.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async getHostname(options?: CallOptions): Promise<string> {
    return (await this.#client.call('connect_get_hostname', {}, options)).hostname
  }

  /** Version of libvirt on the server: 9 000 000 is 9.0.0. */
  async getLibVersion(options?: CallOptions): Promise<number> {
    return (await this.#client.call('connect_get_lib_version', {}, options)).lib_ver
  }

  /** Version of the hypervisor, in the same form. */
  async getVersion(options?: CallOptions): Promise<number> {
    return (await this.#client.call('connect_get_version', {}, options)).hv_ver
  }

  /** Name of the driver: `QEMU`, `TEST`. */
  async getType(options?: CallOptions): Promise<string> {
    return (await this.#client.call('connect_get_type', {}, options)).type
  }

  /** XML; bears the host's UUID. */
  async getCapabilities(options?: CallOptions): Promise<string> {
    return (await this.#client.call('connect_get_capabilities', {}, options)).capabilities
  }

  /** XML: what domains of an emulator, machine and type may have. */
  async getDomainCapabilities(query: DomainCapabilitiesQuery = {}, options?: CallOptions): Promise<string> {
    const args = {
      emulatorbin: query.emulator,
      arch: query.arch,
      machine: query.machine,
      virttype: query.virtType,
      flags: 0,
    }
    return (await this.#client.call('connect_get_domain_capabilities', args, options)).capabilities
  }

  async getNodeInfo(options?: CallOptions): Promise<NodeInfo> {
    const { model, ...info } = await this.#client.call('node_get_info', {}, options)
    const end = model.indexOf(0)
    return { model: String.fromCharCode(...model.slice(0, end < 0 ? model.length : end)), ...info }
  }

  /** Bytes. */
  async getFreeMemory(options?: CallOptions): Promise<number> {
    return (await this.#client.call('node_get_free_memory', {}, options)).freeMem
  }

  /** @param flags `ListDomainsFlags`; 0 lists all. */
  async listAllDomains(flags = 0, options?: CallOptions): Promise<readonly Domain[]> {
    const { domains } = await this.#client.call('connect_list_all_domains', { need_results: 1, flags }, options)
    return domains.map((domain) => new Domain(this.#client, domain))
  }

  /** @throws LibvirtError NO_DOMAIN */
  async lookupDomainByUUID(uuid: string, options?: CallOptions): Promise<Domain> {
    return new Domain(this.#client, (await this.#client.call('domain_lookup_by_uuid', { uuid }, options)).dom)
  }

  /** @throws LibvirtError NO_DOMAIN */
  async lookupDomainByName(name: string, options?: CallOptions): Promise<Domain> {
    return new Domain(this.#client, (await this.#client.call('domain_lookup_by_name', { name }, options)).dom)
  }

  /** Defines or redefines; does not start. @param flags `DomainDefineFlags` */
  async defineDomain(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    return new Domain(this.#client, (await this.#client.call('domain_define_xml_flags', { xml, flags }, options)).dom)
  }

  /** @param flags `ListStoragePoolsFlags`; 0 lists all. */
  async listAllStoragePools(flags = 0, options?: CallOptions): Promise<readonly StoragePool[]> {
    const { pools } = await this.#client.call('connect_list_all_storage_pools', { need_results: 1, flags }, options)
    return pools.map((pool) => new StoragePool(this.#client, pool))
  }

  /** @throws LibvirtError NO_STORAGE_POOL */
  async lookupStoragePoolByName(name: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.#client.call('storage_pool_lookup_by_name', { name }, options)
    return new StoragePool(this.#client, pool)
  }

  /** @throws LibvirtError NO_STORAGE_POOL */
  async lookupStoragePoolByUUID(uuid: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.#client.call('storage_pool_lookup_by_uuid', { uuid }, options)
    return new StoragePool(this.#client, pool)
  }

  /** Defines; neither builds nor starts. */
  async defineStoragePool(xml: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.#client.call('storage_pool_define_xml', { xml, flags: 0 }, options)
    return new StoragePool(this.#client, pool)
  }

  /** @throws LibvirtError NO_STORAGE_VOL: no active pool has a volume there. */
  async lookupStorageVolByPath(path: string, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.#client.call('storage_vol_lookup_by_path', { path }, options)
    return new StorageVolume(this.#client, vol)
  }

  /** @param flags `ListNetworksFlags`; 0 lists all. */
  async listAllNetworks(flags = 0, options?: CallOptions): Promise<readonly Network[]> {
    const { nets } = await this.#client.call('connect_list_all_networks', { need_results: 1, flags }, options)
    return nets.map((net) => new Network(this.#client, net))
  }

  /** @throws LibvirtError NO_NETWORK */
  async lookupNetworkByName(name: string, options?: CallOptions): Promise<Network> {
    return new Network(this.#client, (await this.#client.call('network_lookup_by_name', { name }, options)).net)
  }

  /** @throws LibvirtError NO_NETWORK */
  async lookupNetworkByUUID(uuid: string, options?: CallOptions): Promise<Network> {
    return new Network(this.#client, (await this.#client.call('network_lookup_by_uuid', { uuid }, options)).net)
  }

  /** Defines; does not start. */
  async defineNetwork(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this.#client, (await this.#client.call('network_define_xml', { xml }, options)).net)
  }

  /** Makes and starts a transient network. */
  async createNetwork(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this.#client, (await this.#client.call('network_create_xml', { xml }, options)).net)
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
