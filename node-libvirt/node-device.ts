import type { NodeDeviceRef } from './protocol/types.ts'
import { limits } from './protocol/types.ts'
import type { Caller, CallOptions } from './rpc/caller.ts'

/** A device of the host. Found by its name; nothing is cached. */
export class NodeDevice {
  readonly name: string
  readonly #caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: NodeDeviceRef) {
    this.#caller = caller
    this.name = ref.name
  }

  async getXML(options?: CallOptions): Promise<string> {
    return (await this.#caller.call('node_device_get_xml_desc', { name: this.name, flags: 0 }, options)).xml
  }

  /** Name of the device that it is on; undefined: it is at the root. */
  async getParent(options?: CallOptions): Promise<string | undefined> {
    return (await this.#caller.call('node_device_get_parent', { name: this.name }, options)).parentName
  }

  /** What it is: `pci`, `net`, `storage`, … */
  async listCapabilities(options?: CallOptions): Promise<readonly string[]> {
    const args = { name: this.name, maxnames: limits.NODE_DEVICE_CAPS_LIST }
    return (await this.#caller.call('node_device_list_caps', args, options)).names
  }
}
