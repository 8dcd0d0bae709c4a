/** What placement knows of a slot, of a machine that wants one, and what it answers. Plain data: placement is pure. */

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: 'NoPlacement' | 'PreferNoPlacement'
}

export interface Toleration {
  readonly key?: string
  readonly operator: 'Equal' | 'Exists'
  readonly value?: string
  readonly effect?: 'NoPlacement' | 'PreferNoPlacement'
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
    readonly values?: readonly string[]
  }[]
}

export interface AntiAffinityTerm {
  /** Of the labels of other machines in the same namespace. */
  readonly selector: LabelSelector
  readonly strength: 'Required' | 'Preferred'
}

/**
 * What anti-affinity goes by. Machines that are alike in it are one party: labels that no term of the namespace speaks of
 * are left out, so that many are.
 */
export interface Party {
  /** The same for those that are alike, and for no others. */
  readonly kind: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly antiAffinity: readonly AntiAffinityTerm[]
}

/** A machine that holds a slot. */
export interface Occupant {
  readonly name: string
  readonly party: Party
  readonly hypervisor: string
}

/** A StoragePool that new disks can be made in. */
export interface PoolOffer {
  readonly name: string
  readonly order: number
  /** Bytes above the pool's reserve. */
  readonly room: number
}

/** What a hypervisor offers to every slot on it. */
export interface HypervisorOffer {
  readonly name: string
  readonly reachable: boolean
  readonly open: boolean
  readonly architectures: readonly string[]
  /** Modes in which machines can boot there. */
  readonly modes: readonly string[]
  readonly pools: readonly PoolOffer[]
  /** Bytes that machines without a slot there leave for one more with a slot. Absent: none runs there. */
  readonly spareMemory?: number
  /** Networks that are there. */
  readonly networks: ReadonlySet<string>
}

/** Slots of one hypervisor that differ in nothing but their names: a host has hundreds, which are looked at as one. */
export interface SlotOffer {
  /** At least one; in order. */
  readonly names: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
  readonly cpus: number
  /** Bytes. */
  readonly memory: number
  readonly open: boolean
  readonly free: boolean
  /** The host runs something else under this slot's tag. */
  readonly occupied: boolean
  readonly hypervisor: HypervisorOffer
}

/** A machine that wants a slot. */
export interface Demand {
  readonly uid: string
  /** The higher waits in front. */
  readonly priority: number
  /** When it began to wait, RFC 3339; of equal priority, the older waits in front. */
  readonly since: string
  readonly cpus: number
  /** Bytes. */
  readonly memory: number
  readonly architecture: string
  /** The mode in which it has to boot; absent: any. */
  readonly mode?: string
  readonly slot?: string
  readonly slotSelector?: LabelSelector
  readonly tolerations: readonly Toleration[]
  /** The hypervisor that has its disks, once they are made. */
  readonly disksOn?: string
  /** The StoragePool that its root disk must be in, where one is named. */
  readonly pool?: string
  /** StoragePools that its other disks must be in. */
  readonly dataPools?: readonly string[]
  readonly networks: readonly string[]
  /** Absent: no machine of its namespace is to be kept apart from others. */
  readonly party?: Party
}

/** Why a slot does not fit; `NotInPool` and others of api.md §4.5 come with what they speak of. */
export type Rejection =
  | 'Taken'
  | 'Selector'
  | 'Taint'
  | 'CPUs'
  | 'Memory'
  | 'Architecture'
  | 'Mode'
  | 'Storage'
  | 'DisksElsewhere'
  | 'Network'
  | 'HostMemory'
  | 'AntiAffinity'
  | 'Cordoned'
  | 'Unreachable'
  | 'Occupied'

export interface RejectionCount {
  readonly reason: Rejection | 'Other'
  readonly count: number
  readonly message: string
}

export type Decision =
  | { readonly kind: 'Place'; readonly slot: string }
  | {
      readonly kind: 'Wait'
      readonly reason: 'WaitingForSlot' | 'DisksElsewhere' | 'NoHypervisorFits'
      readonly message: string
      /** From 1: those that wait in front, and this one. */
      readonly position: number
      readonly rejections: readonly RejectionCount[]
    }
