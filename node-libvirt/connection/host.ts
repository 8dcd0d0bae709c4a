import { maxNodeCells } from '../protocol/types.ts'
import type { CallOptions } from '../rpc/caller.ts'
import type { RpcClient } from '../rpc/client.ts'

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

/** Figures by name. */
export type NodeStatistics = Readonly<Record<string, bigint>>

/** `VIR_NODE_CPU_STATS_ALL_CPUS`, `VIR_NODE_MEMORY_STATS_ALL_CELLS` */
const allOfThem = -1

const byName = (list: readonly { readonly field: string; readonly value: bigint }[]): NodeStatistics =>
  Object.fromEntries(list.map(({ field, value }) => [field, value]))

/** What the server says of itself and of its host. */
export abstract class HostMethods {
  declare protected readonly client: RpcClient

  constructor(client: RpcClient) {
    // Not to be seen when the object is printed or turned into JSON.
    Object.defineProperty(this, 'client', { value: client })
  }

  async getHostname(options?: CallOptions): Promise<string> {
    return (await this.client.call('connect_get_hostname', {}, options)).hostname
  }

  /** Version of libvirt on the server: 9 000 000 is 9.0.0. */
  async getLibVersion(options?: CallOptions): Promise<number> {
    return (await this.client.call('connect_get_lib_version', {}, options)).lib_ver
  }

  /** Version of the hypervisor, in the same form. */
  async getVersion(options?: CallOptions): Promise<number> {
    return (await this.client.call('connect_get_version', {}, options)).hv_ver
  }

  /** Name of the driver: `QEMU`, `TEST`. */
  async getType(options?: CallOptions): Promise<string> {
    return (await this.client.call('connect_get_type', {}, options)).type
  }

  /** XML; bears the host's UUID. */
  async getCapabilities(options?: CallOptions): Promise<string> {
    return (await this.client.call('connect_get_capabilities', {}, options)).capabilities
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
    return (await this.client.call('connect_get_domain_capabilities', args, options)).capabilities
  }

  async getNodeInfo(options?: CallOptions): Promise<NodeInfo> {
    const { model, ...info } = await this.client.call('node_get_info', {}, options)
    const end = model.indexOf(0)
    return { model: String.fromCharCode(...model.slice(0, end < 0 ? model.length : end)), ...info }
  }

  /** The name by which the server's driver was opened: `qemu:///system`. */
  async getURI(options?: CallOptions): Promise<string> {
    return (await this.client.call('connect_get_uri', {}, options)).uri
  }

  /** XML of the host's SMBIOS; a driver that has none gives NO_SUPPORT. */
  async getSysinfo(options?: CallOptions): Promise<string> {
    return (await this.client.call('connect_get_sysinfo', { flags: 0 }, options)).sysinfo
  }

  /** Most CPUs that a domain of a type (`kvm`) may have. */
  async getMaxVCPUs(type?: string, options?: CallOptions): Promise<number> {
    return (await this.client.call('connect_get_max_vcpus', { type }, options)).max_vcpus
  }

  /** Models of CPUs that libvirt knows of an architecture. */
  async getCPUModelNames(arch: string, options?: CallOptions): Promise<readonly string[]> {
    const args = { arch, need_results: 1, flags: 0 }
    return (await this.client.call('connect_get_cpu_model_names', args, options)).models
  }

  /** How a CPU compares with the host's: one of `CPUCompareResult`. @param xml `<cpu>` */
  async compareCPU(xml: string, options?: CallOptions): Promise<number> {
    return (await this.client.call('connect_compare_cpu', { xml, flags: 0 }, options)).result
  }

  /** Nanoseconds that the host's CPUs, or one of them, spent: `user`, `kernel`, `idle`, `iowait`. */
  async getCPUStats(cpu = allOfThem, options?: CallOptions): Promise<NodeStatistics> {
    // The server wants to hear the exact number, which it tells when asked for none.
    const { nparams } = await this.client.call('node_get_cpu_stats', { cpuNum: cpu, nparams: 0, flags: 0 }, options)
    const args = { cpuNum: cpu, nparams, flags: 0 }
    return byName((await this.client.call('node_get_cpu_stats', args, options)).params)
  }

  /** KiB of the host's memory, or of a NUMA node's: `total`, `free`, `buffers`, `cached`. */
  async getMemoryStats(cell = allOfThem, options?: CallOptions): Promise<NodeStatistics> {
    const none = { nparams: 0, cellNum: cell, flags: 0 }
    const { nparams } = await this.client.call('node_get_memory_stats', none, options)
    const args = { nparams, cellNum: cell, flags: 0 }
    return byName((await this.client.call('node_get_memory_stats', args, options)).params)
  }

  /** Bytes that are free in each NUMA node. */
  async getCellsFreeMemory(options?: CallOptions): Promise<readonly number[]> {
    const args = { startCell: 0, maxcells: maxNodeCells }
    return (await this.client.call('node_get_cells_free_memory', args, options)).cells
  }

  /** Bytes. */
  async getFreeMemory(options?: CallOptions): Promise<number> {
    return (await this.client.call('node_get_free_memory', {}, options)).freeMem
  }
}
