/** Where leases stand among a machine's steps. Pure. */
import type { Desired, Observed, Step } from './model.ts'

/**
 * Nothing is defined or started with an address that may be another's. A machine that is at rest gets what it lacks, too:
 * one that an earlier version made, or whose lease was deleted by hand; it runs on meanwhile.
 */
export function leaseFirst(step: Step, { hypervisor }: Desired, { leases }: Observed): Step {
  if (leases === undefined) return step
  // A restart would stop what could not be started again.
  const uses = step.do === 'Define' || step.do === 'Start' || step.do === 'BeginRestart'
  const rests = step.do === 'Nothing' && hypervisor !== undefined
  if (!uses && !rests) return step
  return leases === 'Missing' ? { do: 'LeaseAddresses' } : { do: 'Wait', problem: leases }
}
