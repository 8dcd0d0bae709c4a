import type { NetworkRef } from './protocol/types.ts'
import type { Caller, CallOptions } from './rpc/caller.ts'

export interface DHCPLease {
  /** Name of the bridge. */
  readonly interface: string
  /** Seconds since 1970; 0: never expires. */
  readonly expiryTime: number
  /** One of `IPAddressType`. */
  readonly type: number
  readonly macAddress: string | undefined
  readonly iaid: string | undefined
  readonly address: string
  readonly prefix: number
  readonly hostName: string | undefined
  readonly clientID: string | undefined
}

/** A virtual network. Found by UUID; nothing is cached. */
export class Network {
  readonly name: string
  readonly uuid: string
  readonly #caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: NetworkRef) {
    this.#caller = caller
    this.name = ref.name
    this.uuid = ref.uuid
  }

  get #ref(): NetworkRef {
    return { name: this.name, uuid: this.uuid }
  }

  /** @param flags `NetworkXMLFlags` */
  async getXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call('network_get_xml_desc', { net: this.#ref, flags }, options)).xml
  }

  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('network_is_active', { net: this.#ref }, options)).active === 1
  }

  /** False: it is transient, and forgotten when it stops. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('network_is_persistent', { net: this.#ref }, options)).persistent === 1
  }

  /**
   * Changes one part, without a restart.
   * @param command `NetworkUpdateCommand`
   * @param section `NetworkUpdateSection`
   * @param xml The element: `<host mac="…" ip="…"/>`
   * @param parentIndex Which of several parents (`<ip>`) is meant; -1: the one that fits.
   * @param flags `NetworkUpdateFlags`
   */
  async update(
    command: number,
    section: number,
    xml: string,
    parentIndex = -1,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const args = { net: this.#ref, command, section, parentIndex, xml, flags }
    await this.#caller.call('network_update', args, options)
  }

  /** Starts it. */
  async create(options?: CallOptions): Promise<void> {
    await this.#caller.call('network_create', { net: this.#ref }, options)
  }

  /** Stops it. */
  async destroy(options?: CallOptions): Promise<void> {
    await this.#caller.call('network_destroy', { net: this.#ref }, options)
  }

  async undefine(options?: CallOptions): Promise<void> {
    await this.#caller.call('network_undefine', { net: this.#ref }, options)
  }

  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    await this.#caller.call('network_set_autostart', { net: this.#ref, autostart: autostart ? 1 : 0 }, options)
  }

  async getAutostart(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('network_get_autostart', { net: this.#ref }, options)).autostart === 1
  }

  async getBridgeName(options?: CallOptions): Promise<string> {
    return (await this.#caller.call('network_get_bridge_name', { net: this.#ref }, options)).name
  }

  /** @param mac Only leases of this address. */
  async getDHCPLeases(mac?: string, options?: CallOptions): Promise<readonly DHCPLease[]> {
    const args = { net: this.#ref, mac, need_results: 1, flags: 0 }
    const { leases } = await this.#caller.call('network_get_dhcp_leases', args, options)
    return leases.map((lease) => ({
      interface: lease.iface,
      expiryTime: lease.expirytime,
      type: lease.type,
      macAddress: lease.mac,
      iaid: lease.iaid,
      address: lease.ipaddr,
      prefix: lease.prefix,
      hostName: lease.hostname,
      clientID: lease.clientid,
    }))
  }
}
