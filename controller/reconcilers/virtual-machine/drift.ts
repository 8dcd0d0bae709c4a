/**
 * managementPolicy ReportDrift: what somebody did to the machine on its host is told, and left. Pure. Drift is what
 * differs from what was reached: a spec that has changed since is acted on as under Managed, and so is what no run was
 * seen of yet.
 */
import { parseBytes, type VirtualMachine } from '../../api/index.ts'
import type { ObservedMachine } from '../../hypervisor/port.ts'
import { type Desired, type Step, wait } from './model.ts'
import { type Amounts, describeSize, hasSize } from './size.ts'

const mend =
  'set powerState to another value and back, or a new restart.token, to have it changed, or managementPolicy to Managed to have such things mended'

/** A step that reports the drift of a run, instead of those that would mend it. */
export function reportDriftOfPower(desired: Desired, machine: ObservedMachine): Step | undefined {
  if (!desired.reportsDrift || !desired.runSeen) return undefined
  if (machine.transient) return drifted(`its definition is gone from the host, and it vanishes when it stops; ${mend}`)
  if (machine.power === desired.powerState || isItsOwn(machine)) return undefined
  return drifted(`powerState: ${machine.power} on the host, not ${desired.powerState}; ${mend}`)
}

const drifted = (what: string): Step =>
  wait('Drifted', `changed on the host, and not touched (managementPolicy ReportDrift): ${what}`)

/** What a guest does by itself has policies of its own; what its host does with it passes, or is told in other words. */
function isItsOwn({ power, stopReason, pauseReason }: ObservedMachine): boolean {
  if (power === 'Stopped') return stopReason === 'Guest' || stopReason === 'Crash' || stopReason === 'Migrated'
  return power === 'Paused' && pauseReason !== 'Asked'
}

/** CPUs and memory that are neither those that it was given last nor those that are declared now. */
export function driftOfSize(
  { spec, status }: VirtualMachine,
  declared: Amounts,
  machine: ObservedMachine,
): string | undefined {
  if (spec.managementPolicy !== 'ReportDrift' || !status?.size) return undefined
  const given = { cpus: status.size.cpus, memory: parseBytes(status.size.memory) }
  if (!hasSize(declared, given) || hasSize(machine, given)) return undefined
  return `changed on the host: ${describeSize(machine)}, not ${describeSize(given)}, with which the machine is defined again before Berth starts it next`
}
