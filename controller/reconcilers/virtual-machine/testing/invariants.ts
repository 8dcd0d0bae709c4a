/** What must hold: in every state, and at rest. Each answers what does not; undefined: all is well. */
import { wantsToRun } from '../plan.ts'
import type { View } from './draft.ts'
import type { Passes } from './passes.ts'
import { type ApiObject, type Configuration, type Faults, isDown, nameOf, type VM } from './state.ts'

export interface Judged {
  readonly view: View
  readonly passes: Passes
  readonly configuration: Configuration
}

const isSpent = (fault: keyof Faults, { view, configuration }: Judged): boolean =>
  (view.faults[fault] ?? 0) < (configuration.faults[fault] ?? 0)

/** Its object was never in this API: another's, or from before. */
const isUnknown = (uid: string, { configuration }: Judged): boolean => !configuration.vms.includes(nameOf(uid))

/**
 * In every state: one machine on a slot, no machine on two hosts, and what runs or could be started has a claim there.
 * `onlyGuests`: the claim is not asked for, to show where its absence leads.
 */
export function findViolation(judged: Judged, onlyGuests = false): string | undefined {
  const { view, passes } = judged
  const objects = view.objects
  const bySlot = new Map<string, string>()
  const byUID = new Map<string, string>()
  for (const [index, { machines }] of view.hosts.entries()) {
    const name = passes.hostNames[index] ?? ''
    for (const [uid, machine] of Object.entries(machines)) {
      const here = passes.claimsOf(objects, uid).find(({ hypervisor }) => hypervisor === name)
      const claimless = !onlyGuests && !here && !isUnknown(uid, judged)
      if (isDown(machine)) {
        // A definition later than T may open it for a moment: the next pass closes it.
        if (claimless && !machine.parked && !isSpent('late', judged)) return `${uid} could be started without a claim`
        continue
      }
      if (claimless) return `${uid} runs without a claim`
      const slot = here?.slot ?? machine.slot
      const other = bySlot.get(slot)
      if (other !== undefined) return `${other} and ${uid} run on ${slot}`
      if (byUID.has(uid)) return `${uid} runs on two hosts`
      bySlot.set(slot, uid)
      byUID.set(uid, name)
    }
  }
  return undefined
}

/** Of a claim, by what its pass had read: one who waits longer could use the slot, and has no other. */
export function findOvertaken(
  uid: string,
  claimed: string,
  objects: readonly ApiObject[],
  passes: Passes,
): string | undefined {
  const vms = passes.vmsIn(objects)
  const self = vms.find((vm) => vm.uid === uid)
  const free = passes.slotNames.filter((slot) => passes.slotAt(objects, slot).phase === 'Free')
  const fits = (vm: VM, slot: string) => vm.hypervisor === '' || vm.hypervisor === passes.hostOf(slot)
  const overtaken = vms.find((vm) => {
    if (!self || vm.since >= self.since || vm.slot !== '' || passes.claimsOf(objects, vm.uid).length > 0) return false
    if (!wantsToRun(passes.desiredOf(objects, vm)) || !fits(vm, claimed)) return false
    return !free.some((slot) => slot !== claimed && fits(vm, slot))
  })
  return overtaken && `${uid} claims before ${overtaken.uid}, which waits longer`
}

/** At rest: what was wished for is so, and nothing is left over. */
export function findMissedGoal(judged: Judged): string | undefined {
  const { view, passes, configuration } = judged
  const objects = view.objects
  // One call later than T may leave a thing behind, or make our own stop look like the guest's: by design.
  const excused = isSpent('late', judged)
  const vms = passes.vmsIn(objects)
  const alive = new Set(vms.map(({ uid }) => uid))
  for (const vm of vms) {
    const missed = findMissed(vm, judged, excused)
    if (missed !== undefined) return missed
  }
  for (const slot of passes.slotNames) {
    const { consumer } = passes.slotAt(objects, slot)
    if (consumer !== '' && !alive.has(consumer)) return `${slot} is leaked to ${consumer}`
  }
  for (const { machines, volumes } of view.hosts) {
    const kept = (uid: string) => configuration.retained?.includes(nameOf(uid)) ?? false
    const left = [...Object.keys(machines), ...volumes.filter((uid) => !kept(uid))]
    const orphan = left.find((uid) => !alive.has(uid) && !isUnknown(uid, judged))
    if (orphan !== undefined && !excused) return `${orphan} is left behind on a host`
  }
  return undefined
}

function findMissed(vm: VM, judged: Judged, excused: boolean): string | undefined {
  const { view, passes, configuration } = judged
  const { uid } = vm
  const objects = view.objects
  const host = view.hosts[passes.hostNames.indexOf(vm.hypervisor)]
  const machine = host?.machines[uid]
  const runs = machine !== undefined && !isDown(machine)
  // Its guest does not hear the button, and its power is not to be cut: it is told so.
  const refuses = runs && configuration.shutdownMode === 'Soft' && configuration.deaf?.includes(nameOf(uid)) === true
  if (vm.deleting) return refuses ? undefined : `the deletion of ${uid} never ends`
  const desired = passes.desiredOf(objects, vm)
  const [claim, ...more] = desired.claims
  if (vm.diskMade && !host?.volumes.includes(uid)) return `the disk of ${uid} is lost`
  const [suspends, pauses] = [vm.powerState === 'Suspended', vm.powerState === 'Paused']
  if (vm.restart === 'Begun' && wantsToRun(desired)) return `the restart of ${uid} never ends`
  if (suspends && machine?.power === 'Suspended')
    return claim?.phase === 'Bound' && claim.slot === vm.slot && claim.slot === machine.slot
      ? undefined
      : `${uid} is suspended, but claim, record and host disagree`
  if (!wantsToRun(desired)) {
    if (runs) return refuses ? undefined : `${uid} should be off`
    if (claim) return `${uid} is off and keeps ${claim.slot}`
    if (vm.slot !== '') return `${uid} is off and has ${vm.slot} recorded`
    if (vm.halted && !isSpent('guest', judged) && !excused)
      return `our own stop of ${uid} was taken for its guest's wish`
    return machine && !machine.parked ? `${uid} is off without a claim, and could be started` : undefined
  }
  if (runs) {
    if (refuses && claim?.phase === 'Releasing') return undefined
    const agree = claim?.slot === vm.slot && claim.slot === machine.slot && claim.phase === 'Bound'
    if (!agree || more.length > 0) return `${uid} runs, but claim, record and host disagree`
    if ((machine.power === 'Paused') !== pauses) return `${uid} is ${machine.power}, not ${vm.powerState}`
    if (vm.restart === 'Asked' && !pauses) return `the restart of ${uid} is never begun`
    return machine.transient ? `${uid} runs undefined` : undefined
  }
  // What vanished from its host is reported, never made anew.
  if (vm.runSeen && !machine && ['remove', 'undefine'].some((fault) => isSpent(fault as keyof Faults, judged)))
    return undefined
  if (claim) return `${uid} holds ${claim.slot} and never starts`
  const free = passes.slotNames.some(
    (slot) =>
      passes.slotAt(objects, slot).phase === 'Free' && (vm.hypervisor === '' || vm.hypervisor === passes.hostOf(slot)),
  )
  return free ? `${uid} waits while a slot is free` : undefined
}
