/** The status of a VirtualMachine, from what a pass saw and did. Pure: the time is given. */
import { formatBytes, type VirtualMachineStatus } from '../../api/index.ts'
import { volumeNames } from '../../hypervisor/port.ts'
import { mergeConditions } from '../../runtime/conditions.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { pendingChanges } from './changes.ts'
import { conditionsOf } from './conditions.ts'
import { savingMemory } from './desired.ts'
import { firstDataDisks, policyOf, recordedDisks } from './disk-status.ts'
import { network } from './interface-status.ts'
import type { Problem, Step } from './model.ts'
import { wantsToRun } from './plan.ts'
import { hasSize, type ResolvedSize } from './size.ts'
import { isRunning, machineOf, recordedHost, type View } from './view.ts'

type Fields = Partial<VirtualMachineStatus>

/** `problem`: what the pass met, be it a step that waits or an effect that failed. */
export function statusOf(view: View, step: Step, problem: Problem | undefined, now: string): VirtualMachineStatus {
  const { vm } = view
  const generation = vm.metadata.generation ?? 1
  const facts = conditionsOf(view, step, problem)
  const status: Fields = {
    ...record(view, step),
    ...power(view, step, now),
    ...hardware(view, step),
    ...network(view),
    ...waiting(view, step, problem),
    instanceID: view.desired.instanceID,
    ...(view.expiry ? { expiresAt: view.expiry.at } : {}),
    observedGeneration: generation,
    ...reached(view, facts),
    conditions: mergeConditions(vm.status?.conditions ?? [], facts, generation, now),
  }
  return withoutUndefined(status)
}

/** What is drift, and not on its way, is told by what was reached. */
function reached({ vm, desired }: View, facts: readonly ConditionFact[]): Fields {
  if (vm.spec.managementPolicy !== 'ReportDrift') return {}
  const isReached = facts.some(({ type, reason }) => type === 'PowerStateSynced' && reason === 'InSync')
  return { reachedPowerState: isReached ? desired.powerState : vm.status?.reachedPowerState } as Fields
}

/** Drops fields that are undefined, so that equal statuses compare equal and are sent without them. */
const withoutUndefined = (status: Fields): VirtualMachineStatus =>
  Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== undefined),
  ) as unknown as VirtualMachineStatus

/** Where it is. The hypervisor stays recorded as long as the object lives: its disks are there. */
function record({ vm: { status }, host: seen }: View, step: Step): Fields {
  const hypervisor = step.do === 'Record' ? step.hypervisor : status?.hypervisor
  if (hypervisor === undefined) return {}
  const slot = step.do === 'Record' ? step.slot : step.do === 'ClearRecord' ? undefined : status?.slot
  const host = seen?.hostName ?? status?.host
  // The first that is seen is kept: under another id nothing is done.
  const hostID = status?.hostID ?? seen?.id
  return {
    hypervisor,
    ...(slot === undefined ? {} : { slot }),
    ...(host === undefined ? {} : { host }),
    ...(hostID === undefined ? {} : { hostID }),
  }
}

/** The marks that tell a guest's own shutdown from ours: startTime and lastStop (docs/decisions/0003-start-time.md). */
function power(view: View, step: Step, now: string): Fields {
  const { status } = view.vm
  const machine = machineOf(view)
  const host = recordedHost(view)
  const startTime = step.do === 'MarkRunning' ? now : endsRun(step) ? undefined : status?.startTime
  const hasRun = startTime !== undefined && machine?.power === 'Running'
  const fields = {
    powerState: host && !host.reachable ? ('Unknown' as const) : (machine?.power ?? ('Stopped' as const)),
    lastStop: lastStop(view, step, now),
    ...restarts(view, step, now),
    startTime,
    firstBootTime: status?.firstBootTime ?? (hasRun ? now : undefined),
    hypervisorID: step.do === 'Record' ? undefined : (machine?.id ?? status?.hypervisorID),
  }
  return fields as Fields
}

const endsRun = (step: Step): boolean => step.do === 'Record' || step.do === 'ClearRecord' || step.do === 'MarkStopped'

