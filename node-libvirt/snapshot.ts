import type { DomainSnapshotRef } from './protocol/types.ts'
import type { Caller, CallOptions } from './rpc/caller.ts'

/** A snapshot of a domain. Found by its name; nothing is cached. */
export class DomainSnapshot {
  readonly name: string
  /** Of its domain. */
  readonly domainUUID: string
  readonly #caller: Caller
  readonly #ref: DomainSnapshotRef

  /** Objects come from a `Domain`. */
  constructor(caller: Caller, ref: DomainSnapshotRef) {
    this.#caller = caller
    this.#ref = ref
    this.name = ref.name
    this.domainUUID = ref.dom.uuid
  }

  /** @param flags `SnapshotXMLFlags` */
  async getXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.#caller.call('domain_snapshot_get_xml_desc', { snap: this.#ref, flags }, options)).xml
  }

  /** @throws LibvirtError NO_DOMAIN_SNAPSHOT: it has none. */
  async getParent(options?: CallOptions): Promise<DomainSnapshot> {
    const { snap } = await this.#caller.call('domain_snapshot_get_parent', { snap: this.#ref, flags: 0 }, options)
    return new DomainSnapshot(this.#caller, snap)
  }

  /** @param flags `ListSnapshotsFlags` */
  async listAllChildren(flags = 0, options?: CallOptions): Promise<readonly DomainSnapshot[]> {
    const args = { snapshot: this.#ref, need_results: 1, flags }
    const { snapshots } = await this.#caller.call('domain_snapshot_list_all_children', args, options)
    return snapshots.map((snapshot) => new DomainSnapshot(this.#caller, snapshot))
  }

  async isCurrent(options?: CallOptions): Promise<boolean> {
    return (await this.#caller.call('domain_snapshot_is_current', { snap: this.#ref, flags: 0 }, options)).current === 1
  }

  /** Whether libvirt knows of it, and not the disk image alone. */
  async hasMetadata(options?: CallOptions): Promise<boolean> {
    const args = { snap: this.#ref, flags: 0 }
    return (await this.#caller.call('domain_snapshot_has_metadata', args, options)).metadata === 1
  }

  /** Takes the domain back to it: what came later is lost. @param flags `SnapshotRevertFlags` */
  async revert(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_revert_to_snapshot', { snap: this.#ref, flags }, options)
  }

  /** @param flags `SnapshotDeleteFlags` */
  async delete(flags = 0, options?: CallOptions): Promise<void> {
    await this.#caller.call('domain_snapshot_delete', { snap: this.#ref, flags }, options)
  }
}
