/** What becomes an Event: each step that changes something, and each problem when it first appears. Pure. */
import type { VirtualMachine } from '../../api/index.ts'
import { errorTable } from '../../errors/index.ts'
import type { EventRecord, ObjectReference, ReadObject } from '../../kube/port.ts'
import { referenceTo } from '../shared/references.ts'
import type { Problem, Step } from './model.ts'
import type { View } from './view.ts'

type Line = Pick<EventRecord, 'action' | 'reason' | 'note'> & { readonly slot?: string }

function lineOf(step: Step, { vm, desired, resolved }: View): Line | undefined {
  const host = desired.hypervisor
  switch (step.do) {
    case 'Claim':
      return { action: 'Claim', reason: 'SlotBound', note: `slot ${step.slot} is claimed`, slot: step.slot }
    case 'Record':
      return {
        action: 'Place',
        reason: 'Placed',
        note: `placed on hypervisor ${step.hypervisor}, slot ${step.slot}, storage pool ${step.pool}`,
        slot: step.slot,
      }
    case 'CreateDisk':
      return {
        action: 'CreateDisk',
        reason: 'Created',
        note: `root disk made from ${'value' in resolved.image ? `${resolved.image.value.kind} ${resolved.image.value.name}` : 'the image'}`,
      }
    case 'Define':
      return { action: 'Create', reason: 'Created', note: `defined on hypervisor ${host}`, slot: step.slot }
    case 'Start':
      return { action: 'Start', reason: 'Started', note: `started on hypervisor ${host}` }
    case 'MarkRunning':
      return {
        action: 'Start',
        reason: 'Running',
        note: `runs on hypervisor ${host}${vm.status?.host === undefined ? '' : ` (${vm.status.host})`}, slot ${vm.status?.slot}`,
      }
    case 'MarkHalted':
      return { action: 'Stop', reason: 'GuestShutDown', note: 'the guest shut itself down; its slot is given back' }
    case 'ShutDown':
      return { action: 'ShutDown', reason: 'Asked', note: 'the guest is asked to shut down' }
    case 'PowerOff':
      return { action: 'PowerOff', reason: 'PowerCut', note: 'the power is cut' }
    case 'Release':
      return { action: 'Release', reason: 'SlotReleased', note: `slot ${step.slot} is given back`, slot: step.slot }
    case 'Undefine':
      return { action: 'Delete', reason: 'Deleted', note: `removed from hypervisor ${host}` }
    case 'DeleteVolume':
      return {
        action: 'DeleteDisk',
        reason: 'Deleted',
        note: `volume ${step.volume} deleted from storage pool ${step.pool}`,
      }
    case 'RemoveFinalizer':
      return desired.retainedDisks.length === 0 || host === undefined
        ? undefined
        : {
            action: 'RetainDisk',
            reason: 'Retained',
            note: `disks kept on hypervisor ${host}: ${vm.status?.disks?.map(({ volume }) => volume).join(', ')}`,
          }
    default:
      return undefined
  }
}

const slotReference = (name: string): ObjectReference => ({ apiVersion: 'berth.dev/v1alpha1', kind: 'Slot', name })

export function eventOfStep(step: Step, view: View): EventRecord | undefined {
  const line = lineOf(step, view)
  if (!line) return undefined
  const { slot, ...rest } = line
  return {
    ...rest,
    regarding: referenceTo(view.vm),
    type: 'Normal',
    actor: 'berth',
    ...(slot === undefined ? {} : { related: slotReference(slot) }),
  }
}

/** A problem is told when Ready's reason becomes it: not on each pass. */
export function eventOfProblem(problem: Problem, step: Step, vm: ReadObject<VirtualMachine>): EventRecord | undefined {
  const known = vm.status?.conditions?.some(({ type, reason }) => type === 'Ready' && reason === problem.code)
  if (known || errorTable[problem.code].class === 'Conflict') return undefined
  const type = errorTable[problem.code].class === 'Waiting' ? 'Normal' : 'Warning'
  const action = step.do === 'Wait' ? 'Wait' : step.do
  return { regarding: referenceTo(vm), type, action, reason: problem.code, note: problem.message, actor: 'berth' }
}
