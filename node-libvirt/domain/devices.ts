import type { Duplex, Readable } from 'node:stream'
import { BlockResizeFlags } from '../constants.ts'
import type { TypedParameters } from '../protocol/typed-parameters.ts'
import { limits } from '../protocol/types.ts'
import type { CallOptions, StreamOptions } from '../rpc/caller.ts'
import { DomainSnapshots } from './snapshots.ts'

export interface BlockInfo {
  /** Bytes that the guest sees. */
  readonly capacity: number
  /** Bytes up to the last that was written. */
  readonly allocation: number
  /** Bytes taken on the host. */
  readonly physical: number
}

export interface BlockJobInfo {
  /** One of `BlockJobType`. */
  readonly type: number
  /** MiB a second; 0: as fast as it goes. */
  readonly bandwidth: number
  /** How far it is: done when `current` equals `end`, in units of the job's own. */
  readonly current: number
  readonly end: number
}

export interface DiskError {
  /** Name of the disk in the guest: `vda`. */
  readonly disk: string
  /** One of `DiskErrorCode`. */
  readonly error: number
}

export interface Screenshot {
  /** Type of the picture: `image/png`. */
  readonly mimeType: string | undefined
  readonly stream: Readable
}

/**
 * A domain's devices. Disks are named by their target in the guest (`vda`) or the path of their file, interfaces by
 * their name on the host (`vnet0`) or their MAC address.
 */
