/**
 * The port to hypervisors. Every effect on a host leaves through a {@link Session}; drivers implement it, reconcilers
 * use it, and crashes, delays and lies are injected by wrapping it. Neutral types only: nothing here knows Kubernetes,
 * libvirt or XAPI. Every driver passes the contract suite in `contract.ts`.
 *
 * Errors: each method rejects with a `BerthError` (controller/errors). `Ambiguous` means that the effect is unknown:
 * observe before anything is done again. All sizes are bytes, all durations milliseconds.
 */

/** What a machine needs the hypervisor to know about the object it belongs to; kept in the hypervisor's own object. */
export interface Tag {
  /** Version of the tag's own layout. */
  readonly schema: 1
  /** Uid of the cluster's kube-system namespace. */
  readonly cluster: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly instanceID: string
  /** `User:alice`, or empty where nobody is named. */
  readonly owner: string
  /** Name of the Slot under whose claim the machine was defined. */
  readonly slot: string
  /** It was let go of, and is nobody's of ours any more: {@link Session.release}. The rest tells whose it was. */
  readonly released?: true
}

export type PowerState = 'Running' | 'Paused' | 'Suspended' | 'Stopped'

/**
 * Why a machine is off, as far as the host still knows. A hint: hosts forget reasons when their daemon restarts.
 * `Migrated`: it went to another host, and may run there.
 */
export type StopReason = 'Guest' | 'Crash' | 'Outside' | 'Failed' | 'Migrated' | 'Unknown'

/**
 * Why a machine is paused. `Asked`: somebody or something wants it so. `Fault`: the host holds it, since it cannot go on
 * (a disk that cannot be written, a crash kept for a look). `Job`: the host holds it while it does something with it
 * (saves its memory, makes a snapshot), and lets it go on then.
 */
export type PauseReason = 'Asked' | 'Fault' | 'Job'

export interface DiskSpec {
  /** Name of the disk in the object's spec; the guest sees it as the serial number. */
  readonly name: string
  readonly pool: string
  readonly volume: string
}

/** What an interface is connected to on its host. */
export type NetworkAttachment =
  | { readonly bridge: string }
  | { readonly libvirtNetwork: string }
  /** Uuid or name label of a network of a XAPI pool. */
  | { readonly xapiNetwork: string }

export interface InterfaceSpec {
  readonly name: string
  readonly macAddress: string
  readonly attachment: NetworkAttachment
  /** What the host is to drop of what the guest sends: `MAC`, frames from another MAC address. Absent: nothing. */
  readonly antiSpoofing?: 'MAC'
}

/** How a machine boots: fully virtualised, paravirtualised, or paravirtualised in hardware's protection. */
export type BootMode = 'HVM' | 'PV' | 'PVH'

/** Files of the NoCloud data source (cloud-init), by name: `meta-data`, `user-data`, `network-config`. */
export type SeedFiles = Readonly<Record<string, string>>

/** What is defined on the host. Two specs that are equal give the same definition. */
export interface MachineSpec {
  readonly tag: Tag
  /** Wanted name of the machine on the host: `<namespace>_<name>`; the driver makes it unique when it must be. */
  readonly hostName: string
  readonly cpus: number
  readonly memory: number
  /** Up to which they can be changed while it runs. Absent: they cannot grow. */
  readonly maxCpus?: number
  readonly maxMemory?: number
  readonly architecture: string
  /** How it is virtualised. Absent: the fastest that the host says it has. */
  readonly accelerator?: 'KVM' | 'QEMU'
  /** Absent: HVM where the host has it, else the first of its modes. */
  readonly mode?: BootMode
  readonly disks: readonly DiskSpec[]
  /** Where the seed goes: a volume that `define` writes before it defines. Without files: it was written for the first boot, and stays. */
  readonly seed: { readonly pool: string; readonly volume: string; readonly files?: SeedFiles }
  readonly interfaces: readonly InterfaceSpec[]
}

