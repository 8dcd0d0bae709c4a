/**
 * The claim protocol as a pure function: what is desired and what was observed give the next step, one at a time.
 * The first line that applies is done, and nothing else; the next pass observes again. So an ambiguous answer, a crash
 * and a deposed leader are one case. docs/decisions/0005-claim-protocol.md tells why each line stands where it does.
 */
import { type MachineObservation, type ObservedMachine, volumeNames } from '../../hypervisor/port.ts'
import type { Claim, Desired, HostObservation, Observed, Problem, Step } from './model.ts'

const wait = (code: Problem['code'], message: string): Step => ({ do: 'Wait', problem: { code, message } })

export function plan(desired: Desired, observed: Observed): Step {
  if (desired.deleting) return planDeletion(desired, observed)
  if (!desired.finalizer) return { do: 'AddFinalizer' }
  const surplus = surplusClaims(desired)
  const aside = planSurplus(surplus, desired, observed)
  if (aside && !canWait(aside)) return aside
  const step = planPower({ ...desired, claims: desired.claims.filter((claim) => !surplus.includes(claim)) }, observed)
  return aside && step.do === 'Nothing' ? aside : step
}

function planPower(desired: Desired, observed: Observed): Step {
  const releasing = desired.claims.some(({ phase }) => phase === 'Releasing')
  if (!wantsToRun(desired) || releasing) return planStop(desired, observed)
  return desired.claims.length === 0 ? planClaim(desired, observed) : planRun(desired, observed)
}

/** Whether it is to run: declared so, and not off by its guest's own wish. */
export const wantsToRun = (desired: Desired): boolean =>
  !desired.deleting && desired.powerState === 'Running' && !desired.halted

const startable = (machine: ObservedMachine | undefined): boolean => machine !== undefined && !machine.parked
const isOff = (machine: ObservedMachine): boolean => machine.power === 'Stopped' || machine.power === 'Suspended'
const runs = (machine: ObservedMachine | undefined): machine is ObservedMachine =>
  machine !== undefined && !isOff(machine)

const unreachable = (name: string, host: Exclude<HostObservation, { reachable: true }> | undefined): Step =>
  wait(host?.code ?? 'HypervisorUnreachable', host?.message ?? `hypervisor ${name} was not observed`)

/** The recorded host as observed; undefined while none is recorded. A step to wait where it cannot be seen or is not ours. */
function lookAtHost(desired: Desired, observed: Observed): MachineObservation | Step | undefined {
  if (desired.hypervisor === undefined) return undefined
  const host = observed.hosts.get(desired.hypervisor)
  if (!host?.reachable) return unreachable(desired.hypervisor, host)
  if (host.observation.foreign !== undefined) return wait('ForeignObject', host.observation.foreign)
  return host.observation
}
const isStep = (seen: MachineObservation | Step | undefined): seen is Step => seen !== undefined && 'do' in seen

/** Deletion has no way back: drain, stop, undefine, release, delete what is not retained, and let go when nothing can be on its way. */
function planDeletion(desired: Desired, observed: Observed): Step {
  if (!desired.finalizer) return { do: 'Nothing' }
  const seen = lookAtHost(desired, observed)
  if (isStep(seen)) return seen
  const bound = desired.claims.find(({ phase }) => phase === 'Bound')
  if (bound) return { do: 'Drain', slot: bound.slot }
  if (seen?.machine) return runs(seen.machine) ? planPowerOff(desired, observed, seen.machine) : { do: 'Undefine' }
  const released = giveBackAny(desired.claims, desired, observed)
  if (released) return released
  const volume = seen?.volumes.find(({ name }) => !isRetained(name, desired))
  if (observed.poolProblem) return { do: 'Wait', problem: observed.poolProblem }
  if (volume) return { do: 'DeleteVolume', pool: volume.pool, volume: volume.name }
  // A call that is late could still make a volume or a definition, and nobody would be left to remove it.
  return observed.settled ? { do: 'RemoveFinalizer' } : { do: 'AwaitSettled' }
}

