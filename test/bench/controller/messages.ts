/** What the bench and the controller's process say to each other. */
import type { ErrorCode } from '../../../controller/errors/index.ts'
import type { HostInformation, HypervisorEvent } from '../../../controller/hypervisor/port.ts'
import type { Call } from '../../../controller/hypervisor/wrap.ts'
import type { ReconcilerName } from '../../../controller/reconcilers/index.ts'

/** What a call came to. */
export type Answer =
  | { readonly value: unknown }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } }

export type FromController =
  | { readonly type: 'connect'; readonly id: number; readonly uri: string }
  | {
      readonly type: 'call'
      readonly id: number
      readonly session: number
      readonly method: Call
      readonly args: readonly unknown[]
    }
  | { readonly type: 'done'; readonly id: number; readonly answer: Answer }

export type ToController =
  | { readonly type: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly type: 'event'; readonly session: number; readonly event: HypervisorEvent }
  | { readonly type: 'command'; readonly id: number; readonly command: Command }

export interface Connected {
  readonly session: number
  readonly information: HostInformation
}

export type Command =
  /** Resolves when nothing is queued or worked on for so long, ms. */
  | { readonly name: 'settle'; readonly quiet: number }
  /** Has every machine looked at anew, as a sweep does; until the last pass has ended. */
  | { readonly name: 'resync' }
  /** As many keys through a queue whose reconciler does nothing, with as many workers. */
  | { readonly name: 'bareQueue'; readonly keys: number }
  /** As many objects made by the client alone, with as many requests at once as the controller has. */
  | { readonly name: 'bareWrites'; readonly count: number }
  /** Everything that a start reads, by the client alone. */
  | { readonly name: 'bareList' }

export interface Settled {
  /** Milliseconds since the process began, until the last pass had ended. */
  readonly since: number
  /** Processor time of the process since it began, ms. */
  readonly cpu: number
  readonly passes: Readonly<Partial<Record<ReconcilerName, number>>>
  readonly memory: Memory
}

/** Bytes. */
export interface Memory {
  readonly resident: number
  readonly highest: number
  readonly heap: number
}

/** How long it took, and how much processor time of the process, ms. */
export interface Took {
  readonly took: number
  readonly cpu: number
}
