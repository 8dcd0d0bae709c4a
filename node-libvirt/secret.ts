import type { SecretRef } from './protocol/types.ts'
import type { Caller, CallOptions } from './rpc/caller.ts'

/** A key or password that libvirt keeps for disks, Ceph, iSCSI and so on. Found by UUID; nothing is cached. */
export class Secret {
  readonly uuid: string
  /** One of `SecretUsageType`. */
  readonly usageType: number
  /** What it is for: a path, a name. */
  readonly usageID: string
  readonly #caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: SecretRef) {
    this.#caller = caller
    this.uuid = ref.uuid
    this.usageType = ref.usageType
    this.usageID = ref.usageID
  }

  get #ref(): SecretRef {
    return { uuid: this.uuid, usageType: this.usageType, usageID: this.usageID }
  }

  /** Never holds the value. */
  async getXML(options?: CallOptions): Promise<string> {
    return (await this.#caller.call('secret_get_xml_desc', { secret: this.#ref, flags: 0 }, options)).xml
  }

  async setValue(value: Buffer, options?: CallOptions): Promise<void> {
    await this.#caller.call('secret_set_value', { secret: this.#ref, value, flags: 0 }, options)
  }

  /** @throws LibvirtError INVALID_SECRET: it is private. NO_SECRET: it has no value. */
  async getValue(options?: CallOptions): Promise<Buffer> {
    return (await this.#caller.call('secret_get_value', { secret: this.#ref, flags: 0 }, options)).value
  }

  async undefine(options?: CallOptions): Promise<void> {
    await this.#caller.call('secret_undefine', { secret: this.#ref }, options)
  }
}
