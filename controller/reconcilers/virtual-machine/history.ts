/** What becomes an Event: each step that changes something, and each problem when it first appears. Pure. */
import { formatAddress, type VirtualMachine } from '../../api/index.ts'
import { errorTable } from '../../errors/index.ts'
import type { EventRecord, ObjectReference, ReadObject } from '../../kube/port.ts'
import { referenceTo } from '../shared/references.ts'
import { lineOfDisk } from './disk-history.ts'
import { lineOfInterface } from './interface-history.ts'
import type { Problem, Step } from './model.ts'
import { describeSize, hasSize } from './size.ts'
import { machineOf, type View } from './view.ts'

export type Line = Pick<EventRecord, 'action' | 'reason' | 'note'> &
  Partial<Pick<EventRecord, 'type'>> & { readonly slot?: string }

function lineOf(step: Step, view: View): Line | undefined {
  const { vm, desired, resolved } = view
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
    case 'RecordDisks':
    case 'AttachDisk':
    case 'DetachDisk':
    case 'GrowDisk':
      return lineOfDisk(step, view)
    case 'CreateDisk':
      if (step.disk !== undefined) return lineOfDisk({ do: step.do, disk: step.disk }, view)
      return {
        action: 'CreateDisk',
        reason: 'Created',
        note: `root disk made from ${'value' in resolved.image ? `${resolved.image.value.kind} ${resolved.image.value.name}` : 'the image'}`,
      }
    case 'LeaseAddresses':
      return leaseLine(view)
    case 'Define':
      if (view.observed.outdated && view.size && isResized(view))
        return {
          action: 'Resize',
          reason: 'Resized',
          note: `defined anew with ${describeSize(view.size)}`,
          slot: step.slot,
        }
      return { action: 'Create', reason: 'Created', note: `defined on hypervisor ${host}`, slot: step.slot }
    case 'Resize':
      return {
        action: 'Resize',
        reason: 'Resized',
        note: `has ${describeSize({ ...(machineOf(view) ?? { cpus: 0, memory: 0 }), ...step.size })} now, while it runs`,
      }
    case 'Start':
      return machineOf(view)?.power === 'Suspended'
        ? { action: 'Resume', reason: 'Resumed', note: `goes on from its saved memory on hypervisor ${host}` }
        : { action: 'Start', reason: 'Started', note: `started on hypervisor ${host}` }
    case 'Pause':
      return { action: 'Pause', reason: 'Paused', note: 'its processors are held' }
    case 'Unpause':
      return { action: 'Unpause', reason: 'Unpaused', note: 'its processors go on' }
    case 'BeginSuspend':
      return { action: 'Suspend', reason: 'Suspending', note: `its memory is being saved on hypervisor ${host}` }
    case 'Suspend':
      return { action: 'Suspend', reason: 'Suspended', note: `its memory is saved on hypervisor ${host}` }
    case 'DiscardMemory':
      return { action: 'DiscardMemory', reason: 'MemoryDiscarded', note: 'its saved memory is thrown away' }
    case 'BeginRestart':
      return {
        action: 'Restart',
        reason: 'Restarting',
        note: `${step.restart.mode} restart ${step.restart.token}: the machine is stopped, and started again in its slot`,
      }
    case 'MarkRunning':
      return {
        action: 'Start',
        reason: 'Running',
        note: `runs on hypervisor ${host}${vm.status?.host === undefined ? '' : ` (${vm.status.host})`}, slot ${vm.status?.slot}`,
      }
    case 'MarkStopped':
      return stopLine(step)
    case 'ShutDown':
      return { action: 'ShutDown', reason: 'Asked', note: 'the guest is asked to shut down' }
    case 'PowerOff':
      return { action: 'PowerOff', reason: 'PowerCut', note: 'the power is cut' }
    case 'Release':
      return { action: 'Release', reason: 'SlotReleased', note: `slot ${step.slot} is given back`, slot: step.slot }
    case 'AttachInterface':
    case 'DetachInterface':
      return lineOfInterface(step, view)
    case 'Undefine':
      return { action: 'Delete', reason: 'Deleted', note: `removed from hypervisor ${host}` }
    case 'Expire':
      return { action: 'Expire', reason: 'Expired', note: view.expiry?.message ?? 'its life-time is over' }
    case 'LetGo':
      return {
        action: 'Retain',
        reason: 'Retained',
        note: `let go of, and left on hypervisor ${host} as it is (${machineOf(view)?.power}): ${machineOf(view)?.hostName}, disks ${vm.status?.disks?.map(({ volume }) => volume).join(', ')}`,
      }
    case 'DeleteVolume':
      return {
        action: 'DeleteDisk',
        reason: 'Deleted',
        note: `volume ${step.volume} deleted from storage pool ${step.pool}`,
      }
    case 'RemoveFinalizer':
      // What was let go of was told of then.
      return machineOf(view) || desired.retainedDisks.length === 0 || host === undefined
        ? undefined
        : {
            action: 'RetainDisk',
            reason: 'Retained',
            note: `disks kept on hypervisor ${host}: ${vm.status?.disks
              ?.filter(({ name }) => desired.retainedDisks.includes(name))
              .map(({ volume, storagePool }) => `${volume} in storage pool ${storagePool}`)
              .join(', ')}`,
          }
    default:
      return undefined
  }
}

function isResized(view: View): boolean {
  const machine = machineOf(view)
  return machine !== undefined && view.size !== undefined && !hasSize(machine, view.size)
}

/** A MAC address alone is nothing to tell of: every interface has one. */
function leaseLine({ leases: { missing } }: View): Line | undefined {
  const told = missing.flatMap((need) => {
    if ('family' in need) return `${need.interface}: an IPv${need.family} address of Network ${need.network}`
    return 'address' in need ? `${need.interface}: ${formatAddress(need.address)} of Network ${need.network}` : []
  })
  return told.length === 0
    ? undefined
    : { action: 'Lease', reason: 'AddressesLeased', note: `leased: ${told.join('; ')}` }
}

function stopLine({ by, stays }: Extract<Step, { do: 'MarkStopped' }>): Line {
  const then = stays ? 'its slot is given back' : 'it is started again'
  switch (by) {
    case 'Guest':
      return { action: 'Stop', reason: 'GuestShutDown', note: `the guest shut itself down; ${then}` }
    case 'Crash':
      return { action: 'Stop', reason: 'GuestCrashed', note: `the guest crashed; ${then}`, type: 'Warning' }
    case 'Outside':
      return { action: 'Stop', reason: 'DriftMended', note: `its power was cut on the host; ${then}`, type: 'Warning' }
    case 'Host':
      return {
        action: 'Stop',
        reason: 'HostStopped',
        note: `it went off with its host, or the host does not know why; ${then}`,
        type: 'Warning',
      }
    case 'Berth':
      return { action: 'Restart', reason: 'Stopped', note: `it is off, as the restart asks; ${then}` }
  }
}

const slotReference = (name: string): ObjectReference => ({ apiVersion: 'berth.dev/v1alpha1', kind: 'Slot', name })

export function eventOfStep(step: Step, view: View): EventRecord | undefined {
  const line = lineOf(step, view)
  if (!line) return undefined
  const { slot, ...rest } = line
  return {
    type: 'Normal',
    ...rest,
    regarding: referenceTo(view.vm),
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
