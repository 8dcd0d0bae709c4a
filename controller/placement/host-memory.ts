import type { HypervisorOffer, SlotOffer } from './types.ts'

/** What machines that take slots leave of the memory of hypervisors that run others beside them. It only ever shrinks. */
export class HostMemory {
  readonly #taken = new Map<string, number>()

  /** The slot's whole memory: its machine may have as much. */
  take({ memory, hypervisor: { name, spareMemory } }: SlotOffer): void {
    if (spareMemory !== undefined) this.#taken.set(name, (this.#taken.get(name) ?? 0) + memory)
  }

  hasRoom(memory: number, { name, spareMemory }: HypervisorOffer): boolean {
    return spareMemory === undefined || memory <= spareMemory - (this.#taken.get(name) ?? 0)
  }
}