/** A disk that a machine has. */
export interface ObservedDisk {
  /** As in the machine's spec. Absent: it is none of those that Berth gave it (somebody else attached it). */
  readonly name?: string
  /** Absent: it is in no pool that Berth gave it one from. */
  readonly pool?: string
  readonly volume?: string
  /** What the guest sees it as, where the host tells: `vda`, `xvdb`. */
  readonly target?: string
  /** The machine has it now: it runs, or is paused. */
  readonly attached: boolean
  /** It has it from its next start on. */
  readonly defined: boolean
}

export interface ObservedVolume {
  readonly pool: string
  readonly name: string
  /** Size that the guest sees. */
  readonly capacity: number
  /** Space taken on the host. */
  readonly allocation: number
}

export type AddressSource = 'Agent' | 'Lease' | 'ARP'

export interface ObservedInterface {
  readonly macAddress: string
  readonly addresses: readonly { readonly address: string; readonly prefix: number; readonly source: AddressSource }[]
}

/** An interface that a machine has, or has from its next start on. */
export interface MachineInterface {
  /** As in the machine's spec. Absent: none of those that Berth gave it (somebody attached it). */
  readonly name?: string
  /** In lower case. */
  readonly macAddress: string
  /** What it is connected to: now, where the machine has it now. Absent: nothing that an attachment can name. */
  readonly attachment?: NetworkAttachment
  /** Absent: it is not filtered, or by filters of others. */
  readonly antiSpoofing?: 'MAC'
  /** The machine has it now (it runs, or is paused). */
  readonly attached: boolean
  /** It has it from its next start on, and as it is told here. */
  readonly defined: boolean
}

/** A machine of ours as the host has it. */
export interface ObservedMachine {
  readonly tag: Tag
  /** UUID on the hypervisor. */
  readonly id: string
  readonly hostName: string
  readonly power: PowerState
  readonly stopReason?: StopReason
  /** Of a machine that is paused. */
  readonly pauseReason?: PauseReason
  /** The host refuses to start it: see {@link Session.park}. */
  readonly parked: boolean
  /** Not defined: it vanishes when it stops. */
  readonly transient: boolean
  readonly cpus: number
  /** What it was told to have: a guest without a balloon driver keeps `maxMemory`. */
  readonly memory: number
  /** Up to which it can be given more while it runs. Absent: as cpus, memory. */
  readonly maxCpus?: number
  readonly maxMemory?: number
  /** Without the seed. */
  readonly disks: readonly ObservedDisk[]
  readonly interfaces: readonly MachineInterface[]
}

/** CPUs and memory of a machine that runs; what is absent stays. */
export interface LiveSize {
  readonly cpus?: number
  readonly memory?: number
}

/** Everything that a pass about one machine needs from its host, read live and at once. */
export interface MachineObservation {
  readonly machine?: ObservedMachine
  /** A machine that bears our id but not our tag, or a tag that says released: never touched. */
  readonly foreign?: string
  /** Told beside `foreign`: it was ours, and was released. */
  readonly released?: ObservedMachine
  /** Volumes named after this instance, in the pools that could be looked into. */
  readonly volumes: readonly ObservedVolume[]
  /** Those pools, by name: of a pool that is not among them nothing is known, least of all that a volume is gone. */
  readonly pools: readonly string[]
}

/** One line of the host's inventory; cheap however many machines there are. */
export interface InventoryEntry {
  readonly id: string
  readonly hostName: string
  /** Absent: not ours. */
  readonly tag?: Tag
  readonly power: PowerState
  readonly parked: boolean
  /** Bytes that it may have while it runs. Absent: its definition cannot be read. */
  readonly memory?: number
}

export interface HostInformation {
  /** UUID of the host. */
  readonly id: string
  /** Name that the host gives itself. */
  readonly hostName: string
  readonly version: string
  readonly cpus: number
  readonly memory: number
  readonly freeMemory: number
  readonly capabilities: Capabilities
  /** Hosts of a pool, by name. Absent: it is the host itself. */
  readonly members?: readonly PoolMember[]
}

