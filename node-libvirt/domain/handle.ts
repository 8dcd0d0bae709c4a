import type { DomainRef } from '../protocol/types.ts'
import type { Caller } from '../rpc/caller.ts'

/** What all groups of a domain's methods stand on. */
export abstract class DomainHandle {
  readonly name: string
  /** Lower case, with hyphens. */
  readonly uuid: string
  /** Number while it runs, as of the answer that made this object; -1: it was off. */
  readonly id: number
  declare protected readonly caller: Caller

  /** Objects come from a `Connection`. */
  constructor(caller: Caller, ref: DomainRef) {
    // Not to be seen when the object is printed or turned into JSON.
    Object.defineProperty(this, 'caller', { value: caller })
    this.name = ref.name
    this.uuid = ref.uuid
    this.id = ref.id
  }

  protected get ref(): DomainRef {
    return { name: this.name, uuid: this.uuid, id: this.id }
  }
}
