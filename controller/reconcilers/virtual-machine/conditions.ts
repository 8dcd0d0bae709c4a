/** The conditions of a VirtualMachine (api.md §3), from what a pass saw. Pure. */
import type { ErrorCode } from '../../errors/index.ts'
import { volumeNames } from '../../hypervisor/port.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue, isUnknown, summarize } from '../shared/conditions.ts'
import { pendingChanges } from './changes.ts'
import { dataDisksReady } from './disk-condition.ts'
import { driftOfSize } from './drift.ts'
import { expiresSoon } from './expiry.ts'
import { planHardware } from './hardware.ts'
import { knownAddresses } from './known-addresses.ts'
import type { Problem, Step } from './model.ts'
import { wantsToRun } from './plan.ts'
import { asDeclared, powerStateSynced } from './power-condition.ts'
import { isRunning, machineOf, recordedHost, type View } from './view.ts'

/** Which condition a problem shows in; what is not listed concerns the power state. */
const shownIn: Partial<Record<ErrorCode, string>> = {
  WaitingForSlot: 'Placed',
  NoSlotFree: 'Placed',
  NoHypervisorFits: 'Placed',
  DisksElsewhere: 'Placed',
  DependencyNotFound: 'Placed',
  WaitingForImage: 'ImageReady',
  ImageNotFound: 'ImageReady',
  ImageFailed: 'ImageReady',
  ArchitectureMismatch: 'ImageReady',
  ModeMismatch: 'ImageReady',
  StoragePoolNotFound: 'DisksReady',
  PoolNotFound: 'DisksReady',
  PoolInactive: 'DisksReady',
  StorageFull: 'DisksReady',
  SmallerThanImage: 'DisksReady',
  DiskMissing: 'DisksReady',
  NetworkNotFound: 'NetworkReady',
  AddressTaken: 'NetworkReady',
  MACTaken: 'NetworkReady',
  RangesFull: 'NetworkReady',
  RangesInvalid: 'NetworkReady',
  RangesOverlap: 'NetworkReady',
  SecretNotFound: 'BootstrapReady',
  SecretKeyMissing: 'BootstrapReady',
}

export function conditionsOf(view: View, step: Step, problem: Problem | undefined): ConditionFact[] {
  const facts = new Map<string, ConditionFact>()
  const add = (fact: ConditionFact | undefined) => fact && facts.set(fact.type, fact)
  add(placed(view))
  add(imageReady(view))
  add(disksReady(view))
  add(networkReady(view))
  add(bootstrapReady(view))
  add(powerStateSynced(view, step))
  add(agentConnected(view))
  add(reachable(view))
  add(restartRequired(view))
  add(sizeDrifted(view))
  add(view.expiry && expiresSoon(view.expiry))
  if (problem) {
    const type = shownIn[problem.code] ?? 'PowerStateSynced'
    add(
      problem.code === 'HypervisorUnreachable'
        ? isUnknown(type, problem.code, problem.message)
        : isFalse(type, problem.code, problem.message),
    )
    if (problem.code === 'Vanished' || problem.code === 'Drifted') {
      add(isTrue('Drifted', problem.code === 'Drifted' ? 'Changed' : problem.code, problem.message))
    }
    if (view.desired.deleting) add(isTrue('DeletionBlocked', problem.code, problem.message))
  }
  return [...summarize(ready(view, step, facts, problem)), ...facts.values()]
}

/** Conditions that Ready waits for, in the order in which they are reported. */
const precedence = ['Placed', 'ImageReady', 'DisksReady', 'NetworkReady', 'BootstrapReady', 'PowerStateSynced']

/** A machine is ready without one: its guest may want none. */
const isOnlyAnAddress = ({ type, reason }: ConditionFact): boolean =>
  type === 'NetworkReady' && reason === 'WaitingForAddress'

