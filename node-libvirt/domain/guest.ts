import { GetHostnameFlags } from '../constants.ts'
import type { TypedParameters } from '../protocol/typed-parameters.ts'
import type { CallOptions } from '../rpc/caller.ts'
import { DomainDevices } from './devices.ts'

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

export interface GuestFileSystem {
  readonly mountPoint: string
  /** In the guest: `vda1`. */
  readonly name: string
  readonly type: string
  /** Targets of the disks that it lies on. */
  readonly disks: readonly string[]
}

/** Since 1970. */
export interface GuestTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/**
 * What a guest tells and does by its agent. Without an agent that answers these reject with AGENT_UNRESPONSIVE, where
 * the definition has none with ARGUMENT_UNSUPPORTED. Deadlines of ours do not end the call inside libvirt:
 * {@link DomainGuest.setAgentResponseTimeout} does.
 */
export abstract class DomainGuest extends DomainDevices {
  /** @param source `InterfaceAddressesSource` */
  async interfaceAddresses(source: number, flags = 0, options?: CallOptions): Promise<readonly DomainInterface[]> {
    const { ifaces } = await this.caller.call('domain_interface_addresses', { dom: this.ref, source, flags }, options)
    return ifaces.map((iface) => ({
      name: iface.name,
      hardwareAddress: iface.hwaddr,
      addresses: iface.addrs.map(({ type, addr, prefix }) => ({ type, address: addr, prefix })),
    }))
  }

  /** @param flags `GetHostnameFlags`: whom to ask. */
  async getHostname(flags: number = GetHostnameFlags.AGENT, options?: CallOptions): Promise<string> {
    return (await this.caller.call('domain_get_hostname', { dom: this.ref, flags }, options)).hostname
  }

  /** `os.name`, `user.count`, `user.0.name`, … @param types `GuestInfoTypes`; 0 asks for all. */
  async getGuestInfo(types = 0, options?: CallOptions): Promise<TypedParameters> {
    return (await this.caller.call('domain_get_guest_info', { dom: this.ref, types, flags: 0 }, options)).params
  }

  async getFileSystems(options?: CallOptions): Promise<readonly GuestFileSystem[]> {
    const { info } = await this.caller.call('domain_get_fsinfo', { dom: this.ref, flags: 0 }, options)
    return info.map(({ mountpoint, name, fstype, dev_aliases }) => ({
      mountPoint: mountpoint,
      name,
      type: fstype,
      disks: dev_aliases,
    }))
  }

  /** Stops writes to file systems until they are thawed. @param mountPoints All unless given. @returns how many. */
  async freezeFileSystems(mountPoints: readonly string[] = [], options?: CallOptions): Promise<number> {
    const args = { dom: this.ref, mountpoints: mountPoints, flags: 0 }
    return (await this.caller.call('domain_fsfreeze', args, options)).filesystems
  }

  /** @param mountPoints All unless given. @returns how many. */
  async thawFileSystems(mountPoints: readonly string[] = [], options?: CallOptions): Promise<number> {
    const args = { dom: this.ref, mountpoints: mountPoints, flags: 0 }
    return (await this.caller.call('domain_fsthaw', args, options)).filesystems
  }

  /** Gives free blocks back to the host. @param minimum Bytes: smaller free ranges may be left out. */
  async trimFileSystems(mountPoint?: string, minimum = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_fstrim', { dom: this.ref, mountPoint, minimum, flags: 0 }, options)
  }

  async getTime(options?: CallOptions): Promise<GuestTime> {
    const { seconds, nseconds } = await this.caller.call('domain_get_time', { dom: this.ref, flags: 0 }, options)
    return { seconds, nanoseconds: nseconds }
  }

  /** @param flags `SetTimeFlags` */
  async setTime({ seconds, nanoseconds }: GuestTime, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_time', { dom: this.ref, seconds, nseconds: nanoseconds, flags }, options)
  }

  /** @param flags `SetUserPasswordFlags` */
  async setUserPassword(user: string, password: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_user_password', { dom: this.ref, user, password, flags }, options)
  }

  async getAuthorizedSSHKeys(user: string, options?: CallOptions): Promise<readonly string[]> {
    return (await this.caller.call('domain_authorized_ssh_keys_get', { dom: this.ref, user, flags: 0 }, options)).keys
  }

  /** Replaces them, unless flags say otherwise. @param flags `AuthorizedSSHKeysSetFlags` */
  async setAuthorizedSSHKeys(user: string, keys: readonly string[], flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_authorized_ssh_keys_set', { dom: this.ref, user, keys, flags }, options)
  }

  /**
   * How long libvirt waits for this guest's agent: a call that waits for longer ends inside libvirt, and with it the
   * lock that it holds on the domain.
   * @param seconds Or one of `AgentResponseTimeout`.
   */
  async setAgentResponseTimeout(seconds: number, options?: CallOptions): Promise<void> {
    const args = { dom: this.ref, timeout: seconds, flags: 0 }
    await this.caller.call('domain_agent_set_response_timeout', args, options)
  }

  /**
   * Sends a command to the agent as it is (QEMU only).
   * @param command JSON: `{"execute":"guest-ping"}`
   * @param seconds How long libvirt waits for the answer, or one of `AgentResponseTimeout`.
   * @returns JSON; undefined if none was waited for.
   */
  async agentCommand(command: string, seconds = -1, options?: CallOptions): Promise<string | undefined> {
    const args = { dom: this.ref, cmd: command, timeout: seconds, flags: 0 }
    return (await this.caller.call('qemu_domain_agent_command', args, options)).result
  }
}