export abstract class DomainDevices extends DomainSnapshots {
  /** @param xml `<disk>`, `<interface>`, … @param flags `DeviceModifyFlags` */
  async attachDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_attach_device_flags', { dom: this.ref, xml, flags }, options)
  }

  /**
   * Asks for the removal of a device. A running guest has to agree: it is gone when `domainDeviceRemoved` says so.
   * @param flags `DeviceModifyFlags`
   */
  async detachDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_detach_device_flags', { dom: this.ref, xml, flags }, options)
  }

  /** @param alias Name in the definition: `<alias name="ua-disk"/>`. @param flags `DeviceModifyFlags` */
  async detachDeviceByAlias(alias: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_detach_device_alias', { dom: this.ref, alias, flags }, options)
  }

  /** Changes the medium of a drive, the link of an interface, … @param flags `DeviceModifyFlags` */
  async updateDevice(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_update_device_flags', { dom: this.ref, xml, flags }, options)
  }

  // Disks

  async getBlockInfo(disk: string, options?: CallOptions): Promise<BlockInfo> {
    return this.caller.call('domain_get_block_info', { dom: this.ref, path: disk, flags: 0 }, options)
  }

  /** Tells a running guest that its disk has another size. @param size Bytes. */
  async blockResize(disk: string, size: number, options?: CallOptions): Promise<void> {
    const args = { dom: this.ref, disk, size, flags: BlockResizeFlags.BYTES }
    await this.caller.call('domain_block_resize', args, options)
  }

  /** Disks of a running guest that had errors; those without are not listed. */
  async getDiskErrors(options?: CallOptions): Promise<readonly DiskError[]> {
    const args = { dom: this.ref, maxerrors: limits.DOMAIN_DISK_ERRORS, flags: 0 }
    return (await this.caller.call('domain_get_disk_errors', args, options)).errors
  }

  /**
   * Limits on a disk's speed: `total_bytes_sec`, `read_iops_sec`, …
   * (https://libvirt.org/html/libvirt-libvirt-domain.html, VIR_DOMAIN_BLOCK_IOTUNE_), each a bigint; 0n is no limit.
   * @param flags `DomainModificationImpact`
   */
  async setBlockIOTune(disk: string, parameters: TypedParameters, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_set_block_io_tune', { dom: this.ref, disk, params: parameters, flags }, options)
  }

  /** @param flags `DomainModificationImpact` */
  async getBlockIOTune(disk: string, flags = 0, options?: CallOptions): Promise<TypedParameters> {
    const args = { dom: this.ref, disk, nparams: limits.DOMAIN_BLOCK_IO_TUNE_PARAMETERS, flags }
    return (await this.caller.call('domain_get_block_io_tune', args, options)).params
  }

  // Jobs on disks: they go on when the call is over; `domainBlockJob` tells of their end.

  /**
   * Moves the content of overlays down into their base.
   * @param range Files of the chain: `top` is the disk itself and `base` the lowest, unless given. See
   *   `BlockCommitFlags.SHALLOW`.
   * @param flags `BlockCommitFlags`
   */
  async blockCommit(
    disk: string,
    range: { readonly base?: string; readonly top?: string; readonly bandwidth?: number } = {},
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const { base, top, bandwidth = 0 } = range
    await this.caller.call('domain_block_commit', { dom: this.ref, disk, base, top, bandwidth, flags }, options)
  }

  /**
   * Copies a disk, and keeps the copy up to date until the job is ended.
   * @param destination `<disk>` with type, driver and source of the copy.
   * @param parameters `bandwidth` (bigint, bytes a second), `granularity` (number), `buf-size` (bigint).
   * @param flags `BlockCopyFlags`
   */
  async blockCopy(
    disk: string,
    destination: string,
    parameters: TypedParameters = {},
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const args = { dom: this.ref, path: disk, destxml: destination, params: parameters, flags }
    await this.caller.call('domain_block_copy', args, options)
  }

  /** Moves the content of the base up into the disk. @param bandwidth MiB a second; 0: as fast as it goes. */
  async blockPull(disk: string, bandwidth = 0, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_block_pull', { dom: this.ref, path: disk, bandwidth, flags }, options)
  }

  /** Ends the job of a disk. @param flags `BlockJobAbortFlags` */
  async blockJobAbort(disk: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_block_job_abort', { dom: this.ref, path: disk, flags }, options)
  }

  /** Undefined: the disk has no job. */
  async getBlockJobInfo(disk: string, options?: CallOptions): Promise<BlockJobInfo | undefined> {
    const args = { dom: this.ref, path: disk, flags: 0 }
    const { found, type, bandwidth, cur, end } = await this.caller.call('domain_get_block_job_info', args, options)
    return found === 1 ? { type, bandwidth, current: cur, end } : undefined
  }

  // Interfaces

  /**
   * Limits on an interface's speed: `inbound.average`, `outbound.peak`, … in KiB a second, each a number; 0 is no limit.
   * @param flags `DomainModificationImpact`
   */
  async setInterfaceParameters(
    device: string,
    parameters: TypedParameters,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const args = { dom: this.ref, device, params: parameters, flags }
    await this.caller.call('domain_set_interface_parameters', args, options)
  }

  /** @param flags `DomainModificationImpact` */
  async getInterfaceParameters(device: string, flags = 0, options?: CallOptions): Promise<TypedParameters> {
    const args = { dom: this.ref, device, nparams: limits.DOMAIN_INTERFACE_PARAMETERS, flags }
    return (await this.caller.call('domain_get_interface_parameters', args, options)).params
  }

  // Consoles and screens

  /**
   * Connects to a console. Bytes go both ways until one side ends, or the guest stops.
   * @param device Alias of the console; the first unless given.
   * @param flags `ConsoleFlags`
   */
  async openConsole(device?: string, flags = 0, options?: StreamOptions): Promise<Duplex> {
    return this.caller.interact('domain_open_console', { dom: this.ref, dev_name: device, flags }, options)
  }

  /** Connects to a channel of the guest. @param name The first unless given. @param flags `ChannelFlags` */
  async openChannel(name?: string, flags = 0, options?: StreamOptions): Promise<Duplex> {
    return this.caller.interact('domain_open_channel', { dom: this.ref, name, flags }, options)
  }

  /** A picture of what the guest shows. @param screen Of several. */
  async screenshot(screen = 0, options?: StreamOptions): Promise<Screenshot> {
    const args = { dom: this.ref, screen, flags: 0 }
    const { result, stream } = await this.caller.downloadWith('domain_screenshot', args, options)
    return { mimeType: result.mime, stream }
  }
}
