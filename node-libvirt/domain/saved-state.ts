import type { CallOptions } from '../rpc/caller.ts'
import { DomainHandle } from './handle.ts'

/** What is saved of a domain's memory, for its next start. */
export abstract class DomainSavedState extends DomainHandle {
  /** Saves memory to the host's disk and stops; the next start goes on from there. @param flags `DomainSaveFlags` */
  async managedSave(flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_managed_save', { dom: this.ref, flags }, options)
  }

  async hasManagedSave(options?: CallOptions): Promise<boolean> {
    return (await this.caller.call('domain_has_managed_save_image', { dom: this.ref, flags: 0 }, options)).result === 1
  }

  async removeManagedSave(options?: CallOptions): Promise<void> {
    await this.caller.call('domain_managed_save_remove', { dom: this.ref, flags: 0 }, options)
  }

  /** Definition in the managed save image. @param flags `DomainSaveImageXMLFlags` */
  async getManagedSaveXML(flags = 0, options?: CallOptions): Promise<string> {
    return (await this.caller.call('domain_managed_save_get_xml_desc', { dom: this.ref, flags }, options)).xml
  }

  /** Changes the definition in the managed save image. @param flags `DomainSaveFlags` */
  async defineManagedSaveXML(xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_managed_save_define_xml', { dom: this.ref, dxml: xml, flags }, options)
  }

  /**
   * Saves memory to a file of the host and stops; `Connection.restoreDomain` goes on from there.
   * @param path On the host.
   * @param xml Definition to save instead of the present one.
   * @param flags `DomainSaveFlags`
   */
  async save(path: string, xml?: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.caller.call('domain_save_flags', { dom: this.ref, to: path, dxml: xml, flags }, options)
  }

  /**
   * Writes its memory to a file of the host.
   * @param format `DomainCoreDumpFormat`
   * @param flags `DomainCoreDumpFlags`
   */
  async coreDump(path: string, format = 0, flags = 0, options?: CallOptions): Promise<void> {
    const args = { dom: this.ref, to: path, dumpformat: format, flags }
    await this.caller.call('domain_core_dump_with_format', args, options)
  }
}
