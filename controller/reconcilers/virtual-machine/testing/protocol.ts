/** What decides in the small world: the real planner and the real placement, or a shortcut of theirs. */
import { place } from '../../../placement/index.ts'
import { type Desired, needsLiveRead, type Observed, type Step } from '../model.ts'
import { plan } from '../plan.ts'

export interface Protocol {
  readonly plan: (desired: Desired, observed: Observed) => Step
  readonly needsLiveRead: (step: Step) => boolean
  readonly place: typeof place
  /** What is left out, or done otherwise, around the planner. */
  readonly shortcut?: Shortcut
}

/** Shortcuts that are not the planner's: in reading, writing, acting and leading. */
export type Shortcut =
  /** A machine's claim is its own status alone. */
  | 'ClaimInStatus'
  /** Where a machine is, its claim alone says. */
  | 'NoRecord'
  /** A claim is written over whatever version is there. */
  | 'ClaimWithoutVersion'
  /** Nobody looks at what the host runs under a slot's tag. */
  | 'UnseenOccupants'
  /** Definition and start are one call. */
  | 'DefineAndStart'
  /** The T rule does not wait for a guest that was asked to shut down. */
  | 'UncountedShutDown'
  /** Hosts are told names instead of ids. */
  | 'ByName'
  /** The host is looked at before the API is read. */
  | 'HostFirst'
  /** A deposed leader goes on until it notices. */
  | 'NoGuard'
  /** What has no object is removed from hosts. */
  | 'Sweep'
  /** A slot whose consumer is gone is left alone. */
  | 'KeepOrphans'

export const realProtocol: Protocol = { plan, needsLiveRead, place }
