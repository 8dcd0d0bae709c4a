import type { CallOptions } from '../rpc/caller.ts'
import { DomainSnapshot } from '../snapshot.ts'
import { DomainSavedState } from './saved-state.ts'

/** A domain's snapshots. */
export abstract class DomainSnapshots extends DomainSavedState {
  /** @param xml `<domainsnapshot>` @param flags `SnapshotCreateFlags` */
  async createSnapshot(xml: string, flags = 0, options?: CallOptions): Promise<DomainSnapshot> {
    const args = { dom: this.ref, xml_desc: xml, flags }
    return new DomainSnapshot(this.caller, (await this.caller.call('domain_snapshot_create_xml', args, options)).snap)
  }

  /** @param flags `ListSnapshotsFlags`; 0 lists all. */
  async listAllSnapshots(flags = 0, options?: CallOptions): Promise<readonly DomainSnapshot[]> {
    const args = { dom: this.ref, need_results: 1, flags }
    const { snapshots } = await this.caller.call('domain_list_all_snapshots', args, options)
    return snapshots.map((snapshot) => new DomainSnapshot(this.caller, snapshot))
  }

  /** @throws LibvirtError NO_DOMAIN_SNAPSHOT */
  async lookupSnapshot(name: string, options?: CallOptions): Promise<DomainSnapshot> {
    const args = { dom: this.ref, name, flags: 0 }
    const { snap } = await this.caller.call('domain_snapshot_lookup_by_name', args, options)
    return new DomainSnapshot(this.caller, snap)
  }

  async hasCurrentSnapshot(options?: CallOptions): Promise<boolean> {
    return (await this.caller.call('domain_has_current_snapshot', { dom: this.ref, flags: 0 }, options)).result === 1
  }

  /** The snapshot that the present state comes from. @throws LibvirtError NO_DOMAIN_SNAPSHOT */
  async getCurrentSnapshot(options?: CallOptions): Promise<DomainSnapshot> {
    const { snap } = await this.caller.call('domain_snapshot_current', { dom: this.ref, flags: 0 }, options)
    return new DomainSnapshot(this.caller, snap)
  }
}