/** One of the hosts behind an endpoint that manages several. */
export interface PoolMember {
  readonly id: string
  readonly hostName: string
  readonly online: boolean
  readonly cpus: number
  readonly memory: number
}

/** What the driver can do on this host. A driver never pretends: what is not listed is not attempted. */
export interface Capabilities {
  readonly architectures: readonly string[]
  readonly accelerators: readonly ('KVM' | 'QEMU')[]
  readonly modes: readonly string[]
  readonly firmware: readonly string[]
  readonly storageTypes: readonly string[]
  readonly features: readonly string[]
  /** Formats in which it takes images. Absent: any. */
  readonly imageFormats?: readonly ImageFormat[]
}

export type ImageFormat = 'qcow2' | 'raw'

export interface PoolQuery {
  readonly name: string
  /** Directory to make the pool in where none of that name exists. */
  readonly path?: string
}

export interface ObservedPool {
  readonly id: string
  readonly name: string
  /** The plugin's type as the API names it: `Directory`, … */
  readonly type: string
  readonly active: boolean
  readonly capacity: number
  readonly allocated: number
  readonly free: number
  readonly volumes: number
}

/** An image's content on its way to a pool. `open` is called once, when the host is ready to take bytes. */
export interface ImageContent {
  /** Which image it is: sha256 of its content as it was fetched, 64 hexadecimal digits. */
  readonly digest: string
  /** sha256 of what `open` gives, where that is another form of it. Absent: `digest`. */
  readonly contentDigest?: string
  /** Bytes that `open` gives. */
  readonly length: number
  readonly format: ImageFormat
  open(): AsyncIterable<Uint8Array>
  /** Called right before each step of writing the completion marker, after all else. Throws: it is not written. */
  beforeMarker?(): void
}

export type PlacedImage =
  | { readonly state: 'Absent' }
  /** There, but without its completion marker: half a placing, worth nothing. */
  | { readonly state: 'Partial' }
  | { readonly state: 'Complete'; readonly length: number }

/** A hint that something changed; the state is read again after each. `Gap`: events were lost, list anew. */
export type HypervisorEvent =
  | { readonly type: 'Machine'; readonly id: string; readonly instanceID?: string; readonly detail: string }
  | { readonly type: 'Gap'; readonly reason: string }

/** A disk to be made. */
export interface NewDisk {
  readonly instanceID: string
  readonly pool: string
  readonly volume: string
  /** The placed image that the disk is a copy-on-write copy of. Absent: it is blank. */
  readonly image?: { readonly digest: string; readonly format: ImageFormat }
  /** Size that the guest sees. */
  readonly capacity: number
}

/** Names on hosts (api.md §1): the only place where they are made. */
export const volumeNames = {
  disk: (instanceID: string, disk: string) => `berth-${instanceID}-${disk}`,
  seed: (instanceID: string) => `berth-${instanceID}-seed`,
  image: (digest: string) => `berth-img-${digest}`,
  imageMarker: (digest: string) => `berth-img-${digest}.ok`,
} as const

export interface CallOptions {
  /** Aborts the wait. What was sent may still take effect: the error is then `Ambiguous`. */
  readonly signal?: AbortSignal
  /**
   * Called right before each request that the call makes of the host: a call may be many, and wait between them. Throws:
   * that request is not sent, and the call ends with what was thrown.
   */
  readonly beforeSend?: () => void
}

export interface StartOptions extends CallOptions {
  /** Its processors are held from the first instruction on, until {@link Session.unpause}. */
  readonly paused?: boolean
}

/** A connection to one hypervisor. Methods may be called concurrently. */
export interface Session {
  readonly information: HostInformation

