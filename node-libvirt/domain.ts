import type { DomainRef } from './protocol/types.ts'
import type { Caller, CallOptions } from './rpc/caller.ts'

export interface DomainInfo {
  /** One of `DomainState`. */
  readonly state: number
  /** Most memory that it may have, KiB. */
  readonly maxMemory: number
  /** Memory that it has now, KiB. */
  readonly memory: number
  readonly cpus: number
  /** Nanoseconds; a bigint because it passes 2^53 after 104 days of one CPU. */
  readonly cpuTime: bigint
}

export interface DomainInterface {
  /** Name on the host (`vnet0`) or, by the agent, in the guest (`eth0`). */
  readonly name: string
  readonly hardwareAddress: string | undefined
  readonly addresses: readonly DomainInterfaceAddress[]
}

export interface DomainInterfaceAddress {
  /** One of `IPAddressType`. */
  readonly type: number
  readonly address: string
  readonly prefix: number
}

/**
 * A virtual machine. Only a name for it: nothing is cached, every method asks the server, and every method rejects
 * with a `LibvirtError` of code NO_DOMAIN when it has gone. The server finds it by UUID.
 */
export class Domain {
  readonly name: string
  /** Lower case, with hyphens. */
  readonly uuid: string
  /** Number while it runs, as of the answer that made this object; -1: it was off. */
  readonly id: number
  readonly #caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: DomainRef) {
    this.#caller = caller
    this.name = ref.name
    this.uuid = ref.uuid
    this.id = ref.id
  }

  get #ref(): DomainRef {
    return { name: this.name, uuid: this.uuid, id: this.id }
  }

  /** @param flags `DomainXMLFlags` */
  async getXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call('domain_get_xml_desc', { dom: this.#ref, flags }, options)).xml
  }

  /** State (`DomainState`) and the reason that goes with it (`DomainShutoffReason`, `DomainPausedReason`, …). */
  async getState(options?: CallOptions): Promise<{ readonly state: number; readonly reason: number }> {
    return this.#caller.call('domain_get_state', { dom: this.#ref, flags: 0 }, options)
  }

  async getInfo(options?: CallOptions): Promise<DomainInfo> {
    const info = await this.#caller.call('domain_get_info', { dom: this.#ref }, options)
    return {
      state: info.state,
      maxMemory: info.maxMem,
      memory: info.memory,
      cpus: info.nrVirtCpu,
      cpuTime: info.cpuTime,
    }
  }

  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('domain_is_active', { dom: this.#ref }, options)).active === 1
  }

  /** False: it is transient, and vanishes when it stops. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('domain_is_persistent', { dom: this.#ref }, options)).persistent === 1
  }

  /** Starts it. A running one gives OPERATION_INVALID. @param flags `DomainCreateFlags` */
  async create(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_create_with_flags', { dom: this.#ref, flags }, options)
  }

  /** Asks the guest to shut down, and returns when asked. @param flags `DomainShutdownFlags` */
  async shutdown(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_shutdown_flags', { dom: this.#ref, flags }, options)
  }

  /** Cuts the power. One that is off gives OPERATION_INVALID. @param flags `DomainDestroyFlags` */
  async destroy(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_destroy_flags', { dom: this.#ref, flags }, options)
  }

  /** Asks the guest to restart. @param flags `DomainRebootFlags` */
  async reboot(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_reboot', { dom: this.#ref, flags }, options)
  }

  /** Stops the CPUs; memory stays. */
  async suspend(options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_suspend', { dom: this.#ref }, options)
  }

  async resume(options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_resume', { dom: this.#ref }, options)
  }

  /** Saves memory to the host's disk and stops; the next start goes on from there. @param flags `DomainSaveFlags` */
  async managedSave(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_managed_save', { dom: this.#ref, flags }, options)
  }

  async hasManagedSave(options?: CallOptions): Promise<boolean> {
    const args = { dom: this.#ref, flags: 0 }
    return (await this.#caller.call('domain_has_managed_save_image', args, options)).result === 1
  }

  async removeManagedSave(options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_managed_save_remove', { dom: this.#ref, flags: 0 }, options)
  }

  /** Removes the definition; one that runs becomes transient. @param flags `DomainUndefineFlags` */
  async undefine(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_undefine_flags', { dom: this.#ref, flags }, options)
  }

  /**
   * Title, description, or the element of a namespace.
   * @param type `DomainMetadataType`
   * @param uri The element's namespace; undefined for title and description.
   * @param flags `DomainModificationImpact`
   * @throws LibvirtError NO_DOMAIN_METADATA: there is none.
   */
  async getMetadata(type: number, uri?: string, flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call('domain_get_metadata', { dom: this.#ref, type, uri, flags }, options)).metadata
  }

  /**
   * @param type `DomainMetadataType`
   * @param metadata Text, or the element as XML; undefined removes it.
   * @param namespace Prefix and URI of the element; undefined for title and description.
   * @param flags `DomainModificationImpact`
   */
  async setMetadata(
    type: number,
    metadata: string | undefined,
    namespace?: { readonly key: string; readonly uri: string },
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const args = { dom: this.#ref, type, metadata, key: namespace?.key, uri: namespace?.uri, flags }
    await this.#caller.call('domain_set_metadata', args, options)
  }

  /** @param source `InterfaceAddressesSource` */
  async interfaceAddresses(source: number, flags = 0, options?: CallOptions): Promise<readonly DomainInterface[]> {
    const { ifaces } = await this.#caller.call('domain_interface_addresses', { dom: this.#ref, source, flags }, options)
    return ifaces.map((iface) => ({
      name: iface.name,
      hardwareAddress: iface.hwaddr,
      addresses: iface.addrs.map(({ type, addr, prefix }) => ({ type, address: addr, prefix })),
    }))
  }

  /** Whether libvirt starts it with the host. */
  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_set_autostart', { dom: this.#ref, autostart: autostart ? 1 : 0 }, options)
  }

  async getAutostart(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('domain_get_autostart', { dom: this.#ref }, options)).autostart === 1
  }
}