function ready(
  view: View,
  step: Step,
  facts: ReadonlyMap<string, ConditionFact>,
  problem: Problem | undefined,
): ConditionFact {
  const { desired } = view
  if (problem?.code === 'HypervisorUnreachable') return isUnknown('Ready', problem.code, problem.message)
  if (desired.deleting)
    return isFalse(
      'Ready',
      problem?.code ?? 'Deleting',
      problem?.message ??
        (step.do === 'AwaitSettled'
          ? 'waiting until no earlier call can still arrive at the host'
          : desired.retained
            ? 'the machine is being let go of, and stays on its host'
            : 'the machine is being removed from its host'),
    )
  if (problem) return isFalse('Ready', problem.code, problem.message)
  const failing = precedence
    .map((type) => facts.get(type))
    .find((fact) => fact !== undefined && fact.status !== 'True' && !isOnlyAnAddress(fact))
  if (failing) return { ...failing, type: 'Ready' }
  if (desired.halted)
    return isTrue(
      'Ready',
      'GuestShutDown',
      'the guest shut itself down: set a new restart.token to start it (or powerState to Stopped, and once it is Ready so, to Running)',
    )
  if (planHardware(desired, view.observed)?.do === 'AwaitSettled')
    return isFalse('Ready', 'Applying', 'changes wait until no earlier call can still arrive at the host')
  return isTrue('Ready', desired.powerState, asDeclared[desired.powerState])
}

function placed({ desired }: View): ConditionFact | undefined {
  const claim = desired.claims.find(({ slot }) => slot === desired.recordedSlot) ?? desired.claims[0]
  if (claim) return isTrue('Placed', 'SlotBound', `slot ${claim.slot} on hypervisor ${claim.hypervisor}`)
  return wantsToRun(desired) ? undefined : isTrue('Placed', 'NotNeeded', 'the machine is off and holds no slot')
}

function imageReady({ desired, resolved, observed }: View): ConditionFact | undefined {
  if ('problem' in resolved.image || !(desired.diskMade || observed.imagePlaced)) return undefined
  return isTrue('ImageReady', 'Available', `${resolved.image.value.kind} ${resolved.image.value.name}`)
}

function rootDiskSeen(view: View): boolean {
  const host = recordedHost(view)
  if (!host?.reachable) return view.desired.diskMade
  return host.observation.volumes.some(({ name }) => name === volumeNames.disk(view.desired.instanceID, 'root'))
}

function disksReady(view: View): ConditionFact | undefined {
  const { desired } = view
  if (rootDiskSeen(view)) return dataDisksReady(view)
  return desired.recordedSlot === undefined
    ? undefined
    : isFalse('DisksReady', 'Creating', 'the root disk is being made')
}

function networkReady(view: View): ConditionFact | undefined {
  const { interfaces } = view.resolved
  const lost = machineOf(view) && view.observed.interfaces?.find(({ problem }) => problem)?.problem
  if (lost) return isFalse('NetworkReady', lost.code, lost.message)
  if ('problem' in interfaces) return undefined
  if (interfaces.value.length === 0)
    return isTrue('NetworkReady', 'NoInterfaces', 'the machine has no network interface')
  if (machineOf(view)?.power !== 'Running') return undefined
  const found = interfaces.value.flatMap((one) => knownAddresses(view, one))[0]
  return found
    ? isTrue('NetworkReady', 'AddressKnown', `learnt from ${found.source}`)
    : isFalse('NetworkReady', 'WaitingForAddress', 'the guest has not asked for an address yet')
}

const bootstrapReady = (view: View): ConditionFact | undefined =>
  machineOf(view) && isTrue('BootstrapReady', 'Delivered', 'the data for first boot is on the seed disk')

const agentConnected = (view: View): ConditionFact | undefined =>
  view.interfaces.some(({ addresses }) => addresses.some(({ source }) => source === 'Agent'))
    ? isTrue('GuestAgentConnected', 'Connected', 'the guest agent answers')
    : undefined

function restartRequired(view: View): ConditionFact | undefined {
  const changes = isRunning(view) ? pendingChanges(view) : []
  if (changes.length === 0) return undefined
  const list = changes.map(({ field, from, to }) => `${field}: ${from} → ${to}`).join('; ')
  return isTrue('RestartRequired', 'ChangesPending', `not applied yet: ${list}`)
}

function sizeDrifted(view: View): ConditionFact | undefined {
  const { vm, resolved } = view
  const machine = machineOf(view)
  if (!machine || 'problem' in resolved.size) return undefined
  const drift = driftOfSize(vm, resolved.size.value, machine)
  return drift === undefined ? undefined : isTrue('Drifted', 'Changed', drift)
}

function reachable(view: View): ConditionFact | undefined {
  const host = recordedHost(view)
  if (!host) return undefined
  return host.reachable
    ? isTrue('HypervisorReachable', 'Connected', `hypervisor ${view.desired.hypervisor}`)
    : isFalse('HypervisorReachable', host.code ?? 'HypervisorUnreachable', host.message)
}
