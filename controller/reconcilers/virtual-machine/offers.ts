/** What slots offer, put together from the caches. Pure. */
import { type Hypervisor, parseBytes, type Slot, type StoragePool } from '../../api/index.ts'
import type { HypervisorOffer, PoolOffer, SlotOffer } from '../../placement/index.ts'
import type { Caches } from '../shared/caches.ts'
import { conditionIs } from '../shared/conditions.ts'
import { takesMachines } from '../shared/scheduling.ts'

export function slotOffers(caches: Caches): SlotOffer[] {
  const networks = networksByHypervisor(caches)
  return caches.slots.indexValues('hypervisor').flatMap((name) => {
    const slots = caches.slots.byIndex('hypervisor', name)
    const hypervisor = hypervisorOffer(name, slots, caches, networks.get(name) ?? new Set())
    return alike(slots).map((offer) => ({ ...offer, hypervisor }))
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
  open: takesMachines(slot) && slot.metadata.deletionTimestamp === undefined,
  free: slot.status?.phase === 'Free' && slot.status.consumerRef === undefined,
  occupied: conditionIs(slot, 'Occupied', 'True'),
})

function hypervisorOffer(
  name: string,
  slots: readonly Slot[],
  caches: Caches,
  networks: ReadonlySet<string>,
): HypervisorOffer {
  const hypervisor: Hypervisor | undefined = caches.hypervisors.get(name)
  return {
    name,
    reachable: hypervisor !== undefined && conditionIs(hypervisor, 'Reachable', 'True'),
    open: hypervisor !== undefined && takesMachines(hypervisor) && hypervisor.metadata.deletionTimestamp === undefined,
    architectures: hypervisor?.status?.capabilities?.architectures ?? [],
    modes: hypervisor?.status?.capabilities?.modes ?? [],
    pools: poolOffers(name, caches),
    ...spareMemory(hypervisor, slots),
    networks,
  }
}

/**
 * What machines without a slot leave of the host's memory for one more. A slot that is held counts whole: free memory, as
 * the host tells it, moves with what our own guests touch, and slots would come and go with it. More slots than memory is
 * the administrator's choice: then what others have is taken from what the slots have together.
 */
function spareMemory(hypervisor: Hypervisor | undefined, slots: readonly Slot[]): { readonly spareMemory?: number } {
  const { capacity, unmanaged } = hypervisor?.status ?? {}
  const beside = unmanaged?.memory === undefined ? 0 : parseBytes(unmanaged.memory)
  if (capacity === undefined || beside === 0) return {}
  const { all, held } = memoryOf(slots)
  return { spareMemory: Math.max(parseBytes(capacity.memory), all) - beside - held }
}

interface SlotMemory {
  readonly all: number
  readonly held: number
}

const memoryBySlots = new WeakMap<readonly Slot[], SlotMemory>()

function memoryOf(slots: readonly Slot[]): SlotMemory {
  const known = memoryBySlots.get(slots)
  if (known) return known
  const isHeld = (slot: Slot) => slot.status?.consumerRef !== undefined || conditionIs(slot, 'Occupied', 'True')
  const sum = (some: readonly Slot[]) => some.reduce((total, { spec }) => total + parseBytes(spec.memory), 0)
  const made = { all: sum(slots), held: sum(slots.filter(isHeld)) }
  memoryBySlots.set(slots, made)
  return made
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
