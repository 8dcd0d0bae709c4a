/**
 * What the small world of the claim protocol consists of. Values are plain, with every field always there, so that two
 * that are equal are written alike.
 */
import type { PowerState, StopReason } from '../../../hypervisor/port.ts'
import type { Desired } from '../model.ts'

/** A VirtualMachine. Empty strings: not recorded. */
export interface VM {
  readonly uid: string
  /** Order of creation: the queue's age. */
  readonly since: string
  readonly finalizer: boolean
  readonly deleting: boolean
  readonly powerState: Desired['powerState']
  readonly slot: string
  readonly hypervisor: string
  readonly runSeen: boolean
  readonly halted: boolean
  /** A restart: none that is not served; asked for; begun. */
  readonly restart: 'None' | 'Asked' | 'Begun'
  /** Its memory was begun to be saved. */
  readonly saving: boolean
  readonly diskMade: boolean
}

export interface Slot {
  /** Uid, or empty. */
  readonly consumer: string
  readonly phase: 'Free' | 'Bound' | 'Releasing' | 'Unavailable'
  readonly occupied: boolean
}

/** An object of the API; null: deleted. */
export type ApiObject = VM | Slot | null

export interface Machine {
  readonly power: PowerState
  readonly parked: boolean
  readonly transient: boolean
  /** Its tag. */
  readonly slot: string
  readonly reason: StopReason
  /** The host is writing its memory, and holds it meanwhile. */
  readonly saving: boolean
}

export interface Host {
  readonly up: boolean
  /** By uid; in the order of uids. */
  readonly machines: Readonly<Record<string, Machine>>
  /** Uids whose root disk is there, in order. */
  readonly volumes: readonly string[]
}

export type Verb =
  | 'CreateDisk'
  | 'Define'
  | 'Start'
  | 'StartPaused'
  | 'Pause'
  | 'Unpause'
  | 'Suspend'
  | 'DiscardMemory'
  | 'Park'
  | 'ShutDown'
  | 'PowerOff'
  | 'Undefine'
  | 'DeleteVolume'
  /** Only in shortcuts. */
  | 'DefineAndStart'

/** What a pass sends: a compare-and-swap of one object, or a call to a host. */
export type Action =
  | { readonly kind: 'VM'; readonly object: number; readonly uid: string; readonly set: Partial<VM> }
  | { readonly kind: 'Slot'; readonly object: number; readonly set: Slot }
  | { readonly kind: 'Host'; readonly host: number; readonly uid: string; readonly verb: Verb; readonly slot: string }

/** An action on its way. */
export interface Call {
  readonly action: Action
  /** The write is based on the newest version still. */
  readonly fresh: boolean
  /** The worker that waits for the answer, as controller and index; -1: none does any more. */
  readonly controller: number
  readonly worker: number
  /** It may arrive later than T: the T rule does not see it. */
  readonly beyondT: boolean
}

/** A pass between its reads, or waiting for the answer to its one call. */
export type Worker =
  | null
  | { readonly at: 'Waiting'; readonly object: number }
  | {
      readonly at: 'Reading'
      readonly object: number
      /** Parts of the objects as it read them. */
      readonly read: readonly number[]
      /** Objects that were written since: bits. */
      readonly written: number
      /** Parts of the hosts, where they were looked at first: a shortcut. */
      readonly hosts: readonly number[]
    }

export interface Stale {
  /** Part of the object as the cache shows it. */
  readonly part: number
  readonly fresh: boolean
}

export interface Controller {
  /** It believes that it leads. */
  readonly leads: boolean
  /** It was deposed and has not noticed. */
  readonly deposed: boolean
  readonly workers: readonly Worker[]
  /** By object: what its cache has stopped following. */
  readonly stale: Readonly<Record<number, Stale>>
  /** By uid: which guests it asked to shut down, and whether their time is over. */
  readonly asked: Readonly<Record<string, 'Asked' | 'TimedOut'>>
}

/** How often each fault may still happen. */
export interface Faults {
  /** A user sets another powerState, asks for a restart, deletes, creates anew under the same name. */
  readonly power?: number
  readonly token?: number
  readonly delete?: number
  readonly create?: number
  /** A guest shuts itself down. */
  readonly guest?: number
  /** A host reboots; its daemon restarts and forgets why machines are off; it cannot be reached for a time. */
  readonly reboot?: number
  readonly restart?: number
  readonly down?: number
  /** A person at the host: pauses, saves (managed save), undefines a running machine, removes one altogether. */
  readonly pause?: number
  readonly save?: number
  readonly undefine?: number
  readonly remove?: number
  /** An answer is lost, and the call arrives within T; at any time; never. */
  readonly slow?: number
  readonly late?: number
  readonly lost?: number
  /** A controller crashes and starts again; the lease goes to the other. */
  readonly crash?: number
  readonly depose?: number
  /** The cache stops following one object. */
  readonly lag?: number
}

export interface Configuration {
  /** Names, the oldest first. */
  readonly vms: readonly string[]
  /** Host of each slot. */
  readonly slots: Readonly<Record<string, string>>
  readonly faults: Faults
  /** What users set. Absent: Running and Stopped. */
  readonly powerStates?: readonly Desired['powerState'][]
  /** What becomes of a guest that shuts itself down. Absent: Stop. */
  readonly onGuestShutdown?: Desired['onGuestShutdown']
  readonly controllers?: number
  readonly workers?: number
  readonly shutdownMode?: Desired['shutdownMode']
  /** Machines whose disks outlive them. */
  readonly retained?: readonly string[]
  /** Machines whose guests do not hear the power button. */
  readonly deaf?: readonly string[]
  /** Hypervisor that a machine's disks are on from the beginning. */
  readonly disksOn?: Readonly<Record<string, string>>
  /** Slot under whose tag a machine runs that the API does not know. */
  readonly unknown?: string
}

/** A state: a part's number for each object, host, controller, the calls, and the faults that are left. */
export type State = Int32Array

export const nameOf = (uid: string): string => uid.slice(0, -1)
export const isDown = ({ power }: Machine): boolean => power === 'Stopped' || power === 'Suspended'
