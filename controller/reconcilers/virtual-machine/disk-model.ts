/** What the planner decides on about the disks of a machine. Facts only, as in model.ts. */
import type { ObservedDisk as RecordedDisk } from '../../api/index.ts'
import type { Problem } from './model.ts'

/** Effects on one disk. */
export type DiskWork = 'CreateDisk' | 'AttachDisk' | 'DetachDisk' | 'GrowDisk' | 'DeleteVolume'

export interface DiskFacts {
  readonly name: string
  /** spec.disks has it, and as it is recorded; the root disk always. One that was replaced under its name is another. */
  readonly declared: boolean
  /** What status.disks says. Absent: it is not recorded. */
  readonly recorded?: NonNullable<RecordedDisk['state']>
  /** Unknown: the pool could not be looked into; of what is there nothing is concluded. */
  readonly volume: 'There' | 'Absent' | 'Unknown'
  /** It is there, smaller than it is to be. */
  readonly tooSmall: boolean
  /** The machine has it now. */
  readonly attached: boolean
  /** The machine has it from its next start on. */
  readonly defined: boolean
  /** What it is a copy of is complete in its pool, if it is one. */
  readonly imagePlaced: boolean
  /** It outlives its removal. */
  readonly retained: boolean
  /** Somebody has put a snapshot over it on the host: it is left as it is. */
  readonly overlaid: boolean
  /** What was tried lately, and is not tried again yet. */
  readonly held?: DiskWork
  /** What keeps it from being as declared, and needs somebody or time. */
  readonly problem?: Problem
  /** StoragePool that it is in, or is to be made in; absent: none fits. */
  readonly storagePool?: string
  /** Name of that pool on the host. */
  readonly pool?: string
  readonly volumeName: string
  /** Device that the guest has it as. */
  readonly target?: string
  /** Bytes that it has there. */
  readonly size?: number
  /** Bytes that it is to have. */
  readonly capacity?: number
  /** What it is a copy of, pinned once it is recorded. */
  readonly image?: NonNullable<RecordedDisk['image']>
}

/** What status.disks is to say of a disk from now on; `Gone`: nothing any more. */
export interface DiskChange {
  readonly disk: string
  readonly to: 'Creating' | 'Removing' | 'Ready' | 'Gone'
}
