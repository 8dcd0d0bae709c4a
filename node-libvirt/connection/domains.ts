import { Domain } from '../domain.ts'
import type { TypedParameters } from '../protocol/typed-parameters.ts'
import type { CallOptions } from '../rpc/caller.ts'
import { HostMethods } from './host.ts'

/** The server's domains. */
export abstract class DomainMethods extends HostMethods {
  /** @param flags `ListDomainsFlags`; 0 lists all. */
  async listAllDomains(flags = 0, options?: CallOptions): Promise<readonly Domain[]> {
    const { domains } = await this.client.call('connect_list_all_domains', { need_results: 1, flags }, options)
    return domains.map((domain) => new Domain(this.client, domain))
  }

  /** @throws LibvirtError NO_DOMAIN */
  async lookupDomainByUUID(uuid: string, options?: CallOptions): Promise<Domain> {
    return new Domain(this.client, (await this.client.call('domain_lookup_by_uuid', { uuid }, options)).dom)
  }

  /** @throws LibvirtError NO_DOMAIN */
  async lookupDomainByName(name: string, options?: CallOptions): Promise<Domain> {
    return new Domain(this.client, (await this.client.call('domain_lookup_by_name', { name }, options)).dom)
  }

  /** One that runs. @throws LibvirtError NO_DOMAIN */
  async lookupDomainByID(id: number, options?: CallOptions): Promise<Domain> {
    return new Domain(this.client, (await this.client.call('domain_lookup_by_id', { id }, options)).dom)
  }

  /** Makes and starts a transient domain: it is forgotten when it stops. @param flags `DomainCreateFlags` */
  async createDomain(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    const { dom } = await this.client.call('domain_create_xml', { xml_desc: xml, flags }, options)
    return new Domain(this.client, dom)
  }

  /**
   * Goes on from a file that `Domain.save` has written.
   * @param path On the host.
   * @param xml Definition to use instead of the saved one.
   * @param flags `DomainSaveFlags`
   */
  async restoreDomain(path: string, xml?: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.client.call('domain_restore_flags', { from: path, dxml: xml, flags }, options)
  }

  /** Definition in a file that `Domain.save` has written. @param flags `DomainSaveImageXMLFlags` */
  async getSaveImageXML(path: string, flags = 0, options?: CallOptions): Promise<string> {
    return (await this.client.call('domain_save_image_get_xml_desc', { file: path, flags }, options)).xml
  }

  /** Changes the definition in a file that `Domain.save` has written. @param flags `DomainSaveFlags` */
  async defineSaveImageXML(path: string, xml: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.client.call('domain_save_image_define_xml', { file: path, dxml: xml, flags }, options)
  }

  /**
   * Figures of many domains by one call: `state.state`, `cpu.time`, `balloon.current`, `block.0.rd.bytes`, …
   * @param stats `DomainStatsTypes`; 0 asks for all.
   * @param flags `GetAllDomainStatsFlags`
   * @param domains All, as the flags choose, unless given.
   */
  async getAllDomainStats(
    stats = 0,
    flags = 0,
    domains: readonly Domain[] = [],
    options?: CallOptions,
  ): Promise<readonly { readonly domain: Domain; readonly stats: TypedParameters }[]> {
    const doms = domains.map(({ name, uuid, id }) => ({ name, uuid, id }))
    const { retStats } = await this.client.call('connect_get_all_domain_stats', { doms, stats, flags }, options)
    return retStats.map(({ dom, params }) => ({ domain: new Domain(this.client, dom), stats: params }))
  }

  /** Defines or redefines; does not start. @param flags `DomainDefineFlags` */
  async defineDomain(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    return new Domain(this.client, (await this.client.call('domain_define_xml_flags', { xml, flags }, options)).dom)
  }
}
