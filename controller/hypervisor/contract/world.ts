import type { ConnectTarget, Driver, MachineSpec, NetworkAttachment } from '../port.ts'

/** How a marker may be found after a crash in the middle of writing it, or after someone's mistake. */
export type MarkerDamage = 'CutShort' | 'Zeroed' | 'Emptied' | 'OfAnotherImage'

/**
 * One host to test a driver against, and what is done to it behind the driver's back. What stands for an ability that
 * the host lacks (see `Lacks`) is never called, and may throw.
 */
export interface DriverWorld {
  readonly driver: Driver
  readonly target: ConnectTarget
  /** A target that nothing listens at. */
  readonly nowhere: ConnectTarget
  /** A machine that runs for ever without disks. Memory and 16 MiB more of it must be possible. */
  readonly machine: Pick<MachineSpec, 'architecture' | 'accelerator' | 'mode' | 'memory'>
  /** An active pool with room for a few images of a MiB, and its type as the API names it. */
  readonly pool: string
  readonly poolType: string
  /** An active pool with room for less than 16 MiB. */
  readonly smallPool: string
  /** A directory on the host that is not there yet, for a pool. */
  readonly newDirectory: string
  readonly attachment: NetworkAttachment
  /** To another network. */
  readonly otherAttachment: NetworkAttachment
  /** To a network that is not there. */
  readonly missingAttachment: NetworkAttachment
  /** An image in qcow2, with the size that a guest sees. */
  readonly qcow2: { readonly content: Buffer; readonly virtualSize: number }
  /** Makes a machine that is not ours, off; of that id where ids can be chosen. Returns the id it has. */
  makeForeign(hostName: string, id: string): Promise<string>
  /** All that the host knows of the definition and state of an instance, or a foreign id: equal when nobody touched it. */
  describeMachine(id: string): Promise<string>
  /** Starts a machine as people do on the host itself, by the id that it has there. */
  startByHand(id: string): Promise<void>
  /** Running or not, with a saved memory or without. */
  removeForeign(id: string): Promise<void>
  /** Gives a running machine an interface, now and in its definition, of which Berth knows nothing. */
  attachForeignInterface(instanceID: string, macAddress: string): Promise<void>
  /** Removes the definition of a running machine, which makes it transient. */
  makeTransient(instanceID: string): Promise<void>
  /** Whether its guest booted at the last start of a running machine, or went on from a saved memory. */
  lastStart(instanceID: string): Promise<'Boot' | 'Resumption'>
  /** What the host keeps of memories that were saved, of whatever machine: names of files or volumes. */
  savedMemories(): Promise<readonly string[]>
  /** Takes a snapshot as administrators and backup tools do: the machine's disks are other files from then on. */
  snapshotDisks(instanceID: string): Promise<void>
  /** The files that the disks of a description are, in order. */
  diskSources(description: string): readonly string[]
  /** The volumes that a running machine has now, seed and others' too: names without directories. */
  attachedVolumes(instanceID: string): Promise<readonly string[]>
  /** Gives a machine a disk that Berth does not know of, now and in its definition. */
  attachForeignDisk(instanceID: string): Promise<void>
  /** Whether guests keep disks that they are asked to let go of; from now on. */
  holdOnToDisks(hold: boolean): Promise<void>
  /** Bytes that the disk of a running machine has, as its guest was told. */
  guestDiskSize(instanceID: string, target: string): Promise<number>
  readVolume(pool: string, volume: string): Promise<Buffer>
  damageMarker(pool: string, digest: string, damage: MarkerDamage): Promise<void>
  /** Takes the second half off a placed image. */
  truncateImage(pool: string, digest: string): Promise<void>
  /** Does what `define` does, without the seed; for hosts where the driver cannot. */
  defineMachine?(machine: MachineSpec): Promise<void>
  /** Makes a volume of a MiB; for hosts that take no content. */
  makeVolume(pool: string, volume: string): Promise<void>
  /** Restarts what sessions are connected to. Machines go on running. */
  restart(): Promise<void>
  /** From now on nothing is answered, and nothing happens, until what this resolves with is called. */
  freeze(): Promise<() => Promise<void>>
  tearDown(): Promise<void>
}

export type DriverSetup = () => Promise<DriverWorld>
