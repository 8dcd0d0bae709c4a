/**
 * What the planner of a VirtualMachine decides on. Facts only: no clocks, no objects of Kubernetes or of a host, so
 * that tables and exhaustive exploration can enumerate them.
 */
import type { LastStop, Queue } from '../../api/index.ts'
import type { ErrorCode } from '../../errors/index.ts'
import type { LiveSize, MachineObservation } from '../../hypervisor/port.ts'
import type { Decision } from '../../placement/index.ts'
import type { DiskChange, DiskFacts } from './disk-model.ts'
import type { InterfaceAttempt, InterfaceFacts } from './interface-model.ts'

/** A Slot whose claim names this machine. */
export interface Claim {
  readonly slot: string
  readonly hypervisor: string
  readonly phase: 'Bound' | 'Releasing'
  /** The host runs another machine under this slot's tag. */
  readonly occupied: boolean
}

/** A restart that is asked for, or under way. */
export interface Restart {
  readonly token: string
  readonly mode: 'Warm' | 'Cold'
}

/** What a guest did by itself. */
export type GuestsWish = 'Guest' | 'Crash'

/** What the API says: from the cache, or read live (see `needsLiveRead`). */
export interface Desired {
  readonly instanceID: string
  readonly finalizer: boolean
  readonly deleting: boolean
  readonly powerState: 'Running' | 'Stopped' | 'Suspended' | 'Paused'
  readonly shutdownMode: 'TrySoft' | 'Soft' | 'Hard'
  readonly claims: readonly Claim[]
  /** status.slot: the claim that effects on a host are done under. */
  readonly recordedSlot?: string
  /** status.hypervisor: sticky, since the disks are there. */
  readonly hypervisor?: string
  /** status.startTime: a run was seen under the recorded claim. */
  readonly runSeen: boolean
  /** The guest shut itself down or crashed, is to stay off then, and the user has not spoken since. */
  readonly halted?: GuestsWish
  /** What differs from powerState was done on the host, since it was reached: it is told, and left. */
  readonly reportsDrift?: boolean
  readonly onGuestShutdown: 'Stop' | 'Restart'
  readonly onCrash: 'Stop' | 'Restart'
  /** spec.restart, while its token is another than the one served last. */
  readonly restart?: Restart
  /** Its memory was begun to be saved: that may go on, whether somebody waits for it or not. */
  readonly saving: boolean
  /** It was seen on its host since its slot was recorded. */
  readonly seenThere: boolean
  /** status.restarting: the machine is being stopped for it, under its claim. */
  readonly restarting?: Restart
  /** The root disk was seen to be made. */
  readonly diskMade: boolean
  /** Its life-time is over, and that was said in time: it goes, or is off where it is protected. */
  readonly expired?: 'Delete' | 'Stop'
  /** Deleted, it is left on its host as it is, with all of its disks. */
  readonly retained?: boolean
  /** Disks that outlive the machine. */
  readonly retainedDisks: readonly string[]
  /** Disks beside the root that are recorded: what else bears the machine's id was kept once, and is left alone. */
  readonly dataDisks?: readonly string[]
  /** It has run. */
  readonly booted?: boolean
}

export interface Problem {
  readonly code: ErrorCode
  readonly message: string
}

/** A host as this pass saw it, after the API was read. */
export type HostObservation =
  | { readonly reachable: true; readonly observation: MachineObservation }
  /** `code`: why, where it is not that the host does not answer. */
  | { readonly reachable: false; readonly code?: ErrorCode; readonly message: string }

/** What placement says to it: a slot, or why there is none. */
export type Placement =
  | (Extract<Decision, { kind: 'Place' }> & { readonly queue?: Queue })
  | (Pick<Extract<Decision, { kind: 'Wait' }>, 'kind' | 'message' | 'rejections'> & {
      readonly reason: Extract<Decision, { kind: 'Wait' }>['reason'] | 'NoSlotFree'
      /** Its place among those that wait; absent: it does not wait. */
      readonly queue?: Queue
    })

export interface Observed {
  /** By hypervisor: the recorded one, and those of all claims. */
  readonly hosts: ReadonlyMap<string, HostObservation>
  /** What keeps the machine from being placed or built: unknown size, image not ready, Secret missing … */
  readonly problem?: Problem
  /** Where it may go; decided only while it wants a slot and has none. */
  readonly placement?: Placement
  /** StoragePool of the root disk on the claimed hypervisor: the recorded one, else the one to record. */
  readonly rootPool?: string
  /** The image is complete in the pool that the root disk is recorded in. */
  readonly imagePlaced: boolean
  /** The recorded pool of the root disk cannot be looked into: nothing is concluded from a disk that is not seen. */
  readonly poolProblem?: Problem
  /** It is off, and defined with another size than the one in force, other disks or other interfaces. */
  readonly outdated?: boolean
  /** What keeps its addresses from being its own: they are not leased yet, or cannot be. Absent: they are. */
  readonly leases?: 'Missing' | Problem
  /** What it can be given of its size while it runs. */
  readonly resize?: LiveSize
  /** The root disk, and what else is declared or recorded; in the order in which they are defined. */
  readonly disks?: readonly DiskFacts[]
  /** Network interfaces that are declared. Absent: no hypervisor is recorded. */
  readonly interfaces?: readonly InterfaceFacts[]
  readonly interfaceAttempts?: readonly InterfaceAttempt[]
  /** What the recorded host can do. */
  readonly features?: readonly string[]
  /** No call for this machine can still be on its way (the T rule). */
  readonly settled: boolean
  /** It was started again and again: it goes off too soon after each start. */
  readonly startDelayed: boolean
  readonly shutdown: {
    /** The guest was asked lately: give it time. */
    readonly askedLately: boolean
    readonly timedOut: boolean
  }
}

