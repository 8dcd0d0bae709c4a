/**
 * The claim protocol as a pure function: what is desired and what was observed give the next step, one at a time.
 * The first line that applies is done, and nothing else; the next pass observes again. So an ambiguous answer, a crash
 * and a deposed leader are one case. docs/decisions/0005-claim-protocol.md tells why each line stands where it does.
 */
import {
  type MachineObservation,
  type ObservedMachine,
  type ObservedVolume,
  volumeNames,
} from '../../hypervisor/port.ts'
import { planDisksOfStart, problemOfUnseen } from './disks.ts'
import { reportDriftOfPower } from './drift.ts'
import { planHardware } from './hardware.ts'
import { leaseFirst } from './lease-first.ts'
import { type Claim, type Desired, type HostObservation, type Observed, type Step, wait } from './model.ts'
import { planPowerOff, planPowerOfRun, planRestart, runs } from './power.ts'

export function plan(desired: Desired, observed: Observed): Step {
  if (desired.deleting) return planDeletion(desired, observed)
  if (!desired.finalizer) return { do: 'AddFinalizer' }
  if (desired.expired === 'Delete') return { do: 'Expire' }
  const surplus = surplusClaims(desired)
  const aside = planSurplus(surplus, desired, observed)
  if (aside && !canWait(aside)) return aside
  const own = { ...desired, claims: desired.claims.filter((claim) => !surplus.includes(claim)) }
  const step = planPower(own, observed)
  const leased = leaseFirst(step, desired, observed)
  if (step.do !== 'Nothing' || leased.do === 'LeaseAddresses') return leased
  return planHardware(desired, observed) ?? (leased.do === 'Wait' ? leased : (aside ?? step))
}

function planPower(desired: Desired, observed: Observed): Step {
  const releasing = desired.claims.some(({ phase }) => phase === 'Releasing')
  if (releasing || !keepsSlot(desired, observed)) return planStop(desired, observed)
  return desired.claims.length === 0 ? planClaim(desired, observed) : planRun(desired, observed)
}

/** Whether it is to run, be it with its processors held: declared so, and not off by its guest's own wish. */
export const wantsToRun = ({ deleting, powerState, halted }: Desired): boolean =>
  !deleting && (powerState === 'Running' || powerState === 'Paused') && halted === undefined

/** What is to be suspended keeps its slot as long as there is memory; what has none is off, as a machine that is stopped. */
function keepsSlot(desired: Desired, observed: Observed): boolean {
  if (wantsToRun(desired)) return true
  if (desired.powerState !== 'Suspended' || desired.claims.length === 0) return false
  const host = desired.hypervisor === undefined ? undefined : observed.hosts.get(desired.hypervisor)
  // Of a host that does not answer nothing is concluded; nor of a machine that vanished.
  if (host?.reachable === false) return true
  // Nor is it touched where drift is left as it is found.
  if (desired.reportsDrift && desired.runSeen) return true
  const machine = host?.observation.machine
  return machine ? machine.power !== 'Stopped' : desired.runSeen || desired.seenThere
}

const startable = (machine: ObservedMachine | undefined): boolean => machine !== undefined && !machine.parked
/** Startable, and parking would close it. A saved memory starts in spite of that. */
const isOpen = (machine: ObservedMachine | undefined): boolean => startable(machine) && machine?.power !== 'Suspended'

const unreachable = (name: string, host: Exclude<HostObservation, { reachable: true }> | undefined): Step =>
  wait(host?.code ?? 'HypervisorUnreachable', host?.message ?? `hypervisor ${name} was not observed`)

/** The recorded host as observed; undefined while none is recorded. A step to wait where it cannot be seen or is not ours. */
function lookAtHost(desired: Desired, observed: Observed): MachineObservation | Step | undefined {
  if (desired.hypervisor === undefined) return undefined
  const host = observed.hosts.get(desired.hypervisor)
  if (!host?.reachable) return unreachable(desired.hypervisor, host)
  const { foreign, released } = host.observation
  // What was let go of is looked at once more: what it held is still to be given back.
  if (foreign !== undefined && !(desired.deleting && released)) return wait('ForeignObject', foreign)
  return host.observation
}
const isStep = (seen: MachineObservation | Step | undefined): seen is Step => seen !== undefined && 'do' in seen

