/** What slots offer, put together from the caches. Pure. */
import { type Hypervisor, parseBytes, type Slot, type StoragePool } from '../../api/index.ts'
import type { HypervisorOffer, PoolOffer, SlotOffer } from '../../placement/index.ts'
import type { Caches } from '../shared/caches.ts'
import { conditionIs } from '../shared/conditions.ts'

export function slotOffers(caches: Caches): SlotOffer[] {
  const hypervisors = new Map<string, HypervisorOffer>()
  const networks = networksByHypervisor(caches)
  const offerOf = (name: string): HypervisorOffer => {
    let offer = hypervisors.get(name)
    if (!offer) {
      offer = hypervisorOffer(name, caches, networks.get(name) ?? new Set())
      hypervisors.set(name, offer)
    }
    return offer
  }
  return caches.slots.list().map((slot) => slotOffer(slot, offerOf(slot.spec.hypervisor)))
}

function slotOffer(slot: Slot, hypervisor: HypervisorOffer): SlotOffer {
  return {
    name: slot.metadata.name,
    labels: slot.metadata.labels ?? {},
    taints: slot.spec.taints ?? [],
    cpus: slot.spec.cpus,
    memory: parseBytes(slot.spec.memory),
    open: slot.spec.scheduling !== 'Cordoned' && slot.metadata.deletionTimestamp === undefined,
    free: slot.status?.phase === 'Free' && slot.status.consumerRef === undefined,
    occupied: conditionIs(slot, 'Occupied', 'True'),
    hypervisor,
  }
}

function hypervisorOffer(name: string, caches: Caches, networks: ReadonlySet<string>): HypervisorOffer {
  const hypervisor: Hypervisor | undefined = caches.hypervisors.get(name)
  return {
    name,
    reachable: hypervisor !== undefined && conditionIs(hypervisor, 'Reachable', 'True'),
    open: hypervisor?.spec.scheduling !== 'Cordoned' && hypervisor?.metadata.deletionTimestamp === undefined,
    architectures: hypervisor?.status?.capabilities?.architectures ?? [],
    modes: hypervisor?.status?.capabilities?.modes ?? [],
    pools: poolOffers(name, caches),
    networks,
  }
}

/** Pools that are ready and not about to go. */
export function poolOffers(hypervisor: string, caches: Caches): PoolOffer[] {
  return caches.storagePools
    .byIndex('hypervisor', hypervisor)
    .filter((pool) => conditionIs(pool, 'Ready', 'True') && pool.metadata.deletionTimestamp === undefined)
    .map((pool) => ({ name: pool.metadata.name, order: pool.spec.order ?? 0, room: roomOf(pool) }))
}

const roomOf = ({ spec, status }: StoragePool): number =>
  (status?.free === undefined ? 0 : parseBytes(status.free)) -
  (spec.reserve === undefined ? 0 : parseBytes(spec.reserve))

function networksByHypervisor(caches: Caches): Map<string, Set<string>> {
  const byHypervisor = new Map<string, Set<string>>()
  for (const network of caches.networks.list()) {
    for (const { hypervisor, state } of network.status?.attachments ?? []) {
      if (state !== 'Available') continue
      const names = byHypervisor.get(hypervisor) ?? new Set()
      names.add(network.metadata.name)
      byHypervisor.set(hypervisor, names)
    }
  }
  return byHypervisor
}
