/** Everything that one pass knows: read once, in `observe`, and handed on. */
import type { Slot, VirtualMachine } from '../../api/index.ts'
import type { HostInformation, ObservedInterface } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Desired, Observed } from './model.ts'
import type { Resolved } from './resolve.ts'

export interface View {
  readonly vm: ReadObject<VirtualMachine>
  /** The Slots that it holds, as they were read before the hosts were looked at. */
  readonly claimed: readonly ReadObject<Slot>[]
  readonly resolved: Resolved
  readonly desired: Desired
  readonly observed: Observed
  /** The recorded host, while it is connected. */
  readonly host?: Pick<HostInformation, 'id' | 'hostName'>
  readonly interfaces: readonly ObservedInterface[]
  /** How far the image is placed in the recorded pool, percent. */
  readonly placingPercent?: number
  readonly userData?: string
  /** Milliseconds until no call for this machine can be on its way. */
  readonly settlesIn: number
  /** Milliseconds until it may be started again; 0: now. */
  readonly startsIn: number
}
