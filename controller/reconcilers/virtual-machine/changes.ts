/** What differs between spec and machine, field by field, and what each waits for. Pure. */
import { formatBytes, type PendingChange, type Slot, type VirtualMachine } from '../../api/index.ts'
import type { ObservedMachine } from '../../hypervisor/port.ts'
import { diskChanges } from './disk-changes.ts'
import { interfaceChanges } from './interface-changes.ts'
import { describeSize, fits, hasMemory, type ResolvedSize, roomDifferences } from './size.ts'
import { machineOf, recordedHost, type View } from './view.ts'

/** What cannot be seen now stays as it was told. */
export function pendingChanges(view: View): readonly PendingChange[] {
  const host = recordedHost(view)
  if (host && !host.reachable) return view.vm.status?.pendingChanges ?? []
  const machine = machineOf(view)
  if (!machine || view.desired.deleting) return []
  return [...sizeChanges(view, machine), ...diskChanges(view, machine), ...interfaceChanges(view, machine)]
}

function sizeChanges(view: View, machine: ObservedMachine): PendingChange[] {
  const { vm, resolved } = view
  if ('problem' in resolved.size) {
    const [from, to] = [describeSize(machine), String(vm.spec.size)]
    return [{ field: 'spec.size', from, to, effect: 'NextStart', message: resolved.size.problem.message }]
  }
  const declared = resolved.size.value
  const slot = slotOf(view)
  // How far it can grow is as far as its slot has room: what the slot keeps from it is no change to come.
  const wanted = view.size && (!slot || fits(declared, slot)) ? view.size : declared
  // What it gets at once is not pending.
  const soon = { ...machine, ...view.observed.resize }
  const applied = whenApplied(slot, declared)
  // Room that it has and nobody spoke of goes with its next start.
  const fields = differingFields(soon, wanted).filter((field) => declared[field] !== undefined)
  return differences(vm, wanted, soon, fields).map((difference) => ({ ...difference, ...applied }))
}

function differences(
  { spec }: VirtualMachine,
  wanted: ResolvedSize,
  machine: Pick<ObservedMachine, SizeField>,
  fields: readonly SizeField[],
): Pick<PendingChange, 'field' | 'from' | 'to'>[] {
  if (fields.length === 0) return []
  if (!spec.resources) {
    return [{ field: 'spec.size', from: describeSize(machine), to: `${wanted.name} (${describeSize(wanted)})` }]
  }
  return fields.map((field) => ({
    field: `spec.resources.${field}`,
    from: amountOf(machine, field),
    to: amountOf(wanted, field),
  }))
}

type SizeField = 'cpus' | 'memory' | 'maxCpus' | 'maxMemory'

const differingFields = (machine: Pick<ObservedMachine, SizeField>, wanted: ResolvedSize): readonly SizeField[] => [
  ...(machine.cpus === wanted.cpus ? [] : (['cpus'] as const)),
  ...(hasMemory(machine, wanted) ? [] : (['memory'] as const)),
  ...roomDifferences(machine, wanted),
]

function amountOf(
  { cpus, memory, maxCpus = cpus, maxMemory = memory }: Pick<ObservedMachine, SizeField>,
  field: SizeField,
): string {
  switch (field) {
    case 'cpus':
      return String(cpus)
    case 'maxCpus':
      return String(maxCpus)
    case 'memory':
      return formatBytes(memory)
    case 'maxMemory':
      return formatBytes(maxMemory)
  }
}

const slotOf = ({ claimed, vm }: View) => claimed.find(({ metadata }) => metadata.name === vm.status?.slot)

function whenApplied(slot: Slot | undefined, declared: ResolvedSize): Pick<PendingChange, 'effect' | 'message'> {
  if (!slot || fits(declared, slot)) return { effect: 'NextStart', message: 'applied when the machine is started next' }
  const { name } = slot.metadata
  const room = `${slot.spec.cpus} CPUs, ${slot.spec.memory}`
  return {
    effect: 'NextPlacement',
    message: `slot ${name} has only ${room}: set powerState to Stopped and back to Running, and a larger one is claimed`,
  }
}