/** Deletion has no way back: drain, stop, undefine, release, delete what is not retained, and let go when nothing can be on its way. */
function planDeletion(desired: Desired, observed: Observed): Step {
  if (!desired.finalizer) return { do: 'Nothing' }
  const seen = lookAtHost(desired, observed)
  if (isStep(seen)) return seen
  if (desired.retained || seen?.released) return planRetention(desired, observed, seen)
  const bound = desired.claims.find(({ phase }) => phase === 'Bound')
  // Disks that outlive it are to be left in order.
  const first = desired.retainedDisks.length > 0 ? endInOrder(bound, desired, observed, seen?.machine) : undefined
  if (first) return first
  if (bound) return { do: 'Drain', slot: bound.slot }
  if (seen?.machine)
    return runs(seen.machine) ? planPowerOff(desired.shutdownMode, observed, seen.machine) : { do: 'Undefine' }
  const released = giveBackAny(desired.claims, desired, observed)
  if (released) return released
  const volume = seen?.volumes.find((one) => goesWithIt(one.name, desired) && !isElsewhere(one, observed))
  const unseen = observed.poolProblem ?? problemOfUnseen(observed.disks)
  if (unseen) return { do: 'Wait', problem: unseen }
  if (volume) return { do: 'DeleteVolume', pool: volume.pool, volume: volume.name }
  return planEnd(observed)
}

/** One of that name that was kept in another pool than the disk of today is in. */
const isElsewhere = ({ name, pool }: Pick<ObservedVolume, 'name' | 'pool'>, { disks = [] }: Observed): boolean =>
  disks.some(
    (disk) => disk.name !== 'root' && disk.volumeName === name && disk.pool !== undefined && disk.pool !== pool,
  )

/** The seed, a disk that is not retained, or what others have put over one: an external snapshot is named after its base. */
function goesWithIt(volume: string, { instanceID, retainedDisks, dataDisks = [] }: Desired): boolean {
  const isOf = (base: string) => volume === base || volume.startsWith(`${base}.`)
  const disks = ['root', ...dataDisks].filter((disk) => !retainedDisks.includes(disk))
  return [volumeNames.seed(instanceID), ...disks.map((disk) => volumeNames.disk(instanceID, disk))].some(isOf)
}

/**
 * Deletion that leaves the machine as it is: let go of first, then its slot is given back. Nothing that was sent may
 * arrive at what is not ours any more, and nothing is sent after; from then on a spec that changes its mind is too late.
 */
function planRetention(desired: Desired, observed: Observed, seen: MachineObservation | undefined): Step {
  const isToBeReleased = seen?.machine !== undefined || seen?.released?.parked
  if (isToBeReleased) return observed.settled ? { do: 'LetGo' } : { do: 'AwaitSettled' }
  const bound = desired.claims.find(({ phase }) => phase === 'Bound')
  if (bound) return { do: 'Drain', slot: bound.slot }
  return giveBackAny(desired.claims, desired, observed) ?? planEnd(observed)
}

/** A call that is late could still make a volume or a definition, and nobody would be left to remove it. */
const planEnd = (observed: Observed): Step => (observed.settled ? { do: 'RemoveFinalizer' } : { do: 'AwaitSettled' })

/** Claims beside the recorded one, or away from the disks: late successes of earlier attempts. */
function surplusClaims({ claims, recordedSlot, hypervisor: recorded }: Desired): readonly Claim[] {
  const holdsRecorded = claims.some(({ slot }) => slot === recordedSlot)
  return claims.filter(({ slot, hypervisor }) =>
    holdsRecorded ? slot !== recordedSlot : recorded !== undefined && hypervisor !== recorded,
  )
}

/** They are drained and given back. */
function planSurplus(surplus: readonly Claim[], desired: Desired, observed: Observed): Step | undefined {
  const bound = surplus.find(({ phase }) => phase === 'Bound')
  return bound ? { do: 'Drain', slot: bound.slot } : giveBackAny(surplus, desired, observed)
}

/** A slot that cannot be given back yet does not keep the machine from being run or stopped elsewhere. */
const canWait = (step: Step): boolean =>
  step.do === 'AwaitSettled' || (step.do === 'Wait' && step.problem.code !== 'ForeignObject')

