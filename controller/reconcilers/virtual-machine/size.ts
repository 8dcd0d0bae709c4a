/** CPUs and memory: what is declared, what is in force under a slot, and whether a machine has them. Pure. */
import { formatBytes, parseBytes, type Slot, type VirtualMachine } from '../../api/index.ts'
import type { ObservedMachine } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Caches } from '../shared/caches.ts'
import { problem, type Resolution } from './resolution.ts'

export interface ResolvedSize {
  readonly kind?: 'VirtualMachineSize'
  readonly name?: string
  readonly generation?: number
  readonly cpus: number
  /** Bytes. */
  readonly memory: number
  /** Least size of the root disk, bytes. */
  readonly storage?: number
}

export type Amounts = Pick<ResolvedSize, 'cpus' | 'memory'>

/**
 * What is declared. A named size means what it meant when it was first used: a later change of it, or its deletion,
 * never resizes a machine.
 */
export function resolveSize(vm: ReadObject<VirtualMachine>, caches: Caches): Resolution<ResolvedSize> {
  const { resources, size } = vm.spec
  if (resources) return { value: { cpus: resources.cpus, memory: parseBytes(resources.memory) } }
  const pinned = pinnedSize(vm)
  if (pinned?.name !== undefined && pinned.name === size) return { value: pinned }
  const found = size === undefined ? undefined : caches.sizes.get(size)
  if (!found)
    return problem('DependencyNotFound', `spec.size: there is no VirtualMachineSize ${size} (kubectl get bsize)`)
  const { cpus, memory, storage } = found.spec
  return {
    value: {
      kind: 'VirtualMachineSize',
      name: found.metadata.name,
      generation: found.metadata.generation ?? 1,
      cpus,
      memory: parseBytes(memory),
      ...(storage === undefined ? {} : { storage: parseBytes(storage) }),
    },
  }
}

/** The one that was used last. */
function pinnedSize({ status }: VirtualMachine): ResolvedSize | undefined {
  if (!status?.size) return undefined
  const { storage, memory, ...rest } = status.size
  return {
    ...rest,
    memory: parseBytes(memory),
    ...(storage === undefined ? {} : { storage: parseBytes(storage) }),
  }
}

/** What it is to be defined with: as declared, unless its slot has no room for that. Undefined: it is not known. */
export function sizeInForce(
  vm: VirtualMachine,
  declared: Resolution<ResolvedSize>,
  slot: Slot | undefined,
): ResolvedSize | undefined {
  const pinned = pinnedSize(vm)
  if ('problem' in declared) return pinned
  return pinned && slot && !fits(declared.value, slot) ? pinned : declared.value
}

export const fits = ({ cpus, memory }: Amounts, { spec }: Slot): boolean =>
  cpus <= spec.cpus && memory <= parseBytes(spec.memory)

/** Hosts count memory in KiB or MiB. */
const accuracy = 2 ** 20

export const hasMemory = (machine: Pick<ObservedMachine, 'memory'>, { memory }: Amounts): boolean =>
  Math.abs(machine.memory - memory) < accuracy

export const hasSize = (machine: Pick<ObservedMachine, 'cpus' | 'memory'>, size: Amounts): boolean =>
  machine.cpus === size.cpus && hasMemory(machine, size)

export const describeSize = ({ cpus, memory }: Amounts): string =>
  `${cpus} CPU${cpus === 1 ? '' : 's'}, ${formatBytes(memory)}`
