/** Which slot a machine may claim, or why it has none, from the caches. */
import type { VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import { byTurn, type Demand, place, type Turn } from '../../placement/index.ts'
import { conditionIs } from '../shared/conditions.ts'
import type { Dependencies, Memory } from './dependencies.ts'
import { desiredOf } from './desired.ts'
import type { Desired, Placement, Problem } from './model.ts'
import { slotOffers } from './offers.ts'
import { Parties } from './parties.ts'
import { isPaused } from './paused.ts'
import { wantsToRun } from './plan.ts'
import { turnOf } from './queue.ts'
import { demandOf, type Resolved, resolve } from './resolve.ts'

/** Where it may go; asked only while it wants a slot and has none, and not before it has the finalizer that comes first. */
export function placementOf(
  vm: ReadObject<VirtualMachine>,
  desired: Desired,
  resolved: Resolved,
  problem: Problem | undefined,
  { caches, clock }: Pick<Dependencies, 'caches' | 'clock'>,
  { claims }: Pick<Memory, 'claims'>,
): Placement | undefined {
  if (!desired.finalizer || !wantsToRun(desired) || desired.claims.length > 0 || problem) return undefined
  const failed = failedBefore(vm)
  if (failed) return failed
  const now = clock.now()
  const parties = new Parties(caches, claims, clock.monotonic())
  const asks = (machine: ReadObject<VirtualMachine>, turn: Turn, meaning: Resolved): Demand | undefined => {
    const demand = demandOf(machine, turn, meaning)
    const party = demand && parties.of(machine)
    if (!party) return demand
    const slot = parties.slotUnderWay(machine)
    return { ...demand, party, ...(slot === undefined ? {} : { slot }) }
  }
  const demand = asks(vm, turnOf(vm, now), resolved)
  if (!demand) return undefined
  const ahead: Demand[] = []
  let behind = 0
  for (const other of caches.virtualMachines.byIndex('slotless', 'true')) {
    const turn = turnOf(other, now)
    if (turn.uid === demand.uid || !waits(other, caches)) continue
    // To work out what those behind ask for would be most of the work in a burst.
    const asked = byTurn(turn, demand) < 0 ? asks(other, turn, resolve(other, caches)) : undefined
    if (asked) ahead.push(asked)
    else behind++
  }
  const occupants = parties.occupants([demand, ...ahead].map(({ party }) => party))
  const decision = place(demand, ahead, slotOffers(caches), occupants)
  const queueAt = (position: number) => ({ position, length: position + behind, since: demand.since })
  if (decision.kind === 'Place') return { ...decision, queue: queueAt(ahead.length + 1) }
  const { position, ...why } = decision
  if (vm.spec.placement?.whenFull === 'Fail') return { ...why, reason: 'NoSlotFree' }
  return { ...why, queue: queueAt(position) }
}

/** What was refused a slot, and not told to wait for one, asks again when its spec is changed. */
function failedBefore(vm: ReadObject<VirtualMachine>): Placement | undefined {
  const told = vm.status?.conditions?.find(({ type }) => type === 'Placed')
  if (told?.reason !== 'NoSlotFree' || told.observedGeneration !== vm.metadata.generation) return undefined
  return { kind: 'Wait', reason: 'NoSlotFree', message: told.message, rejections: rejectionsOf(vm) }
}

const rejectionsOf = ({ status }: VirtualMachine) =>
  (status?.slotRejections ?? []) as Extract<Placement, { kind: 'Wait' }>['rejections']

/** Whether it is in the queue; `vm` has no slot recorded. */
const waits = (vm: ReadObject<VirtualMachine>, { slots }: Dependencies['caches']): boolean =>
  !isPaused(vm) &&
  !isHeldUp(vm) &&
  slots.byIndex('consumer', vm.metadata.uid).length === 0 &&
  wantsToRun(desiredOf(vm, []))

/** What could not use a slot now, for a reason that no cache tells, does not stand in front of others. */
const isHeldUp = (vm: VirtualMachine): boolean =>
  conditionIs(vm, 'Stalled', 'True') ||
  conditionIs(vm, 'BootstrapReady', 'False') ||
  conditionIs(vm, 'HypervisorReachable', 'False')