/** Drain, park, stop, clear, release: a stop that has begun is finished, even if it is wanted to run again meanwhile. */
function planStop(desired: Desired, observed: Observed): Step {
  const seen = lookAtHost(desired, observed)
  if (isStep(seen)) return seen
  const machine = seen?.machine
  const bound = desired.claims.find(({ phase }) => phase === 'Bound')
  const first = endInOrder(bound, desired, observed, machine)
  if (first) return first
  if (bound) return { do: 'Drain', slot: bound.slot }
  // Saved by somebody while it was being stopped: a power cut, as far as the guest is concerned.
  if (machine?.power === 'Suspended' && desired.claims.length > 0) {
    return desired.shutdownMode === 'Soft' ? keepsMemory : { do: 'DiscardMemory' }
  }
  // Parked first: then off means fenced at once, however late a start arrives. A transient machine has no definition to
  // park: it vanishes when it stops.
  if (isOpen(machine) && !machine?.transient) return { do: 'Park' }
  if (runs(machine)) return planPowerOff(desired.shutdownMode, observed, machine)
  if (desired.recordedSlot !== undefined) return { do: 'ClearRecord' }
  return giveBackAny(desired.claims, desired, observed) ?? resting(desired, machine)
}

const keepsMemory = wait(
  'GuestRefusesShutdown',
  'its memory is saved on the host, and it did not go on to be shut down; shutdownMode Soft throws nothing away: set shutdownMode to TrySoft or Hard, which lose what it had in memory',
)

/**
 * What is suspended, or about to be, goes on under its claim and is then shut down, before the way of no return.
 * Undefined: its claim can be drained. Under Hard, or TrySoft when its time is over, what it had in memory is lost.
 */
function endInOrder(
  claim: Claim | undefined,
  { shutdownMode, recordedSlot, saving }: Desired,
  { settled, shutdown: { timedOut } }: Observed,
  machine: ObservedMachine | undefined,
): Step | undefined {
  if (!claim || !machine || shutdownMode === 'Hard' || claim.slot !== recordedSlot) return undefined
  if (timedOut && shutdownMode === 'TrySoft') return undefined
  if (machine.power === 'Suspended') {
    if (claim.occupied) return isOccupied(claim)
    if (timedOut) return keepsMemory
    if (machine.parked || machine.tag.slot !== claim.slot) return { do: 'Define', slot: claim.slot }
    return { do: 'Start', paused: false }
  }
  if (!runs(machine)) return undefined
  if (machine.power === 'Paused' && machine.pauseReason === 'Job') return { do: 'AwaitHost' }
  return saving && !settled ? { do: 'AwaitSettled' } : undefined
}

const isOccupied = (claim: Claim): Step =>
  wait(
    'ForeignObject',
    `the host runs another machine under slot ${claim.slot}: nothing is touched, a person must look`,
  )

/** Whether it is being stopped, for whatever reason. */
export const isStopping = (desired: Desired): boolean =>
  desired.deleting ||
  desired.restarting !== undefined ||
  desired.claims.some(({ phase }) => phase === 'Releasing') ||
  (!wantsToRun(desired) && desired.powerState !== 'Suspended')

/** It is off, as it is to be: whether that needs somebody. */
function resting({ powerState, halted, expired }: Desired, machine: ObservedMachine | undefined): Step {
  if (expired)
    return wait(
      'Expired',
      'its life-time (spec.expiresAfter) is over; it is off, and not deleted, since deletionProtection is Enabled: raise expiresAfter or take it out to start it again, or set deletionProtection to Disabled to have it deleted',
    )
  if (powerState === 'Suspended' && machine?.power !== 'Suspended')
    return wait('NothingToSuspend', 'the machine is off, there is no memory to save: set powerState to Running first')
  if (halted === 'Crash')
    return wait(
      'GuestCrashed',
      'the guest crashed and stays off, as onCrash says: set a new restart.token to start it (or powerState to Stopped, and once it is Ready so, to Running)',
    )
  return { do: 'Nothing' }
}

/** What can be given back is not held up by what has to wait. */
function giveBackAny(claims: readonly Claim[], desired: Desired, observed: Observed): Step | undefined {
  const steps = claims.map((claim) => giveBack(claim, desired, observed))
  return steps.find((step) => step?.do === 'Release') ?? steps.find((step) => step !== undefined)
}

