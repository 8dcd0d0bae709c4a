import type { CallOptions } from '../rpc/caller.ts'
import { StoragePool, StorageVolume } from '../storage.ts'
import { DomainMethods } from './domains.ts'

/** The server's storage pools. */
export abstract class StorageMethods extends DomainMethods {
  /** @param flags `ListStoragePoolsFlags`; 0 lists all. */
  async listAllStoragePools(flags = 0, options?: CallOptions): Promise<readonly StoragePool[]> {
    const { pools } = await this.client.call('connect_list_all_storage_pools', { need_results: 1, flags }, options)
    return pools.map((pool) => new StoragePool(this.client, pool))
  }

  /** @throws LibvirtError NO_STORAGE_POOL */
  async lookupStoragePoolByName(name: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.client.call('storage_pool_lookup_by_name', { name }, options)
    return new StoragePool(this.client, pool)
  }

  /** @throws LibvirtError NO_STORAGE_POOL */
  async lookupStoragePoolByUUID(uuid: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.client.call('storage_pool_lookup_by_uuid', { uuid }, options)
    return new StoragePool(this.client, pool)
  }

  /** Defines; neither builds nor starts. */
  async defineStoragePool(xml: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.client.call('storage_pool_define_xml', { xml, flags: 0 }, options)
    return new StoragePool(this.client, pool)
  }

  /** Makes and starts a transient pool. @param flags `StoragePoolCreateFlags` */
  async createStoragePool(xml: string, flags = 0, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.client.call('storage_pool_create_xml', { xml, flags }, options)
    return new StoragePool(this.client, pool)
  }

  /** @param path Where an active pool has its volumes. @throws LibvirtError NO_STORAGE_POOL */
  async lookupStoragePoolByTargetPath(path: string, options?: CallOptions): Promise<StoragePool> {
    const { pool } = await this.client.call('storage_pool_lookup_by_target_path', { path }, options)
    return new StoragePool(this.client, pool)
  }

  /** @throws LibvirtError NO_STORAGE_VOL */
  async lookupStorageVolByKey(key: string, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.client.call('storage_vol_lookup_by_key', { key }, options)
    return new StorageVolume(this.client, vol)
  }

  /** @throws LibvirtError NO_STORAGE_VOL: no active pool has a volume there. */
  async lookupStorageVolByPath(path: string, options?: CallOptions): Promise<StorageVolume> {
    const { vol } = await this.client.call('storage_vol_lookup_by_path', { path }, options)
    return new StorageVolume(this.client, vol)
  }
}