  // Reading. Never changes anything.
  refresh(options?: CallOptions): Promise<HostInformation>
  observe(instanceID: string, options?: CallOptions): Promise<MachineObservation>
  list(options?: CallOptions): Promise<readonly InventoryEntry[]>
  /** Addresses of a running machine's interfaces, each with how it was learnt. */
  interfaces(instanceID: string, options?: CallOptions): Promise<readonly ObservedInterface[]>
  networkExists(attachment: NetworkAttachment, options?: CallOptions): Promise<boolean>
  pool(query: PoolQuery, options?: CallOptions): Promise<ObservedPool | undefined>
  placedImage(pool: string, digest: string, options?: CallOptions): Promise<PlacedImage>

  // Effects on a machine. Each is one step, can be repeated, and works by instance id, never by name.
  /** Makes a copy-on-write disk over a placed image, or a blank one. An existing volume of that name is left as it is. */
  createDisk(disk: NewDisk, options?: CallOptions): Promise<void>
  /**
   * Writes the seed, then defines; never starts. Also un-parks, and mends a wrong tag. A running machine's seed stays, and
   * so do the disks that it has now: the next start has those of the spec, the first of them to boot from. A disk that it
   * had before keeps what the guest sees it as.
   */
  define(machine: MachineSpec, options?: CallOptions): Promise<void>
  /**
   * Starts a defined machine; one that is suspended goes on where it was, and its clock is set by its agent, where one
   * answers. Running or paused already: nothing. Parked or absent: refused by the host.
   */
  start(instanceID: string, options?: StartOptions): Promise<void>
  /** Holds a running machine's processors; its memory stays. Paused already: nothing. Off: refused. */
  pause(instanceID: string, options?: CallOptions): Promise<void>
  /** Lets a paused machine go on, its clock set as by `start`. Running already: nothing. Off: refused. */
  unpause(instanceID: string, options?: CallOptions): Promise<void>
  /**
   * Writes the memory of a running machine to the host's disk and turns it off; resolves when it is. Meanwhile it is
   * paused for a `Job`, and calls that start, pause, unpause or suspend it are HypervisorBusy; a power cut ends it, with
   * nothing saved. Suspended already: nothing. Off: refused. Paused: refused by some hosts; let it go on first. Rejects
   * with NotSupported where the host cannot.
   */
  suspend(instanceID: string, options?: CallOptions): Promise<void>
  /**
   * Changes CPUs and memory of a running machine within its maxima, at once and in its definition; a guest is asked to
   * follow, and memory is taken from it by its balloon. It has them already: nothing. Off, beyond a maximum, or fewer
   * CPUs: refused. Rejects with NotSupported where the host cannot.
   */
  resize(instanceID: string, size: LiveSize, options?: CallOptions): Promise<void>
  /** Throws the memory of a suspended machine away: it is off then, as after a power cut. Not suspended: nothing. */
  discardMemory(instanceID: string, options?: CallOptions): Promise<void>
  /** Keeps the definition with tag and disks, but makes the host refuse a start. Works while it runs. Idempotent. */
  park(instanceID: string, options?: CallOptions): Promise<void>
  /**
   * Gives a machine that runs an interface, at once and in its definition. It has one of that MAC address already: that is
   * connected and filtered as the spec says, in place, and bears its name. It is so already: nothing. One that somebody
   * else attached: ForeignObject. Off: refused (`define` does it). NotSupported where the host cannot.
   */
  attachInterface(instanceID: string, wanted: InterfaceSpec, options?: CallOptions): Promise<void>
  /**
   * Takes an interface out of the definition and asks the guest to let it go; resolves when asked: `observe` tells when it
   * is gone. Gone already: nothing. One that somebody else attached: ForeignObject.
   */
  detachInterface(instanceID: string, macAddress: string, options?: CallOptions): Promise<void>
  /** Asks the guest to shut down; returns when asked. */
  shutdown(instanceID: string, options?: CallOptions): Promise<void>
  /** Cuts the power. Off already: nothing. */
  powerOff(instanceID: string, options?: CallOptions): Promise<void>
  /** Removes the definition of a machine that is off. Absent already: nothing. Volumes stay. */
  undefine(instanceID: string, options?: CallOptions): Promise<void>
  /**
   * Lets go of a machine, running or not, and leaves it and its disks as they are: its tag says so from then on, and
   * every other effect on it is refused. Also un-parks, so that people can start it by hand. One that is off loses the
   * slot's name from its tag, as it holds none. Released already, absent: nothing.
   */
  release(instanceID: string, options?: CallOptions): Promise<void>
  /**
   * Gives a machine that runs a disk, at once and in its definition, whichever of them lacks it. Both have it: nothing.
   * Off: refused, as `define` does it then; paused: refused by some hosts. Rejects with NotSupported where the host cannot, and with DiskMissing where
   * the volume is not there.
   */
  attachDisk(instanceID: string, disk: DiskSpec, options?: CallOptions): Promise<void>
  /**
   * Takes a disk out of the definition, and asks the guest to let go of it; resolves when asked: `observe` tells when it is
   * gone. A guest may never let go; once off, the machine is without it. Gone already, or none that Berth gave the machine:
   * nothing. Suspended: refused, as the saved memory has it. The volume stays.
   */
  detachDisk(instanceID: string, name: string, options?: CallOptions): Promise<void>
  /**
   * Makes a volume larger, one that is named after this instance; any other name is refused. The guest of a machine that
   * runs is told. At least that large already: nothing. Suspended: refused, as the saved memory knows its size. Rejects
   * with NotSupported where the host cannot while it runs.
   */
  growDisk(instanceID: string, pool: string, volume: string, capacity: number, options?: CallOptions): Promise<void>
  /**
   * Deletes a volume that is named after this instance; any other name is refused. Absent already: nothing. Rejects with
   * InUse while a machine that is on has it, now or from its next start on, or a saved memory does.
   */
  deleteVolume(instanceID: string, pool: string, volume: string, options?: CallOptions): Promise<void>

