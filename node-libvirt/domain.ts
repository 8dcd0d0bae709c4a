import { DomainStatistics } from './domain/statistics.ts'
import { limits } from './protocol/types.ts'
import type { CallOptions } from './rpc/caller.ts'

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

export interface VCPU {
  readonly number: number
  /** One of `VCPUState`. */
  readonly state: number
  /** Nanoseconds. */
  readonly cpuTime: bigint
  /** CPU of the host that it runs on; -1: none. */
  readonly cpu: number
}

/**
 * A virtual machine. Only a name for it: nothing is cached, every method asks the server, and every method rejects
 * with a `LibvirtError` of code NO_DOMAIN when it has gone. The server finds it by UUID.
 */
export class Domain extends DomainStatistics {
  /** @param flags `DomainXMLFlags` */
  async getXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.caller.call('domain_get_xml_desc', { dom: this.ref, flags }, options)).xml
  }

  /** State (`DomainState`) and the reason that goes with it (`DomainShutoffReason`, `DomainPausedReason`, …). */
  async getState(options?: CallOptions): Promise<{ readonly state: number; readonly reason: number }> {
    return this.caller.call('domain_get_state', { dom: this.ref, flags: 0 }, options)
  }

  async getInfo(options?: CallOptions): Promise<DomainInfo> {
    const info = await this.caller.call('domain_get_info', { dom: this.ref }, options)
    return {
      state: info.state,
      maxMemory: info.maxMem,
      memory: info.memory,
      cpus: info.nrVirtCpu,
      cpuTime: info.cpuTime,
    }
  }

  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.caller.call('domain_is_active', { dom: this.ref }, options)).active === 1
  }

  /** False: it is transient, and vanishes when it stops. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.caller.call('domain_is_persistent', { dom: this.ref }, options)).persistent === 1
  }

  /** Whether its definition was changed since it was started. */
  async isUpdated(options?: CallOptions): Promise<boolean> {
    return (await this.caller.call('domain_is_updated', { dom: this.ref }, options)).updated === 1
  }

  /** What libvirt has to say of it, for people. @param flags `DomainMessageType`; 0 asks for all. */
  async getMessages(flags = 0, options?: CallOptions): Promise<readonly string[]> {
    return (await this.caller.call('domain_get_messages', { dom: this.ref, flags }, options)).msgs
  }

  /** Only one that is off. This object keeps the old name; the UUID finds it still. */
  async rename(name: string, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_rename', { dom: this.ref, new_name: name, flags: 0 }, options)
  }

  /** Starts it. A running one gives OPERATION_INVALID. @param flags `DomainCreateFlags` */
  async create(flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_create_with_flags', { dom: this.ref, flags }, options)
  }

  /** Asks the guest to shut down, and returns when asked. @param flags `DomainShutdownFlags` */
  async shutdown(flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_shutdown_flags', { dom: this.ref, flags }, options)
  }

  /** Cuts the power. One that is off gives OPERATION_INVALID. @param flags `DomainDestroyFlags` */
  async destroy(flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_destroy_flags', { dom: this.ref, flags }, options)
  }

  /** Asks the guest to restart. @param flags `DomainRebootFlags` */
  async reboot(flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_reboot', { dom: this.ref, flags }, options)
  }

  /** Presses the reset button: the guest is not asked. */
  async reset(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_reset', { dom: this.ref, flags: 0 }, options)
  }

  /** Stops the CPUs; memory stays. */
  async suspend(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_suspend', { dom: this.ref }, options)
  }

  async resume(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_resume', { dom: this.ref }, options)
  }

  /** Has the guest suspend itself, by its agent. @param target `NodeSuspendTarget` */
  async pmSuspend(target: number, options?: CallOptions): Promise<void> {
    const args = { dom: this.ref, target, duration: 0, flags: 0 }
    await this.caller.call('domain_pm_suspend_for_duration', args, options)
  }

  /** Wakes a guest that has suspended itself. */
  async pmWakeup(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_pm_wakeup', { dom: this.ref, flags: 0 }, options)
  }

  async injectNMI(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_inject_nmi', { dom: this.ref, flags: 0 }, options)
  }

  /** Presses keys, all at once. @param set `KeycodeSet` @param holdTime Milliseconds. */
  async sendKey(set: number, holdTime: number, keys: readonly number[], options?: CallOptions): Promise<void> {
    const args = { dom: this.ref, codeset: set, holdtime: holdTime, keycodes: keys, flags: 0 }
    await this.caller.call('domain_send_key', args, options)
  }

  // Memory and CPUs

  /** KiB. */
  async getMaxMemory(options?: CallOptions): Promise<number> {
    return (await this.caller.call('domain_get_max_memory', { dom: this.ref }, options)).memory
  }

  /** @param memory KiB. @param flags `DomainMemoryFlags` */
  async setMemory(memory: number, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_memory_flags', { dom: this.ref, memory, flags }, options)
  }

  /** @param flags `DomainVCPUFlags` */
  async setVCPUs(count: number, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_vcpus_flags', { dom: this.ref, nvcpus: count, flags }, options)
  }

  /** @param flags `DomainVCPUFlags` */
  async getVCPUCount(flags = 0, options?: CallOptions): Promise<number> {
    return (await this.caller.call('domain_get_vcpus_flags', { dom: this.ref, flags }, options)).num
  }

  /** CPUs of a running domain. */
  async getVCPUs(options?: CallOptions): Promise<readonly VCPU[]> {
    const args = { dom: this.ref, maxinfo: limits.VCPUINFO, maplen: 0 }
    const { info } = await this.caller.call('domain_get_vcpus', args, options)
    return info.map(({ cpu_time, ...vcpu }) => ({ ...vcpu, cpuTime: cpu_time }))
  }

  /** Has a CPU run on these CPUs of the host alone. @param flags `DomainModificationImpact` */
  async pinVCPU(vcpu: number, cpus: readonly number[], flags = 0, options?: CallOptions): Promise<void> {
    const cpumap = Buffer.alloc(Math.floor(Math.max(0, ...cpus) / 8) + 1)
    for (const cpu of cpus) cpumap.writeUInt8(cpumap.readUInt8(cpu >> 3) | (1 << (cpu & 7)), cpu >> 3)
    await this.caller.call('domain_pin_vcpu_flags', { dom: this.ref, vcpu, cpumap, flags }, options)
  }

  /** Removes the definition; one that runs becomes transient. @param flags `DomainUndefineFlags` */
  async undefine(flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_undefine_flags', { dom: this.ref, flags }, options)
  }

  /**
   * Title, description, or the element of a namespace.
   * @param type `DomainMetadataType`
   * @param uri The element's namespace; undefined for title and description.
   * @param flags `DomainModificationImpact`
   * @throws LibvirtError NO_DOMAIN_METADATA: there is none.
   */
  async getMetadata(type: number, uri?: string, flags = 0, options?: CallOptions): Promise<string> {
    return (await this.caller.call('domain_get_metadata', { dom: this.ref, type, uri, flags }, options)).metadata
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
    const args = { dom: this.ref, type, metadata, key: namespace?.key, uri: namespace?.uri, flags }
    await this.caller.call('domain_set_metadata', args, options)
  }

  /**
   * Sends a command to QEMU's monitor as it is. libvirt does not follow what it does: for reading alone.
   * @param command JSON: `{"execute":"query-status"}`
   */
  async qemuMonitorCommand(command: string, options?: CallOptions): Promise<string> {
    const args = { dom: this.ref, cmd: command, flags: 0 }
    return (await this.caller.call('qemu_domain_monitor_command', args, options)).result
  }

  /** Whether libvirt starts it with the host. */
  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_autostart', { dom: this.ref, autostart: autostart ? 1 : 0 }, options)
  }

  async getAutostart(options?: CallOptions): Promise<boolean> {
    return (await this.caller.call('domain_get_autostart', { dom: this.ref }, options)).autostart === 1
  }
}
