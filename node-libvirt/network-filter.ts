import type { NetworkFilterRef } from './protocol/types.ts'
import type { Caller, CallOptions } from './rpc/caller.ts'

/** A packet filter for interfaces of domains. Found by UUID; nothing is cached. */
export class NetworkFilter {
  readonly name: string
  readonly uuid: string
  readonly #caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: NetworkFilterRef) {
    this.#caller = caller
    this.name = ref.name
    this.uuid = ref.uuid
  }

  get #ref(): NetworkFilterRef {
    return { name: this.name, uuid: this.uuid }
  }

  async getXML(options?: CallOptions): Promise<string> {
    return (await this.#caller.call('nwfilter_get_xml_desc', { nwfilter: this.#ref, flags: 0 }, options)).xml
  }

  /** One that is in use gives OPERATION_INVALID. */
  async undefine(options?: CallOptions): Promise<void> {
    await this.#caller.call('nwfilter_undefine', { nwfilter: this.#ref }, options)
  }
}
