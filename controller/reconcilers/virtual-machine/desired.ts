/** What the API says of a machine, as the planner's facts. Pure. */
import { finalizers, type Slot, type VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import { conditionIs, conditionOf } from '../shared/conditions.ts'
import { isDiskRetained, isSame } from './disk-facts.ts'
import { isExpired, isProtected } from './expiry.ts'
import type { Claim, Desired, Restart } from './model.ts'
import { instanceIDOf } from './resolve.ts'

/** status.progress.step while its memory is written to the host's disk. */
export const savingMemory = 'SavingMemory'

export function desiredOf(vm: ReadObject<VirtualMachine>, claimed: readonly Slot[]): Desired {
  const { spec, status, metadata } = vm
  const expired = isExpired(vm) ? (isProtected(vm) ? ('Stop' as const) : ('Delete' as const)) : undefined
  const powerState = expired ? 'Stopped' : (spec.powerState ?? 'Running')
  const restart = newRestart(vm)
  const halted = haltedBy(vm)
  return {
    instanceID: instanceIDOf(vm),
    finalizer: metadata.finalizers?.includes(finalizers.cleanup) ?? false,
    deleting: metadata.deletionTimestamp !== undefined,
    powerState,
    shutdownMode: spec.shutdownMode ?? 'TrySoft',
    claims: claimed.flatMap((slot) => claimOf(slot, metadata.uid)).toSorted((a, b) => (a.slot < b.slot ? -1 : 1)),
    ...(status?.slot === undefined ? {} : { recordedSlot: status.slot }),
    ...(status?.hypervisor === undefined ? {} : { hypervisor: status.hypervisor }),
    runSeen: status?.startTime !== undefined,
    ...(halted === undefined ? {} : { halted }),
    onGuestShutdown: spec.onGuestShutdown ?? 'Stop',
    onCrash: spec.onCrash ?? 'Restart',
    ...(restart === undefined ? {} : { restart }),
    ...(status?.restarting === undefined ? {} : { restarting: status.restarting }),
    saving: status?.progress?.step === savingMemory,
    seenThere: status?.slot !== undefined && status.hypervisorID !== undefined,
    diskMade: status?.disks?.some(({ name, state }) => name === 'root' && state !== 'Creating') ?? false,
    ...(expired === undefined ? {} : { expired }),
    reportsDrift:
      spec.managementPolicy === 'ReportDrift' &&
      status?.reachedPowerState === powerState &&
      restart === undefined &&
      status.restarting === undefined,
    retained: isRetained(vm),
    retainedDisks: retainedDisks(vm),
    dataDisks: (status?.disks ?? []).map(({ name }) => name).filter((name) => name !== 'root'),
    booted: status?.firstBootTime !== undefined,
  }
}

/** As declared; of what has left the spec, as it was told last. */
function retainedDisks(vm: VirtualMachine): string[] {
  const { spec, status } = vm
  const declared = spec.disks ?? []
  const left = (status?.disks ?? []).filter(
    (entry) => entry.name !== 'root' && !declared.some((disk) => disk.name === entry.name && isSame(disk, entry)),
  )
  const leaving = new Set(left.map(({ name }) => name))
  return [...declared.filter(({ name }) => !leaving.has(name)), ...left]
    .filter((disk) => isDiskRetained(vm, disk))
    .map(({ name }) => name)
}

/** What is protected and deleted all the same went with its namespace, or with its owner: nobody meant its guest. */
const isRetained = (vm: VirtualMachine): boolean => vm.spec.deletionPolicy === 'Retain' || isProtected(vm)

/** The restart that is asked for, unless it was served. */
function newRestart({ spec, status }: VirtualMachine): Restart | undefined {
  if (spec.restart === undefined || spec.restart.token === status?.restart?.token) return undefined
  return { token: spec.restart.token, mode: spec.restart.mode ?? 'Warm' }
}

/** A stop that holds until the user speaks: by another powerState, or a new restart token. */
function haltedBy(vm: VirtualMachine): Desired['halted'] {
  const { by, restartToken } = vm.status?.lastStop ?? {}
  if ((vm.spec.powerState ?? 'Running') !== 'Running' || newRestart(vm)) return undefined
  // An object that an earlier version wrote has no token there.
  if (restartToken === undefined && conditionOf(vm, 'Ready')?.reason !== 'GuestShutDown') return undefined
  return by === 'Guest' || by === 'Crash' ? by : undefined
}

function claimOf(slot: Slot, uid: string): Claim[] {
  const { phase, consumerRef } = slot.status ?? {}
  if (consumerRef?.uid !== uid || (phase !== 'Bound' && phase !== 'Releasing')) return []
  const occupied = conditionIs(slot, 'Occupied', 'True')
  return [{ slot: slot.metadata.name, hypervisor: slot.spec.hypervisor, phase, occupied }]
}
