import type { TypedParameters } from '../protocol/typed-parameters.ts'
import { limits } from '../protocol/types.ts'
import type { CallOptions } from '../rpc/caller.ts'
import { DomainGuest } from './guest.ts'

export interface InterfaceStats {
  readonly receivedBytes: number
  readonly receivedPackets: number
  readonly receiveErrors: number
  readonly receiveDrops: number
  readonly sentBytes: number
  readonly sentPackets: number
  readonly sendErrors: number
  readonly sendDrops: number
}

export interface DomainJobInfo {
  /** One of `DomainJobType`. */
  readonly type: number
  /** Milliseconds. */
  readonly timeElapsed: number
  readonly timeRemaining: number
  /** Bytes, of memory and disks together. */
  readonly dataTotal: number
  readonly dataProcessed: number
  readonly dataRemaining: number
  readonly memoryTotal: number
  readonly memoryProcessed: number
  readonly memoryRemaining: number
  readonly fileTotal: number
  readonly fileProcessed: number
  readonly fileRemaining: number
}

export interface DomainControlInfo {
  /** One of `DomainControlState`. */
  readonly state: number
  readonly details: number
  /** Milliseconds that it has been so. */
  readonly stateTime: number
}

/** What a domain uses, and what it is busy with. */
export abstract class DomainStatistics extends DomainGuest {
  /** By number of `MemoryStat`, in KiB (faults and cache counts aside); what the server does not know is absent. */
  async getMemoryStats(options?: CallOptions): Promise<ReadonlyMap<number, bigint>> {
    const args = { dom: this.ref, maxStats: limits.DOMAIN_MEMORY_STATS, flags: 0 }
    const { stats } = await this.caller.call('domain_memory_stats', args, options)
    return new Map(stats.map(({ tag, val }) => [tag, val]))
  }

  /**
   * How often the balloon driver is asked for statistics.
   * @param period Seconds; 0: never.
   * @param flags `DomainModificationImpact`
   */
  async setMemoryStatsPeriod(period: number, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_memory_stats_period', { dom: this.ref, period, flags }, options)
  }

  /** `rd_bytes`, `wr_operations`, … of a disk, or of all (`disk` is empty). */
  async getBlockStats(disk: string, options?: CallOptions): Promise<TypedParameters> {
    const args = { dom: this.ref, path: disk, nparams: limits.DOMAIN_BLOCK_STATS_PARAMETERS, flags: 0 }
    return (await this.caller.call('domain_block_stats_flags', args, options)).params
  }

  /** @param device Name on the host (`vnet0`) or MAC address. Figures that the server does not know are -1. */
  async getInterfaceStats(device: string, options?: CallOptions): Promise<InterfaceStats> {
    const stats = await this.caller.call('domain_interface_stats', { dom: this.ref, device }, options)
    return {
      receivedBytes: stats.rx_bytes,
      receivedPackets: stats.rx_packets,
      receiveErrors: stats.rx_errs,
      receiveDrops: stats.rx_drop,
      sentBytes: stats.tx_bytes,
      sentPackets: stats.tx_packets,
      sendErrors: stats.tx_errs,
      sendDrops: stats.tx_drop,
    }
  }

  /** Whether libvirt gets through to the hypervisor of this domain. */
  async getControlInfo(options?: CallOptions): Promise<DomainControlInfo> {
    return this.caller.call('domain_get_control_info', { dom: this.ref, flags: 0 }, options)
  }

  /** What goes on: a save, a migration, a dump. */
  async getJobInfo(options?: CallOptions): Promise<DomainJobInfo> {
    const { memTotal, memProcessed, memRemaining, ...job } = await this.caller.call(
      'domain_get_job_info',
      { dom: this.ref },
      options,
    )
    return { ...job, memoryTotal: memTotal, memoryProcessed: memProcessed, memoryRemaining: memRemaining }
  }

  /** The same in more detail. @param flags `GetJobStatsFlags` */
  async getJobStats(
    flags = 0,
    options?: CallOptions,
  ): Promise<{ readonly type: number; readonly parameters: TypedParameters }> {
    const { type, params } = await this.caller.call('domain_get_job_stats', { dom: this.ref, flags }, options)
    return { type, parameters: params }
  }

  async abortJob(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_abort_job', { dom: this.ref }, options)
  }
}
