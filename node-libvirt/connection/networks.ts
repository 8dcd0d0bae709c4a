import { Network } from '../network.ts'
import { NetworkFilter } from '../network-filter.ts'
import type { CallOptions } from '../rpc/caller.ts'
import { StorageMethods } from './storage.ts'

/** The server's networks and packet filters. */
export abstract class NetworkMethods extends StorageMethods {
  /** @param flags `ListNetworksFlags`; 0 lists all. */
  async listAllNetworks(flags = 0, options?: CallOptions): Promise<readonly Network[]> {
    const { nets } = await this.client.call('connect_list_all_networks', { need_results: 1, flags }, options)
    return nets.map((net) => new Network(this.client, net))
  }

  /** @throws LibvirtError NO_NETWORK */
  async lookupNetworkByName(name: string, options?: CallOptions): Promise<Network> {
    return new Network(this.client, (await this.client.call('network_lookup_by_name', { name }, options)).net)
  }

  /** @throws LibvirtError NO_NETWORK */
  async lookupNetworkByUUID(uuid: string, options?: CallOptions): Promise<Network> {
    return new Network(this.client, (await this.client.call('network_lookup_by_uuid', { uuid }, options)).net)
  }

  /** Defines; does not start. */
  async defineNetwork(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this.client, (await this.client.call('network_define_xml', { xml }, options)).net)
  }

  /** Makes and starts a transient network. */
  async createNetwork(xml: string, options?: CallOptions): Promise<Network> {
    return new Network(this.client, (await this.client.call('network_create_xml', { xml }, options)).net)
  }

  async listAllNetworkFilters(options?: CallOptions): Promise<readonly NetworkFilter[]> {
    const { filters } = await this.client.call('connect_list_all_nwfilters', { need_results: 1, flags: 0 }, options)
    return filters.map((filter) => new NetworkFilter(this.client, filter))
  }

  /** @throws LibvirtError NO_NWFILTER */
  async lookupNetworkFilterByName(name: string, options?: CallOptions): Promise<NetworkFilter> {
    const { nwfilter } = await this.client.call('nwfilter_lookup_by_name', { name }, options)
    return new NetworkFilter(this.client, nwfilter)
  }

  /** @throws LibvirtError NO_NWFILTER */
  async lookupNetworkFilterByUUID(uuid: string, options?: CallOptions): Promise<NetworkFilter> {
    const { nwfilter } = await this.client.call('nwfilter_lookup_by_uuid', { uuid }, options)
    return new NetworkFilter(this.client, nwfilter)
  }

  /** Defines or redefines; domains that use it follow at once. */
  async defineNetworkFilter(xml: string, options?: CallOptions): Promise<NetworkFilter> {
    return new NetworkFilter(this.client, (await this.client.call('nwfilter_define_xml', { xml }, options)).nwfilter)
  }
}
