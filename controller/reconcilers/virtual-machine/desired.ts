/** What the API says of a machine, as the planner's facts. Pure. */
import { finalizers, type Slot, type VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import { conditionIs } from '../shared/conditions.ts'
import type { Claim, Desired } from './model.ts'
import { instanceIDOf } from './resolve.ts'

export function desiredOf(vm: ReadObject<VirtualMachine>, claimed: readonly Slot[]): Desired {
  const { spec, status, metadata } = vm
  const powerState = spec.powerState ?? 'Running'
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
    halted: powerState === 'Running' && status?.lastStop?.by === 'Guest',
    diskMade: status?.disks?.some(({ name, state }) => name === 'root' && state !== 'Creating') ?? false,
    retainedDisks: (spec.disks ?? [])
      .filter(({ deletionPolicy }) => deletionPolicy === 'Retain')
      .map(({ name }) => name),
  }
}

function claimOf(slot: Slot, uid: string): Claim[] {
  const { phase, consumerRef } = slot.status ?? {}
  if (consumerRef?.uid !== uid || (phase !== 'Bound' && phase !== 'Releasing')) return []
  const occupied = conditionIs(slot, 'Occupied', 'True')
  return [{ slot: slot.metadata.name, hypervisor: slot.spec.hypervisor, phase, occupied }]
}