  // Effects on storage.
  /** Makes and starts a directory pool where none of that name exists. */
  definePool(query: Required<PoolQuery>, options?: CallOptions): Promise<void>
  /**
   * Writes an image into a pool under its digest, and its completion marker last, after length and digest of what
   * was sent have been checked. What half a placing left is removed first. `progress` gets bytes sent so far.
   */
  placeImage(
    pool: string,
    content: ImageContent,
    progress: (sent: number) => void,
    options?: CallOptions,
  ): Promise<void>
  /** Removes the marker, then the image. Absent already: nothing. */
  removeImage(pool: string, digest: string, options?: CallOptions): Promise<void>

  /** Hints until the session ends; ends without error on `close`, with one when the connection is lost. */
  events(signal: AbortSignal): AsyncIterable<HypervisorEvent>
  /** Settles when the connection is gone, with the reason. Never rejects. */
  readonly closed: Promise<Error | undefined>
  close(): Promise<void>
}

/** Secrets of a hypervisor, as read from a Secret or a mounted folder. Never logged. */
export interface Credentials {
  readonly username?: string
  readonly password?: string
  readonly clientCertificate?: string
  readonly clientKey?: string
  readonly certificateAuthority?: string
  readonly sshPrivateKey?: string
}

interface CommonTarget {
  readonly credentials?: Credentials
  /** Deadline of a single call, ms. */
  readonly callTimeout: number
}

/** A libvirt daemon. */
export interface LibvirtTarget extends CommonTarget {
  readonly uri: string
  /** SSH host keys, in the format of a known_hosts file. */
  readonly knownHosts?: string
}

/** A XAPI pool. */
export interface XAPITarget extends CommonTarget {
  /** https URLs of its hosts, in the order in which they are tried. */
  readonly members: readonly string[]
  /** SHA-256 fingerprints of certificates that are trusted instead of a CA: upper case, joined by colons. */
  readonly certificateFingerprints?: readonly string[]
}

export type ConnectTarget = LibvirtTarget | XAPITarget

export interface Driver<Target extends ConnectTarget = ConnectTarget> {
  readonly name: string
  /** Rejects with HypervisorUnreachable, CredentialsInvalid, CertificateInvalid or VersionUnsupported. */
  connect(target: Target, options?: CallOptions): Promise<Session>
}
