/** What reconcilers and the engine agree on. Nothing here knows what is reconciled. */
import type { Logger } from 'pino'

export interface Clock {
  /** Milliseconds since the epoch: for timestamps only. */
  now(): number
  /** Milliseconds that only grow: for every duration and deadline. */
  monotonic(): number
  /** Calls back after `delay` ms; returns what cancels it. The only timer of the house. */
  after(delay: number, callback: () => void): () => void
}

export interface ReconcileContext {
  readonly signal: AbortSignal
  readonly log: Logger
}

export interface Result {
  /** Look again after so many milliseconds, though nothing changed. */
  readonly requeueAfter?: number
}

/**
 * One pass over one key. It reads, plans, does at most one effect, and writes status if that changed. Throwing a
 * BerthError decides retry by its class; anything else counts as InternalError and is retried with back-off.
 */
export interface Reconciler {
  readonly name: string
  reconcile(key: string, context: ReconcileContext): Promise<Result>
}

/**
 * Why a key is looked at, the most urgent first: a user has changed the object; it is to be deleted; anything else has
 * happened that it may depend on; a pass has failed; nothing is known to have happened (the first listing, a sweep).
 */
export const priorities = ['Change', 'Deletion', 'Event', 'Retry', 'Resync'] as const
export type Priority = (typeof priorities)[number]

/**
 * Where watches and host events put keys; `Event` where no priority is given. Adding a key that is queued can only make
 * it more urgent; one that is being worked on is done again after.
 */
export type Enqueue = (key: string, priority?: Priority) => void

/** The lease's guard: called on the way out of every mutation, by the monotonic clock. */
export interface Guard {
  /** Throws BerthError NotLeader once the lease may have passed to another. */
  check(): void
}

/** How long a leader's term has lasted; what the T rule (docs/decisions) counts from. */
export interface Term {
  /** Milliseconds since this process became leader. */
  age(): number
  /** Whether an object of that uid existed when the term began, so that an earlier leader may have calls on their way for it. */
  inherited(uid: string): boolean
}

/** A condition as Kubernetes has it (metav1.Condition). */
export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly observedGeneration: number
  readonly lastTransitionTime: string
}

/** What a pure status function says; times and generation are filled in by `mergeConditions`. */
export interface ConditionFact {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

export type TaskState =
  | { readonly state: 'Running'; readonly done: number; readonly total?: number }
  | { readonly state: 'Failed'; readonly error: Error; readonly at: number }

/**
 * Work too long for a pass (streaming an image to a host). Kept in memory only: after a crash the next pass sees that
 * it is not done and starts it again. Success leaves no state behind: the world shows it.
 */
export interface Tasks {
  /** Starts unless one of that name runs. `onChange` is called on progress (at most once a second) and at the end. */
  start(
    name: string,
    work: (signal: AbortSignal, progress: (done: number, total?: number) => void) => Promise<void>,
    onChange: () => void,
  ): void
  state(name: string): TaskState | undefined
  cancel(name: string): void
}

/** Spans of traces: one for each pass, and within it one for each call that it makes. */
export interface Tracing {
  /** @param work is told the trace's id, if it is recorded; it resolves with how the pass ended. */
  pass<T extends { readonly outcome: string }>(
    controller: string,
    work: (traceID: string | undefined) => Promise<T>,
  ): Promise<T>
  /** A call that has just ended, by the pass that runs now; nothing outside of passes. */
  call(call: TracedCall): void
}

export interface TracedCall {
  readonly system: 'hypervisor' | 'kubernetes'
  readonly method: string
  readonly seconds: number
  /** `Success`, an HTTP status or a code of the error table. */
  readonly outcome: string
  readonly failed: boolean
}

/** Records nothing. */
export const noTracing: Tracing = {
  pass: (_controller, work) => work(undefined),
  call() {},
}
