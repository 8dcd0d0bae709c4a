/** The Slots that a Hypervisor declares, against those that there are. Pure. */
import {
  type Hypervisor,
  labels,
  managedByBerth,
  parseBytes,
  type Slot,
  slots as slotResource,
  type VirtualMachineSize,
} from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue } from '../shared/conditions.ts'

export interface SlotPlan {
  readonly apply: readonly Slot[]
  readonly remove: readonly ReadObject<Slot>[]
  readonly condition: ConditionFact
}

const isOurs = (slot: Slot, hypervisor: Hypervisor): boolean =>
  slot.spec.hypervisor === hypervisor.metadata.name && slot.metadata.labels?.[labels.managedBy] === managedByBerth

export function planSlots(
  hypervisor: ReadObject<Hypervisor>,
  sizeNamed: (name: string) => VirtualMachineSize | undefined,
  existing: (name: string) => ReadObject<Slot> | undefined,
  ofHypervisor: readonly ReadObject<Slot>[],
  memory: number | undefined,
): SlotPlan {
  const sets = hypervisor.spec.slots ?? []
  const missing = sets.flatMap(({ size }) => (size !== undefined && !sizeNamed(size) ? [size] : []))
  const wanted = sets.flatMap((set) => {
    const resources = set.resources ?? (set.size === undefined ? undefined : sizeNamed(set.size)?.spec)
    return resources ? Array.from({ length: set.count }, (_, index) => slotOf(hypervisor, set, index, resources)) : []
  })
  const names = new Set(wanted.map(({ metadata }) => metadata.name))
  const taken = wanted.filter(({ metadata }) => {
    const there = existing(metadata.name)
    return there !== undefined && !isOurs(there, hypervisor)
  })
  const unknownSets = new Set(
    sets.filter(({ size }) => size !== undefined && missing.includes(size)).map(({ name }) => name),
  )
  const surplus = ofHypervisor.filter(
    (slot) =>
      isOurs(slot, hypervisor) &&
      !names.has(slot.metadata.name) &&
      !unknownSets.has(slot.metadata.labels?.[labels.slotSet] ?? ''),
  )
  const held = surplus.filter(({ status }) => status?.consumerRef !== undefined)
  return {
    apply: wanted.filter((slot) => {
      const there = existing(slot.metadata.name)
      return (
        !taken.includes(slot) &&
        (there === undefined || (there.metadata.deletionTimestamp === undefined && differs(slot, there)))
      )
    }),
    remove: surplus.filter((slot) => !held.includes(slot) && slot.metadata.deletionTimestamp === undefined),
    condition: conditionOf(missing, taken, held, wanted, memory),
  }
}

function conditionOf(
  missing: readonly string[],
  taken: readonly Slot[],
  held: readonly Slot[],
  wanted: readonly Slot[],
  memory: number | undefined,
): ConditionFact {
  if (missing.length > 0)
    return isFalse(
      'SlotsReady',
      'SizeNotFound',
      `spec.slots: there is no VirtualMachineSize ${[...new Set(missing)].join(', ')}`,
    )
  if (taken.length > 0) {
    return isFalse(
      'SlotsReady',
      'SlotNamesTaken',
      `spec.slots: ${namesOf(taken)} exist already and are not of this Hypervisor: rename the set`,
    )
  }
  if (held.length > 0)
    return isFalse('SlotsReady', 'ShrinkPending', `${namesOf(held)} are held, and stay until they are given back`)
  const total = wanted.reduce((sum, { spec }) => sum + parseBytes(spec.memory), 0)
  if (memory !== undefined && total > memory) {
    return isFalse(
      'SlotsReady',
      'OverCapacity',
      `the slots have ${Math.ceil(total / 2 ** 20)}Mi of memory together, the host ${Math.floor(memory / 2 ** 20)}Mi`,
    )
  }
  return isTrue('SlotsReady', 'AllMade', `${wanted.length} slots`)
}

const namesOf = (slots: readonly Slot[]): string =>
  slots
    .map(({ metadata }) => metadata.name)
    .slice(0, 5)
    .join(', ') + (slots.length > 5 ? ` and ${slots.length - 5} more` : '')

type SlotSet = NonNullable<Hypervisor['spec']['slots']>[number]

function slotOf(
  { metadata }: ReadObject<Hypervisor>,
  set: SlotSet,
  index: number,
  { cpus, memory }: { cpus: number; memory: string },
): Slot {
  const own = Object.fromEntries(
    Object.entries(metadata.labels ?? {}).filter(
      ([key]) => !key.startsWith('berth.dev/') && !key.includes('kubernetes.io/'),
    ),
  )
  return {
    apiVersion: slotResource.apiVersion as Slot['apiVersion'],
    kind: 'Slot',
    metadata: {
      name: `${metadata.name}-${set.name}-${index}`,
      labels: {
        ...own,
        ...set.labels,
        [labels.hypervisor]: metadata.name,
        [labels.slotSet]: set.name,
        [labels.managedBy]: managedByBerth,
      },
      ownerReferences: [
        {
          apiVersion: slotResource.apiVersion,
          kind: 'Hypervisor',
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { hypervisor: metadata.name, cpus, memory, ...(set.taints === undefined ? {} : { taints: set.taints }) },
  } as unknown as Slot
}

/** Whether applying would change anything: what Berth says of it, not what others or the schema's defaults added. */
function differs(wanted: Slot, there: Slot): boolean {
  const labelsDiffer = Object.entries(wanted.metadata.labels ?? {}).some(
    ([key, value]) => there.metadata.labels?.[key] !== value,
  )
  const { cpus, memory, taints = [] } = wanted.spec
  return (
    labelsDiffer ||
    there.spec.cpus !== cpus ||
    there.spec.memory !== memory ||
    JSON.stringify(there.spec.taints ?? []) !== JSON.stringify(taints)
  )
}