export type Step =
  | { readonly do: 'AddFinalizer' }
  | { readonly do: 'Claim'; readonly slot: string }
  | { readonly do: 'Record'; readonly slot: string; readonly hypervisor: string; readonly pool: string }
  /** Without `disk`: the root. */
  | { readonly do: 'CreateDisk'; readonly disk?: string }
  | { readonly do: 'RecordDisks'; readonly changes: readonly DiskChange[] }
  | { readonly do: 'AttachDisk' | 'DetachDisk' | 'GrowDisk'; readonly disk: string }
  /** Its MAC addresses, and those of its addresses that lie in ranges: nobody else can have them then. */
  | { readonly do: 'LeaseAddresses' }
  | { readonly do: 'Define'; readonly slot: string }
  /** `paused`: with its processors held. */
  | { readonly do: 'Start'; readonly paused: boolean }
  | { readonly do: 'MarkRunning' }
  /** A run is over. `stays`: it is not to run again until the user speaks. */
  | { readonly do: 'MarkStopped'; readonly by: LastStop['by']; readonly stays: boolean }
  | { readonly do: 'BeginRestart'; readonly restart: Restart }
  /** The start that follows serves the restart that is asked for. */
  | { readonly do: 'ServeRestart' }
  | { readonly do: 'Pause' }
  | { readonly do: 'Unpause' }
  | { readonly do: 'Resize'; readonly size: LiveSize }
  | { readonly do: 'BeginSuspend' }
  | { readonly do: 'Suspend' }
  | { readonly do: 'DiscardMemory' }
  | { readonly do: 'Drain'; readonly slot: string }
  | { readonly do: 'Park' }
  | { readonly do: 'ShutDown' }
  | { readonly do: 'PowerOff' }
  | { readonly do: 'AttachInterface' | 'DetachInterface'; readonly name: string; readonly macAddress: string }
  | { readonly do: 'ClearRecord' }
  | { readonly do: 'Release'; readonly slot: string }
  | { readonly do: 'Undefine' }
  /** `disk`: the machine stays, and this disk was removed from it. */
  | { readonly do: 'DeleteVolume'; readonly pool: string; readonly volume: string; readonly disk?: string }
  /** Its life-time is over: its object is deleted. */
  | { readonly do: 'Expire' }
  /** It stays on its host, and is not ours any more. */
  | { readonly do: 'LetGo' }
  | { readonly do: 'RemoveFinalizer' }
  | { readonly do: 'Wait'; readonly problem: Problem }
  /** The host holds it for a job of its own, and lets it go on then. */
  | { readonly do: 'AwaitHost' }
  /** The guest was asked to shut down, and has time left. */
  | { readonly do: 'AwaitShutdown' }
  /** It goes off soon after each start: wait before the next. */
  | { readonly do: 'AwaitRestart' }
  /** A call may still be on its way: wait until it cannot. */
  | { readonly do: 'AwaitSettled' }
  | { readonly do: 'Nothing' }

export const wait = (code: Problem['code'], message: string): Step => ({ do: 'Wait', problem: { code, message } })

/**
 * Steps that are decided anew on live reads of the VirtualMachine and its Slots, with the host observed after them
 * (claim protocol: docs/decisions/0005-claim-protocol.md). The others are compare-and-swaps of what was read, so that a
 * stale decision is void. MarkStopped is one too, of the machine alone: a Slot that is Releasing by now tells that the
 * stop was ours. A lease is created, or is there: what is created for a machine that is gone, the leader removes.
 */
const cachedSteps: ReadonlySet<Step['do']> = new Set([
  'AddFinalizer',
  'Claim',
  'Record',
  'LeaseAddresses',
  'MarkRunning',
  'BeginRestart',
  'BeginSuspend',
  'ServeRestart',
  'RecordDisks',
  'Wait',
  'AwaitHost',
  'AwaitShutdown',
  'AwaitRestart',
  'AwaitSettled',
  'Nothing',
])
export const needsLiveRead = (step: Step): boolean => !cachedSteps.has(step.do)