/** A slot is given back when it is Releasing and its host was seen to hold nothing of ours that runs or could be started. */
function giveBack(claim: Claim, desired: Desired, observed: Observed): Step | undefined {
  const host = observed.hosts.get(claim.hypervisor)
  if (!host?.reachable) return unreachable(claim.hypervisor, host)
  const { machine, foreign, released } = host.observation
  if (foreign !== undefined && !released) return wait('ForeignObject', foreign)
  const onlyOneThere = desired.claims.filter(({ hypervisor }) => hypervisor === claim.hypervisor).length === 1
  const underThisClaim = machine !== undefined && (machine.tag.slot === claim.slot || onlyOneThere)
  if (underThisClaim && (runs(machine) || startable(machine))) {
    // On the recorded host the next steps close it; anywhere else nothing of ours was ever made.
    if (claim.hypervisor === desired.hypervisor) return undefined
    return wait('ForeignObject', `it is also on hypervisor ${claim.hypervisor}, where it was never placed: look there`)
  }
  return observed.settled ? { do: 'Release', slot: claim.slot } : { do: 'AwaitSettled' }
}

/** No claim is held: close what a late call may have opened, then claim. */
function planClaim(desired: Desired, observed: Observed): Step {
  const seen = lookAtHost(desired, observed)
  if (isStep(seen)) return seen
  const machine = seen?.machine
  if (desired.recordedSlot !== undefined) {
    if (isOpen(machine) && !machine?.transient) return { do: 'Park' }
    return runs(machine) ? planPowerOff(desired.shutdownMode, observed, machine) : { do: 'ClearRecord' }
  }
  if (runs(machine)) {
    return wait(
      'ForeignObject',
      `it runs on ${desired.hypervisor} under slot ${machine.tag.slot} without a claim: stop it there, or restore the slot's claim`,
    )
  }
  // What is suspended cannot be closed: the claim that follows is what it lacks.
  if (isOpen(machine)) return { do: 'Park' }
  if (observed.problem) return { do: 'Wait', problem: observed.problem }
  const placement = observed.placement
  if (!placement) return { do: 'Nothing' }
  if (placement.kind === 'Wait') return wait(placement.reason, placement.message)
  return { do: 'Claim', slot: placement.slot }
}

function planRecord(claim: Claim | undefined, desired: Desired, { rootPool, problem, disks = [] }: Observed): Step {
  if (!claim) return { do: 'Nothing' }
  // What is recorded is pinned with it, size and image too: it must all be known.
  if (problem && !desired.diskMade) return { do: 'Wait', problem }
  if (rootPool === undefined)
    return wait('StoragePoolNotFound', `no StoragePool on ${claim.hypervisor} is ready for the root disk`)
  const disk = desired.booted ? undefined : disks.find((one) => one.problem)
  if (disk?.problem) return { do: 'Wait', problem: disk.problem }
  return { do: 'Record', slot: claim.slot, hypervisor: claim.hypervisor, pool: rootPool }
}

/** A claim is held and it is to run: record, disk, definition, start. */
function planRun(desired: Desired, observed: Observed): Step {
  const claim = desired.claims.find(({ slot }) => slot === desired.recordedSlot)
  // Before any effect on a host, or two claims become two hosts.
  if (!claim || desired.hypervisor === undefined) return planRecord(claim ?? desired.claims[0], desired, observed)
  const seen = lookAtHost(desired, observed)
  if (isStep(seen)) return seen
  if (!seen) return { do: 'Nothing' }
  if (claim.occupied) return isOccupied(claim)
  const { machine } = seen
  if ((desired.runSeen || desired.seenThere) && !machine) {
    return wait(
      'Vanished',
      `the machine is gone from ${desired.hypervisor}; it is not made anew: delete this object and apply it again`,
    )
  }
  if (!seen.volumes.some(({ name }) => name === volumeNames.disk(desired.instanceID, 'root'))) {
    if (observed.poolProblem) return { do: 'Wait', problem: observed.poolProblem }
    if (desired.diskMade)
      return wait('DiskMissing', 'the root disk is gone from the host; it is never made anew by itself')
    if (observed.problem) return { do: 'Wait', problem: observed.problem }
    if (!observed.imagePlaced) return wait('WaitingForImage', 'the image is being placed in the storage pool')
    return { do: 'CreateDisk' }
  }
  const drift = machine && reportDriftOfPower(desired, machine)
  if (drift) return drift
  // What a run that is over has told comes first.
  const disks =
    machine && desired.runSeen && machine.power !== 'Suspended'
      ? undefined
      : planDisksOfStart(desired, observed, machine)
  if (disks) return disks
  if (!machine || machine.parked || machine.transient || machine.tag.slot !== claim.slot) {
    if (observed.problem) return { do: 'Wait', problem: observed.problem }
    return { do: 'Define', slot: claim.slot }
  }
  if (desired.restarting) return planRestart(desired.restarting, desired, observed, machine)
  return planPowerOfRun(desired, observed, machine)
}
