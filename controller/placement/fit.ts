import { matchesSelector, untolerated } from './labels.ts'
import type { Neighbours } from './neighbours.ts'
import type { Demand, PoolOffer, Rejection, SlotOffer } from './types.ts'

export interface Misfit {
  readonly reason: Rejection
  readonly message: string
  /** It would not help if the slot were given back: the slot could never hold the machine. */
  readonly lasting: boolean
}

const misfit = (reason: Rejection, message: string, lasting = false): Misfit => ({ reason, message, lasting })

/** The pool for a new root disk among those of one hypervisor that have room: the one named, else lowest order, then by name. */
export function choosePool(demand: Pick<Demand, 'pool'>, pools: readonly PoolOffer[]): PoolOffer | undefined {
  return pools
    .filter((pool) => takesDisk(pool, demand))
    .toSorted((a, b) => a.order - b.order || compare(a.name, b.name))[0]
}

const takesDisk = ({ name, room }: PoolOffer, { pool }: Pick<Demand, 'pool'>): boolean =>
  room > 0 && (pool === undefined || name === pool)

/**
 * Why slots do not fit, the most lasting cause first; undefined: they fit, and are free. Without `neighbours`, the machine
 * may be anywhere.
 */
export function findMisfit(demand: Demand, slot: SlotOffer, neighbours?: Neighbours): Misfit | undefined {
  if (demand.slot !== undefined && !slot.names.includes(demand.slot))
    return misfit('Selector', `not slot ${demand.slot}`, true)
  if (demand.slotSelector !== undefined && !matchesSelector(slot.labels, demand.slotSelector)) {
    return misfit('Selector', 'labels do not match slotSelector', true)
  }
  const taint = untolerated(slot.taints, demand.tolerations).find(({ effect }) => effect === 'NoPlacement')
  if (taint) return misfit('Taint', `taint ${taint.key} is not tolerated`, true)
  if (slot.cpus < demand.cpus) return misfit('CPUs', `${demand.cpus - slot.cpus} CPUs short`, true)
  if (slot.memory < demand.memory) {
    return misfit('Memory', `memory: ${Math.ceil((demand.memory - slot.memory) / 2 ** 20)}Mi short`, true)
  }
  if (demand.disksOn !== undefined && demand.disksOn !== slot.hypervisor.name) {
    return misfit('DisksElsewhere', 'the disks are on another hypervisor')
  }
  if (!slot.hypervisor.reachable) return misfit('Unreachable', 'the hypervisor cannot be reached')
  if (!slot.hypervisor.architectures.includes(demand.architecture)) {
    return misfit('Architecture', `${demand.architecture} is not offered`, true)
  }
  if (demand.mode !== undefined && !slot.hypervisor.modes.includes(demand.mode)) {
    return misfit('Mode', `boot mode ${demand.mode} is not offered`, true)
  }
  const missing = demand.networks.find((network) => !slot.hypervisor.networks.has(network))
  if (missing !== undefined) return misfit('Network', `network ${missing} is not there`)
  if (demand.disksOn === undefined && !slot.hypervisor.pools.some((pool) => takesDisk(pool, demand))) {
    return misfit(
      'Storage',
      demand.pool === undefined
        ? 'no storage pool is ready and has room'
        : `storage pool ${demand.pool} is not there, not ready, or has no room`,
    )
  }
  const lacking =
    demand.disksOn === undefined
      ? demand.dataPools?.find((pool) => !slot.hypervisor.pools.some((offer) => takesDisk(offer, { pool })))
      : undefined
  if (lacking !== undefined) return misfit('Storage', `storage pool ${lacking} is not there, not ready, or has no room`)
  const short = demand.memory - (slot.hypervisor.spareMemory ?? demand.memory)
  if (short > 0) {
    const message = `memory: machines that run on ${slot.hypervisor.name} without a slot leave ${Math.ceil(short / 2 ** 20)}Mi too little`
    return misfit('HostMemory', message)
  }
  const neighbour = neighbours?.keptApartFrom(demand.party, slot.hypervisor.name)
  if (neighbour) return misfit('AntiAffinity', `kept apart from ${neighbour.name}, on ${neighbour.hypervisor}`)
  if (!slot.open || !slot.hypervisor.open)
    return misfit('Cordoned', 'it takes no new machines: Cordoned, Draining, or about to be deleted')
  if (slot.occupied) return misfit('Occupied', 'the host runs another machine there')
  if (!slot.free) return misfit('Taken', 'another machine holds it')
  return undefined
}

export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
