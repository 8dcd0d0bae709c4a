import type { Hosts } from '../../hypervisor/hosts.ts'
import type { InventoryEntry } from '../../hypervisor/port.ts'
import type { Clock } from '../../runtime/port.ts'

/** A look at a host that is not older than this serves all who ask in the same moment. */
const freshFor = 1_000

/** One listing of a host for all who ask: the number of calls does not grow with the number of slots. */
export class Inventories {
  readonly #hosts: Hosts
  readonly #clock: Clock
  readonly #listings = new Map<string, { readonly at: number; readonly entries: Promise<readonly InventoryEntry[]> }>()

  constructor(hosts: Hosts, clock: Clock) {
    this.#hosts = hosts
    this.#clock = clock
  }

  /** Undefined: the host cannot be asked now. `anew`: not what was seen for another slot a moment ago. */
  async of(
    hypervisor: string,
    signal: AbortSignal,
    { anew = false }: { readonly anew?: boolean } = {},
  ): Promise<readonly InventoryEntry[] | undefined> {
    const host = this.#hosts.get(hypervisor)
    if (!host.connected) return undefined
    const now = this.#clock.monotonic()
    let listing = this.#listings.get(hypervisor)
    if (anew || !listing || now - listing.at > freshFor) {
      listing = { at: now, entries: host.session.list({ signal }) }
      this.#listings.set(hypervisor, listing)
    }
    const asked = listing
    return asked.entries.catch((error: unknown) => {
      if (this.#listings.get(hypervisor) === asked) this.#listings.delete(hypervisor)
      throw error
    })
  }
}
