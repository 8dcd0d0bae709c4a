import type { Readable, Writable } from 'node:stream'
import type { StoragePoolRef, StorageVolumeRef } from './protocol/types.ts'
import type { Caller, CallOptions, StreamOptions } from './rpc/caller.ts'

export interface StoragePoolInfo {
  /** One of `StoragePoolState`. */
  readonly state: number
  /** Bytes, as of the last refresh. */
  readonly capacity: number
  readonly allocation: number
  readonly available: number
}

export interface StorageVolumeInfo {
  /** One of `StorageVolumeType`. */
  readonly type: number
  /** Bytes that a guest sees. */
  readonly capacity: number
  /** Bytes taken on the host. */
  readonly allocation: number
}

export interface TransferOptions extends StreamOptions {
  /** Byte of the volume to begin at; 0 unless given. */
  readonly offset?: number
  /** Bytes to move; 0, the default, means to the end. */
  readonly length?: number
}

/** A place for volumes: a directory, a volume group. Found by UUID; nothing is cached. */
export class StoragePool {
  readonly name: string
  readonly uuid: string
  readonly #caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: StoragePoolRef) {
    this.#caller = caller
    this.name = ref.name
    this.uuid = ref.uuid
  }

  get #ref(): StoragePoolRef {
    return { name: this.name, uuid: this.uuid }
  }

  async getXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call('storage_pool_get_xml_desc', { pool: this.#ref, flags }, options)).xml
  }

  async getInfo(options?: CallOptions): Promise<StoragePoolInfo> {
    return this.#caller.call('storage_pool_get_info', { pool: this.#ref }, options)
  }

  async isActive(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('storage_pool_is_active', { pool: this.#ref }, options)).active === 1
  }

  /** False: it is transient, and forgotten when it stops. */
  async isPersistent(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('storage_pool_is_persistent', { pool: this.#ref }, options)).persistent === 1
  }

  /** Starts it. @param flags `StoragePoolCreateFlags` */
  async create(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_pool_create', { pool: this.#ref, flags }, options)
  }

  /** Makes what it stands on: the directory, the volume group. @param flags `StoragePoolBuildFlags` */
  async build(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_pool_build', { pool: this.#ref, flags }, options)
  }

  /** Reads again which volumes are there, and their sizes. */
  async refresh(options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_pool_refresh', { pool: this.#ref, flags: 0 }, options)
  }

  /** Removes what it stands on, and all volumes with it; it has to be stopped. @param flags `StoragePoolDeleteFlags` */
  async delete(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_pool_delete', { pool: this.#ref, flags }, options)
  }

  /** Stops it; volumes stay. */
  async destroy(options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_pool_destroy', { pool: this.#ref }, options)
  }

  async undefine(options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_pool_undefine', { pool: this.#ref }, options)
  }

  async setAutostart(autostart: boolean, options?: CallOptions): Promise<void> {
    const args = { pool: this.#ref, autostart: autostart ? 1 : 0 }
    await this.#caller.call('storage_pool_set_autostart', args, options)
  }

  async getAutostart(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('storage_pool_get_autostart', { pool: this.#ref }, options)).autostart === 1
  }

  async listAllVolumes(options?: CallOptions): Promise<readonly StorageVolume[]> {
    const args = { pool: this.#ref, need_results: 1, flags: 0 }
    const { vols } = await this.#caller.call('storage_pool_list_all_volumes', args, options)
    return vols.map((vol) => new StorageVolume(this.#caller, vol))
  }

  /** @throws LibvirtError NO_STORAGE_VOL */
  async lookupVolume(name: string, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.#caller.call('storage_vol_lookup_by_name', { pool: this.#ref, name }, options)
    return new StorageVolume(this.#caller, vol)
  }

  /** @param flags `StorageVolumeCreateFlags` @throws LibvirtError STORAGE_VOL_EXIST */
  async createVolume(xml: string, flags = 0, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.#caller.call('storage_vol_create_xml', { pool: this.#ref, xml, flags }, options)
    return new StorageVolume(this.#caller, vol)
  }

  /** Makes a volume with the content of another, of this pool or not. @param flags `StorageVolumeCreateFlags` */
  async cloneVolume(xml: string, source: StorageVolume, flags = 0, options?: CallOptions): Promise<StorageVolume> {
    const { pool, name, key } = source
    const args = { pool: this.#ref, xml, clonevol: { pool, name, key }, flags }
    return new StorageVolume(this.#caller, (await this.#caller.call('storage_vol_create_xml_from', args, options)).vol)
  }
}

/** A disk image, a logical volume. Found by its key; nothing is cached. */
export class StorageVolume {
  /** Name of its pool. */
  readonly pool: string
  readonly name: string
  /** Unique on the host; the path where the volume is a file. */
  readonly key: string
  readonly #caller: Caller

  /** Objects come from a `StoragePool` or a `Connection`. */
  constructor(caller: Caller, ref: StorageVolumeRef) {
    this.#caller = caller
    this.pool = ref.pool
    this.name = ref.name
    this.key = ref.key
  }

  get #ref(): StorageVolumeRef {
    return { pool: this.pool, name: this.name, key: this.key }
  }

  async getInfo(options?: CallOptions): Promise<StorageVolumeInfo> {
    return this.#caller.call('storage_vol_get_info', { vol: this.#ref }, options)
  }

  async getPath(options?: CallOptions): Promise<string> {
    return (await this.#caller.call('storage_vol_get_path', { vol: this.#ref }, options)).name
  }

  async getXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call('storage_vol_get_xml_desc', { vol: this.#ref, flags }, options)).xml
  }

  async getPool(options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.#caller.call('storage_pool_lookup_by_volume', { vol: this.#ref }, options)
    return new StoragePool(this.#caller, pool)
  }

  /** Writes zeros over its content. */
  async wipe(options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_vol_wipe', { vol: this.#ref, flags: 0 }, options)
  }

  /** @param flags `StorageVolumeDeleteFlags` */
  async delete(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_vol_delete', { vol: this.#ref, flags }, options)
  }

  /** @param capacity Bytes. @param flags `StorageVolumeResizeFlags` */
  async resize(capacity: number, flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('storage_vol_resize', { vol: this.#ref, capacity, flags }, options)
  }

  /**
   * Writes into the volume. Settles when the server is ready to take bytes. The stream finishes (`finished`,
   * `pipeline`) only when the server has confirmed that all of it is written; destroying it earlier aborts the
   * transfer, and leaves in the volume what was written so far.
   */
  async upload({ offset = 0, length = 0, ...options }: TransferOptions = {}): Promise<Writable> {
    return this.#caller.upload('storage_vol_upload', { vol: this.#ref, offset, length, flags: 0 }, options)
  }

  /**
   * Reads the volume. The stream ends only when the server says that all was sent. A consumer that is slow holds up
   * the whole connection for a while, see the README: use a connection of its own for large downloads.
   */
  async download({ offset = 0, length = 0, ...options }: TransferOptions = {}): Promise<Readable> {
    return this.#caller.download('storage_vol_download', { vol: this.#ref, offset, length, flags: 0 }, options)
  }
}
