/** What slots offer, put together from the caches. Pure. */
import { type Hypervisor, parseBytes, type Slot, type StoragePool } from '../../api/index.ts'
import type { HypervisorOffer, PoolOffer, SlotOffer } from '../../placement/index.ts'
import type { Caches } from '../shared/caches.ts'
import { conditionIs } from '../shared/conditions.ts'

export function slotOffers(caches: Caches): SlotOffer[] {
  const networks = networksByHypervisor(caches)
  return caches.slots.indexValues('hypervisor').flatMap((name) => {
    const hypervisor = hypervisorOffer(name, caches, networks.get(name) ?? new Set())
    return alike(caches.slots.byIndex('hypervisor', name)).map((slots) => ({ ...slots, hypervisor }))
  })
}

type AlikeSlots = Omit<SlotOffer, 'hypervisor'>

/** By a hypervisor's slots, of which a cache gives the same array as long as none of them changes. */
const alikeBySlots = new WeakMap<readonly Slot[], readonly AlikeSlots[]>()

function alike(slots: readonly Slot[]): readonly AlikeSlots[] {
  const known = alikeBySlots.get(slots)
  if (known) return known
  const groups = new Map<string, Omit<AlikeSlots, 'names'> & { readonly names: string[] }>()
  for (const slot of slots) {
    const facts = factsOf(slot)
    const key = JSON.stringify(facts)
    const group = groups.get(key) ?? { ...facts, memory: parseBytes(facts.memory), names: [] }
    group.names.push(slot.metadata.name)
    groups.set(key, group)
  }
  const made = [...groups.values()].map((group) => ({ ...group, names: group.names.toSorted() }))
  alikeBySlots.set(slots, made)
  return made
}

const factsOf = (slot: Slot) => ({
  labels: slot.metadata.labels ?? {},
  taints: slot.spec.taints ?? [],
  cpus: slot.spec.cpus,
  memory: slot.spec.memory,
  open: slot.spec.scheduling !== 'Cordoned' && slot.metadata.deletionTimestamp === undefined,
  free: slot.status?.phase === 'Free' && slot.status.consumerRef === undefined,
  occupied: conditionIs(slot, 'Occupied', 'True'),
})

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