/** A retained disk, or what others have put over it: an external snapshot is named after its base. */
const isRetained = (volume: string, { instanceID, retainedDisks }: Desired): boolean =>
  retainedDisks
    .map((disk) => volumeNames.disk(instanceID, disk))
    .some((name) => volume === name || volume.startsWith(`${name}.`))

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
  const bound = desired.claims.find(({ phase }) => phase === 'Bound')
  if (bound) return { do: 'Drain', slot: bound.slot }
  const machine = seen?.machine
  // Parked first: then off means fenced at once, however late a start arrives. A transient machine has no definition to
  // park: it vanishes when it stops.
  if (machine && startable(machine) && !machine.transient) return { do: 'Park' }
  if (runs(machine)) return planPowerOff(desired, observed, machine)
  if (desired.recordedSlot !== undefined) return { do: 'ClearRecord' }
  return giveBackAny(desired.claims, desired, observed) ?? { do: 'Nothing' }
}

function planPowerOff(desired: Desired, observed: Observed, machine: ObservedMachine): Step {
  const { askedLately, timedOut } = observed.shutdown
  if (desired.shutdownMode === 'Hard') return { do: 'PowerOff' }
  if (desired.shutdownMode === 'TrySoft' && (timedOut || machine.power === 'Paused')) return { do: 'PowerOff' }
  if (timedOut) {
    return wait(
      'GuestRefusesShutdown',
      'the guest did not shut down within shutdownTimeout: shut it down inside, or set shutdownMode to TrySoft or Hard',
    )
  }
  return askedLately ? { do: 'AwaitShutdown' } : { do: 'ShutDown' }
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
  const { machine, foreign } = host.observation
  if (foreign !== undefined) return wait('ForeignObject', foreign)
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
    if (machine && startable(machine) && !machine.transient) return { do: 'Park' }
    return runs(machine) ? planPowerOff(desired, observed, machine) : { do: 'ClearRecord' }
  }
  if (runs(machine)) {
    return wait(
      'ForeignObject',
      `it runs on ${desired.hypervisor} under slot ${machine.tag.slot} without a claim: stop it there, or restore the slot's claim`,
    )
  }
  if (startable(machine)) return { do: 'Park' }
  if (observed.problem) return { do: 'Wait', problem: observed.problem }
  const placement = observed.placement
  if (!placement) return { do: 'Nothing' }
  if (placement.kind === 'Wait') return wait(placement.reason, placement.message)
  return { do: 'Claim', slot: placement.slot }
}

function planRecord(claim: Claim | undefined, desired: Desired, { rootPool, problem }: Observed): Step {
  if (!claim) return { do: 'Nothing' }
  // What is recorded is pinned with it, size and image too: it must all be known.
  if (problem && !desired.diskMade) return { do: 'Wait', problem }
  if (rootPool === undefined)
    return wait('StoragePoolNotFound', `no StoragePool on ${claim.hypervisor} is ready for the root disk`)
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
  if (claim.occupied)
    return wait(
      'ForeignObject',
      `the host runs another machine under slot ${claim.slot}: nothing is touched, a person must look`,
    )
  const { machine } = seen
  if (desired.runSeen && !machine) {
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
  if (!machine || machine.parked || machine.transient || machine.tag.slot !== claim.slot) {
    if (observed.problem) return { do: 'Wait', problem: observed.problem }
    return { do: 'Define', slot: claim.slot }
  }
  if (machine.power === 'Running') return desired.runSeen ? { do: 'Nothing' } : { do: 'MarkRunning' }
  if (machine.power === 'Paused') {
    return wait('Drifted', 'the machine is paused by something on the host: resume it there, or stop and start it here')
  }
  // "Shut down by the guest" may be our own stop of an earlier run: only a run seen under this claim makes it a wish.
  if (machine.stopReason === 'Guest' && desired.runSeen) return { do: 'MarkHalted' }
  return observed.startDelayed ? { do: 'AwaitRestart' } : { do: 'Start' }
}
