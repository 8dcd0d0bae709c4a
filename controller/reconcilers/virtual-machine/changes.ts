/** What differs between spec and machine, field by field, and what each waits for. Pure. */
import { formatBytes, type PendingChange, type VirtualMachine } from '../../api/index.ts'
import type { ObservedMachine } from '../../hypervisor/port.ts'
import { interfaceChanges } from './interface-changes.ts'
import { describeSize, fits, hasMemory, hasSize, type ResolvedSize } from './size.ts'
import { machineOf, recordedHost, type View } from './view.ts'

/** What cannot be seen now stays as it was told. */
export function pendingChanges(view: View): readonly PendingChange[] {
  const host = recordedHost(view)
  if (host && !host.reachable) return view.vm.status?.pendingChanges ?? []
  const machine = machineOf(view)
  return machine && !view.desired.deleting ? [...sizeChanges(view, machine), ...interfaceChanges(view, machine)] : []
}

function sizeChanges(view: View, machine: ObservedMachine): PendingChange[] {
  const { vm, resolved } = view
  if ('problem' in resolved.size) {
    const [from, to] = [describeSize(machine), String(vm.spec.size)]
    return [{ field: 'spec.size', from, to, effect: 'NextStart', message: resolved.size.problem.message }]
  }
  const declared = resolved.size.value
  if (hasSize(machine, declared)) return []
  const applied = whenApplied(view, declared)
  return differences(vm, declared, machine).map((difference) => ({ ...difference, ...applied }))
}

function differences(
  { spec }: VirtualMachine,
  declared: ResolvedSize,
  machine: ObservedMachine,
): Pick<PendingChange, 'field' | 'from' | 'to'>[] {
  if (!spec.resources) {
    const to = `${declared.name} (${describeSize(declared)})`
    return [{ field: 'spec.size', from: describeSize(machine), to }]
  }
  const cpus = { field: 'spec.resources.cpus', from: String(machine.cpus), to: String(declared.cpus) }
  const memory = {
    field: 'spec.resources.memory',
    from: formatBytes(machine.memory),
    to: formatBytes(declared.memory),
  }
  return [...(machine.cpus === declared.cpus ? [] : [cpus]), ...(hasMemory(machine, declared) ? [] : [memory])]
}

function whenApplied({ vm, claimed }: View, declared: ResolvedSize): Pick<PendingChange, 'effect' | 'message'> {
  const slot = claimed.find(({ metadata }) => metadata.name === vm.status?.slot)
  if (!slot || fits(declared, slot)) return { effect: 'NextStart', message: 'applied when the machine is started next' }
  const { name } = slot.metadata
  const room = `${slot.spec.cpus} CPUs, ${slot.spec.memory}`
  return {
    effect: 'NextPlacement',
    message: `slot ${name} has only ${room}: set powerState to Stopped and back to Running, and a larger one is claimed`,
  }
}
