/** Everything that one pass knows: read once, in `observe`, and handed on. */
import type { Slot, VirtualMachine } from '../../api/index.ts'
import type { HostInformation, ObservedInterface, ObservedMachine } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { BootstrapData } from './bootstrap-data.ts'
import type { Expiry } from './expiry.ts'
import type { LeaseState } from './leases.ts'
import type { Desired, HostObservation, Observed } from './model.ts'
import type { Resolved } from './resolve.ts'
import type { ResolvedSize } from './size.ts'

export interface View {
  readonly vm: ReadObject<VirtualMachine>
  /** The Slots that it holds, as they were read before the hosts were looked at. */
  readonly claimed: readonly ReadObject<Slot>[]
  readonly resolved: Resolved
  /** What it is to be defined with, in the slot that it has. */
  readonly size?: ResolvedSize
  readonly desired: Desired
  readonly observed: Observed
  /** The recorded host, while it is connected. */
  readonly host?: Pick<HostInformation, 'id' | 'hostName'>
  readonly expiry?: Expiry
  readonly interfaces: readonly ObservedInterface[]
  /** How far the image is placed in the recorded pool, percent. */
  readonly placingPercent?: number
  /** What the user gives the guest to read at first boot. */
  readonly bootstrap: BootstrapData
  readonly leases: LeaseState
  /** Milliseconds until no call for this machine can be on its way. */
  readonly settlesIn: number
  /** Milliseconds until its disks are worth a look. Absent: nothing was tried on them lately. */
  readonly disksIn?: number | undefined
  /** Milliseconds until its interfaces are worth a look. Absent: nothing was tried on them lately. */
  readonly interfacesIn?: number | undefined
  /** Milliseconds until it may be started again; 0: now. */
  readonly startsIn: number
  /** How often it was started lately by this process. */
  readonly starts: number
}

export const recordedHost = ({ desired, observed }: View): HostObservation | undefined =>
  desired.hypervisor === undefined ? undefined : observed.hosts.get(desired.hypervisor)

export function machineOf(view: View): ObservedMachine | undefined {
  const host = recordedHost(view)
  if (!host?.reachable) return undefined
  const { machine, released } = host.observation
  // Let go of in the course of its deletion: to be told of, as long as its object is there.
  return machine ?? (view.desired.deleting ? released : undefined)
}

export function isRunning(view: View): boolean {
  const power = machineOf(view)?.power
  return power === 'Running' || power === 'Paused'
}
