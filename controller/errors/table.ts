/**
 * The one table of codes: the reason of a condition, the reason of an Event, the label of a metric and the heading in
 * docs/errors.md are the same word. The class decides retry and report (design.md §3):
 *
 * - Terminal: a person must act (`actor` says who); not retried until something changes.
 * - Waiting: for time or another object; retried when it changes, and after `retryAfter` at the latest.
 * - Transient: retried with back-off.
 * - Conflict: someone else wrote first; retried at once, reported nowhere.
 * - Ambiguous: the effect is unknown; observed before anything is repeated.
 */
export type ErrorClass = 'Terminal' | 'Waiting' | 'Transient' | 'Conflict' | 'Ambiguous'
export type Actor = 'Owner' | 'Administrator' | 'Nobody'

interface Entry {
  readonly class: ErrorClass
  readonly actor: Actor
  /** One sentence for docs/errors.md: what it means, and the mend. */
  readonly meaning: string
}

const entry = (errorClass: ErrorClass, actor: Actor, meaning: string): Entry => ({ class: errorClass, actor, meaning })

export const errorTable = {
  // Kubernetes
  Conflict: entry('Conflict', 'Nobody', 'The object was written by someone else since it was read; it is read again.'),
  APIUnavailable: entry('Transient', 'Nobody', 'The API server cannot be reached or is busy.'),
  APIRefused: entry(
    'Terminal',
    'Administrator',
    'The API server refused a request of Berth: its RBAC or a policy is in the way.',
  ),
  NotLeader: entry('Transient', 'Nobody', 'This process has lost the lease; nothing more is done by it.'),
  // Hypervisors
  HypervisorUnreachable: entry(
    'Transient',
    'Administrator',
    'The hypervisor does not answer. Nothing is done about its machines until it does.',
  ),
  HypervisorBusy: entry('Transient', 'Nobody', 'The hypervisor is busy with another operation on the same object.'),
  HypervisorRefused: entry(
    'Terminal',
    'Administrator',
    'The hypervisor refused an operation; its own words are in the message.',
  ),
  CredentialsInvalid: entry(
    'Terminal',
    'Administrator',
    'The hypervisor refused the credentials: check the Secret or file that spec.credentials names.',
  ),
  CertificateInvalid: entry(
    'Terminal',
    'Administrator',
    "The hypervisor's certificate is not signed by ca.crt of the credentials, or is for another name.",
  ),
  VersionUnsupported: entry('Terminal', 'Administrator', 'The hypervisor is older than Berth supports.'),
  DifferentHost: entry(
    'Terminal',
    'Administrator',
    'The address answers with another id than before. Nothing is done there: restore the address, or make a new Hypervisor.',
  ),
  AlreadyManaged: entry(
    'Terminal',
    'Administrator',
    'Another Hypervisor object is the same host: delete one of the two.',
  ),
  SecretNotFound: entry('Waiting', 'Owner', 'A Secret that is named does not exist yet.'),
  SecretKeyMissing: entry('Waiting', 'Owner', 'A Secret lacks a key that is needed.'),
  FileNotFound: entry('Waiting', 'Administrator', 'The file or folder that spec.credentials.file names is not there.'),
  CallTimedOut: entry(
    'Ambiguous',
    'Nobody',
    'A call was not answered in time; whether it took effect is looked up first.',
  ),
  ConnectionLost: entry(
    'Ambiguous',
    'Nobody',
    'The connection ended in the middle of a call; whether it took effect is looked up first.',
  ),
  ForeignObject: entry(
    'Terminal',
    'Administrator',
    'What bears the name or id on the host is not ours; it is not touched.',
  ),
  SlotNamesTaken: entry(
    'Terminal',
    'Administrator',
    'Slots that spec.slots would make exist already and are not of this Hypervisor.',
  ),
  // Storage
  StorageFull: entry('Terminal', 'Administrator', 'The storage pool has no room.'),
  PoolNotFound: entry('Waiting', 'Administrator', 'No storage pool of that name is on the hypervisor.'),
  PoolInactive: entry('Waiting', 'Administrator', 'The storage pool is on the hypervisor but not started.'),
  TypeMismatch: entry(
    'Terminal',
    'Administrator',
    'The storage pool on the hypervisor is of another type than spec.type.',
  ),
  StoragePoolNotFound: entry(
    'Waiting',
    'Administrator',
    'No StoragePool that is ready is within reach of the machine.',
  ),
  SmallerThanImage: entry(
    'Terminal',
    'Owner',
    'A disk is smaller than its image: raise its size in spec.disks, or for the root disk the size’s storage.',
  ),
  DiskMissing: entry(
    'Terminal',
    'Administrator',
    'A disk that was made is gone from the host; it is never made anew by itself: bring it back, or take it out of spec.disks.',
  ),
  // Placement
  WaitingForSlot: entry('Waiting', 'Nobody', 'No slot that fits is free; slotRejections says why not.'),
  NoSlotFree: entry(
    'Terminal',
    'Owner',
    'No slot was free, and placement.whenFull is Fail: change the spec to try again, or let it Wait.',
  ),
  NoHypervisorFits: entry(
    'Waiting',
    'Administrator',
    'No slot could ever hold the machine; slotRejections says why not.',
  ),
  DisksElsewhere: entry('Waiting', 'Nobody', 'No slot is free on the host that has the machine’s disks.'),
  DependencyNotFound: entry('Waiting', 'Owner', 'An object that is named does not exist yet.'),
  NetworkNotFound: entry('Waiting', 'Administrator', 'The Network does not exist, or is not on the hypervisor.'),
  AddressTaken: entry(
    'Waiting',
    'Owner',
    'Another machine has the address: choose another, or wait until that machine is deleted.',
  ),
  MACTaken: entry(
    'Waiting',
    'Owner',
    'Another machine has the MAC address: choose another, or wait until that machine is deleted.',
  ),
  RangesFull: entry('Waiting', 'Administrator', 'No address is left in the ranges of the Network: add a range there.'),
  RangesInvalid: entry(
    'Waiting',
    'Administrator',
    'A range of the Network ends before it begins, or its ranges hold too many addresses. None is given from them.',
  ),
  RangesOverlap: entry(
    'Waiting',
    'Administrator',
    'Ranges have addresses in common, within a Network or of two. None is given from these Networks.',
  ),
  GuestRefusesShutdown: entry(
    'Terminal',
    'Owner',
    'The guest did not shut down in time, and shutdownMode: Soft does not cut the power.',
  ),
  GuestCrashed: entry(
    'Terminal',
    'Owner',
    'The guest crashed, and onCrash is Stop: set a new restart.token to start it.',
  ),
  NothingToSuspend: entry(
    'Terminal',
    'Owner',
    'powerState is Suspended, but the machine is off, so that there is no memory to save: set powerState to Running first.',
  ),
  NotSupported: entry('Terminal', 'Owner', 'The hypervisor cannot do this; the message says what.'),
  Expired: entry(
    'Terminal',
    'Owner',
    'Its life-time (expiresAfter) is over, and it is protected: it is stopped instead of deleted.',
  ),
  Drifted: entry('Terminal', 'Owner', 'The machine is not as declared, by something done on the host.'),
  Vanished: entry('Terminal', 'Administrator', 'The machine is gone from the host. It is not made anew by itself.'),
  // Images
  WaitingForImage: entry('Waiting', 'Nobody', 'The image is being fetched or placed.'),
  ImageNotFound: entry('Waiting', 'Owner', 'The image does not exist yet.'),
  ImageFailed: entry('Waiting', 'Owner', 'The image cannot be used; its own conditions say why.'),
  ArchitectureMismatch: entry('Terminal', 'Owner', 'The image is for another architecture than the hypervisor has.'),
  ModeMismatch: entry('Terminal', 'Owner', 'The image boots in a mode that the hypervisor does not have.'),
  InvalidConfiguration: entry('Terminal', 'Owner', 'The spec cannot be carried out; the message names the field.'),
  ChecksumMismatch: entry(
    'Terminal',
    'Owner',
    'What was fetched does not have the checksum that spec.source.http names.',
  ),
  UnsafeFormat: entry('Terminal', 'Owner', 'The image names a backing or data file, or is malformed. It is not used.'),
  TooLarge: entry('Terminal', 'Administrator', 'The image is larger than the image service takes.'),
  NotFound: entry('Terminal', 'Owner', 'The server says that there is nothing at the URL.'),
  AccessDenied: entry('Terminal', 'Owner', 'The server refuses access to the URL.'),
  StoreFull: entry('Terminal', 'Administrator', 'The image store has no room.'),
  SourceForbidden: entry(
    'Terminal',
    'Owner',
    'The URL, or what it redirects to, is at an address that the image service may not fetch from.',
  ),
  TemporaryFailure: entry('Transient', 'Nobody', 'A passing failure; it is tried again, from where it was.'),
  InUse: entry('Waiting', 'Nobody', 'Something still needs the object; deletion waits for it.'),
  // Berth's own
  InternalError: entry('Transient', 'Administrator', 'A defect in Berth; the log has the details.'),
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof errorTable