function lastStop({ vm, desired }: View, step: Step, time: string): VirtualMachineStatus['lastStop'] {
  const generation = vm.metadata.generation ?? 1
  if (step.do === 'MarkStopped') {
    const latch = step.stays ? { restartToken: vm.spec.restart?.token ?? '' } : {}
    return { by: step.by, time, generation, ...latch }
  }
  if (step.do === 'ClearRecord' && desired.powerState === 'Stopped') return { by: 'Berth', time, generation }
  if (vm.status?.lastStop === undefined) return undefined
  // The user has spoken: that it is to stay off no longer holds.
  const { restartToken, ...told } = vm.status.lastStop
  return step.do === 'Record' || desired.powerState !== 'Running' ? told : vm.status.lastStop
}

/** A start serves what was asked for before it; a restart is served once the machine is off for it. */
function restarts({ vm: { status }, desired }: View, step: Step, now: string): Fields {
  const { restart, restarting } = desired
  switch (step.do) {
    case 'BeginRestart':
      return { restart: status?.restart, restarting: { ...step.restart, since: now } } as Fields
    case 'MarkStopped':
    case 'ServeRestart':
    case 'Record': {
      const served = restarting ?? restart
      return { restart: served ? { token: served.token, time: now } : status?.restart } as Fields
    }
    case 'ClearRecord':
      return { restart: status?.restart } as Fields
    default:
      return { restart: status?.restart, restarting: status?.restarting } as Fields
  }
}

/** What is pinned from the record on: size, image, disks. The size is the one that the machine has. */
function hardware(view: View, step: Step): Fields {
  const { status } = view.vm
  const { size, image, rootCapacity } = view.resolved
  const changes = pendingChanges(view).map((change) => ({ ...change }))
  const pending = changes.length > 0 ? { pendingChanges: changes } : {}
  if (step.do === 'Record' && !('problem' in size || 'problem' in image || 'problem' in rootCapacity)) {
    const { kind, name, uid, digest, format } = image.value
    return {
      ...pending,
      size: written(size.value),
      image: { kind, name, uid, digest, format: format === 'qcow2' ? 'QCOW2' : 'Raw' },
      disks: status?.disks ?? [
        {
          name: 'root',
          storagePool: step.pool,
          volume: volumeNames.disk(view.desired.instanceID, 'root'),
          size: formatBytes(rootCapacity.value),
          state: 'Creating',
          ...policyOf(view, 'root'),
        },
        ...firstDataDisks(view),
      ],
    }
  }
  const machine = machineOf(view)
  const reached = machine && !('problem' in size) && hasSize(machine, size.value)
  const fields = {
    ...pending,
    size: status?.size && reached ? written(size.value) : status?.size,
    image: status?.image,
    disks: recordedDisks(view, step),
  }
  return fields as Fields
}

const written = ({ memory, maxMemory, storage, ...rest }: ResolvedSize): NonNullable<VirtualMachineStatus['size']> => ({
  ...rest,
  memory: formatBytes(memory),
  ...(maxMemory === undefined ? {} : { maxMemory: formatBytes(maxMemory) }),
  ...(storage === undefined ? {} : { storage: formatBytes(storage) }),
})

function waiting(view: View, step: Step, problem: Problem | undefined): Fields {
  const { placement } = view.observed
  const told = problem && placement?.kind === 'Wait' && placement.reason === problem.code ? placement : undefined
  const rejections = told?.rejections.map((rejection) => ({ ...rejection })) ?? []
  // What its turn had come for, and could not be had, is waited for at the same place.
  const queue = problem && step.do === 'Claim' ? placement?.queue : told?.queue
  const progress = isSaving(view, step)
    ? { step: savingMemory, message: 'its memory is being written to the disk of the host' }
    : wantsToRun(view.desired) && problem?.code === 'WaitingForImage' && view.placingPercent !== undefined
      ? { step: 'PlacingImage', percent: view.placingPercent, message: 'the image is being copied to the host' }
      : undefined
  return {
    ...(rejections.length > 0 ? { slotRejections: rejections } : {}),
    ...(queue ? { queue } : {}),
    ...(progress ? { progress } : {}),
  } as Fields
}

/** From before the host is told until it is seen to be done, or cannot come any more. */
function isSaving(view: View, step: Step): boolean {
  if (step.do === 'BeginSuspend') return true
  const { saving, powerState } = view.desired
  return saving && isRunning(view) && (powerState === 'Suspended' || !view.observed.settled)
}
