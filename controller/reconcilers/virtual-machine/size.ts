/**
 * CPUs and memory: what is declared, what is in force under a slot, whether a machine has them, and what it can be given
 * while it runs. Pure.
 */
import { formatBytes, parseBytes, type Slot, type VirtualMachine } from '../../api/index.ts'
import type { LiveSize } from '../../hypervisor/port.ts'
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
  /** Up to which they can grow while it runs. Absent: they cannot. */
  readonly maxCpus?: number
  /** Bytes. */
  readonly maxMemory?: number
  /** Least size of the root disk, bytes. */
  readonly storage?: number
}

export type Amounts = Pick<ResolvedSize, 'cpus' | 'memory'>
type Room = Pick<ResolvedSize, 'cpus' | 'memory' | 'maxCpus' | 'maxMemory'>

/**
 * What is declared. A named size means what it meant when it was first used: a later change of it, or its deletion,
 * never resizes a machine.
 */
export function resolveSize(vm: ReadObject<VirtualMachine>, caches: Caches): Resolution<ResolvedSize> {
  const { resources, size } = vm.spec
  if (resources) return { value: amountsOf(resources) }
  const pinned = pinnedSize(vm)
  if (pinned?.name !== undefined && pinned.name === size) return { value: pinned }
  const found = size === undefined ? undefined : caches.sizes.get(size)
  if (!found)
    return problem('DependencyNotFound', `spec.size: there is no VirtualMachineSize ${size} (kubectl get bsize)`)
  const { storage } = found.spec
  return {
    value: {
      kind: 'VirtualMachineSize',
      name: found.metadata.name,
      generation: found.metadata.generation ?? 1,
      ...amountsOf(found.spec),
      ...(storage === undefined ? {} : { storage: parseBytes(storage) }),
    },
  }
}

interface WrittenAmounts {
  readonly cpus: number
  readonly memory: string
  readonly maxCpus?: number
  readonly maxMemory?: string
}

const amountsOf = ({ cpus, memory, maxCpus, maxMemory }: WrittenAmounts): Room => ({
  cpus,
  memory: parseBytes(memory),
  ...(maxCpus === undefined ? {} : { maxCpus }),
  ...(maxMemory === undefined ? {} : { maxMemory: parseBytes(maxMemory) }),
})

/** The one that was used last. */
function pinnedSize({ status }: VirtualMachine): ResolvedSize | undefined {
  if (!status?.size) return undefined
  const { storage, memory, maxMemory, ...rest } = status.size
  return {
    ...rest,
    ...amountsOf(status.size),
    ...(storage === undefined ? {} : { storage: parseBytes(storage) }),
  }
}

/**
 * What it is to be defined with: as declared, unless its slot has no room for that; growing never beyond the slot, and
 * only where the host can. Undefined: it is not known.
 */
export function sizeInForce(
  vm: VirtualMachine,
  declared: Resolution<ResolvedSize>,
  slot: Slot | undefined,
  features: readonly string[],
): ResolvedSize | undefined {
  const pinned = pinnedSize(vm)
  const isDeclared = 'value' in declared && !(pinned && slot && !fits(declared.value, slot))
  const size = isDeclared ? declared.value : pinned
  return size && slot ? { ...size, ...roomIn(size, slot, features) } : size
}

/** A guest without a balloon driver uses all that it can have: so that is never more than its slot. */
function roomIn(size: Room, { spec }: Slot, features: readonly string[]): { maxCpus: number; maxMemory: number } {
  const { cpus, memory, maxCpus = cpus, maxMemory = memory } = size
  return {
    maxCpus: features.includes('HotPlugCPU') ? Math.max(cpus, Math.min(maxCpus, spec.cpus)) : cpus,
    maxMemory: features.includes('HotPlugMemory')
      ? Math.max(memory, Math.min(maxMemory, parseBytes(spec.memory)))
      : memory,
  }
}

export const fits = ({ cpus, memory }: Amounts, { spec }: Slot): boolean =>
  cpus <= spec.cpus && memory <= parseBytes(spec.memory)

/** Hosts count memory in KiB or MiB. */
const accuracy = 2 ** 20

const isAlike = (one: number, other: number): boolean => Math.abs(one - other) < accuracy

export const hasMemory = (machine: Amounts, { memory }: Amounts): boolean => isAlike(machine.memory, memory)

export const hasSize = (machine: Amounts, size: Amounts): boolean =>
  machine.cpus === size.cpus && hasMemory(machine, size)

const mostCpus = ({ cpus, maxCpus = cpus }: Room): number => maxCpus
const mostMemory = ({ memory, maxMemory = memory }: Room): number => maxMemory

/** Fields in which the room to grow differs; what cannot grow and is not to has as much as it has. */
export function roomDifferences(machine: Room, size: Room): readonly ('maxCpus' | 'maxMemory')[] {
  const cpusGrow = [machine, size].some((one) => mostCpus(one) !== one.cpus)
  const memoryGrows = [machine, size].some((one) => !isAlike(mostMemory(one), one.memory))
  return [
    ...(cpusGrow && mostCpus(machine) !== mostCpus(size) ? (['maxCpus'] as const) : []),
    ...(memoryGrows && !isAlike(mostMemory(machine), mostMemory(size)) ? (['maxMemory'] as const) : []),
  ]
}

/** What of a size a running machine can be given as it runs: more CPUs, and more or less memory, as far as it has room. */
export function inPlace(machine: Room, size: Amounts, features: readonly string[]): LiveSize {
  const cpus = features.includes('HotPlugCPU') && size.cpus > machine.cpus && size.cpus <= mostCpus(machine)
  const memory =
    features.includes('HotPlugMemory') && !hasMemory(machine, size) && size.memory < mostMemory(machine) + accuracy
  return {
    ...(cpus ? { cpus: size.cpus } : {}),
    ...(memory ? { memory: Math.min(size.memory, mostMemory(machine)) } : {}),
  }
}

export function describeSize(size: Room): string {
  const { cpus, memory } = size
  const grows = mostCpus(size) > cpus || mostMemory(size) >= memory + accuracy
  return `${amounts(cpus, memory)}${grows ? `, up to ${amounts(mostCpus(size), mostMemory(size))}` : ''}`
}

const amounts = (cpus: number, memory: number): string => `${cpus} CPU${cpus === 1 ? '' : 's'}, ${formatBytes(memory)}`
