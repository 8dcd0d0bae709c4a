/** The facts about a machine's disks, from its object, its host and the caches. Pure. */
import { type Disk, parseBytes, type ObservedDisk as RecordedDisk, type VirtualMachine } from '../../api/index.ts'
import { type MachineObservation, volumeNames } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import { choosePool } from '../../placement/index.ts'
import type { Caches } from '../shared/caches.ts'
import { hostPool } from '../shared/host-pool.ts'
import type { DiskFacts, DiskWork } from './disk-model.ts'
import type { Problem } from './model.ts'
import { poolOffers } from './offers.ts'
import { instanceIDOf, type Resolved, type ResolvedImage } from './resolve.ts'

export interface DiskContext {
  readonly caches: Caches
  readonly resolved: Resolved
  /** The recorded hypervisor, else the one that is claimed. */
  readonly hypervisor: string
  /** The host as it was seen; absent: it was not. */
  readonly observation?: MachineObservation
  /** What was tried lately. */
  readonly attempts: (disk: string) => { readonly held?: DiskWork; readonly problem?: Problem }
}

/** Without a policy of its own a disk has the machine's. */
export const isDiskRetained = (vm: VirtualMachine, { deletionPolicy }: Pick<Disk, 'deletionPolicy'>): boolean =>
  (deletionPolicy ?? vm.spec.deletionPolicy) === 'Retain'

/** Root first, then as the spec lists them, then those that have left it. */
export function diskFacts(vm: ReadObject<VirtualMachine>, context: DiskContext): DiskFacts[] {
  const recorded = vm.status?.disks ?? []
  const declared = vm.spec.disks ?? []
  const names = new Set(['root', ...declared.map(({ name }) => name), ...recorded.map(({ name }) => name)])
  // The API refuses it; this is the last to stand before the seed's own volume.
  names.delete('seed')
  return [...names].map((name) => {
    const asked = declared.find((disk) => disk.name === name)
    const entry = recorded.find((disk) => disk.name === name)
    return factsOf(name, asked, entry, vm, context)
  })
}

function factsOf(
  name: string,
  asked: Disk | undefined,
  entry: RecordedDisk | undefined,
  vm: ReadObject<VirtualMachine>,
  context: DiskContext,
): DiskFacts {
  const { caches, observation, attempts } = context
  const volumeName = entry?.volume ?? volumeNames.disk(instanceIDOf(vm), name)
  const chosen: Choice = entry ? withPool(entry.storagePool) : choose(asked, volumeName, context)
  const { storagePool } = chosen
  const object = storagePool === undefined ? undefined : caches.storagePools.get(storagePool)
  const pool = object && hostPool(object)
  const seen = pool !== undefined && (observation?.pools.includes(pool) ?? false)
  const isRoot = name === 'root'
  const found = observation?.volumes.find((volume) => volume.name === volumeName && (isRoot || volume.pool === pool))
  const device = observation?.machine?.disks.find((one) => one.name === name)
  const resolved = context.resolved.dataDisks.get(name)
  const made = resolved && 'value' in resolved ? resolved.value : undefined
  const image = entry ? entry.image : made?.image && pinned(made.image)
  const isDeclared = isRoot || (asked !== undefined && isSame(asked, entry))
  const capacity =
    asked?.size !== undefined && isDeclared ? parseBytes(asked.size) : (recordedSize(entry) ?? made?.capacity)
  const tooSmall = found !== undefined && isDeclared && capacity !== undefined && found.capacity < capacity
  const overlay = observation?.volumes.find((volume) => volume.name.startsWith(`${volumeName}.`))
  const tried = attempts(name)
  const problem =
    tried.problem ??
    (resolved && 'problem' in resolved ? resolved.problem : undefined) ??
    chosen.problem ??
    (entry && observation && !seen ? poolProblem(name, storagePool, pool, context.hypervisor) : undefined) ??
    tooLarge(name, asked, entry, found?.capacity) ??
    (overlay && (tooSmall || (!isRoot && !(isDeclared && device))) ? snapshotted(name, overlay.name) : undefined)
  return {
    name,
    declared: isDeclared,
    ...(entry ? { recorded: entry.state ?? 'Creating' } : {}),
    volume: found ? 'There' : seen ? 'Absent' : 'Unknown',
    tooSmall,
    attached: device?.attached ?? false,
    defined: device?.defined ?? false,
    imagePlaced: image === undefined || isPlaced(image, vm.metadata.namespace, storagePool, caches),
    retained: isDiskRetained(vm, (isDeclared ? asked : entry) ?? {}),
    overlaid: overlay !== undefined,
    ...(device?.target === undefined ? {} : { target: device.target }),
    ...(tried.held === undefined ? {} : { held: tried.held }),
    ...(problem ? { problem } : {}),
    ...(storagePool === undefined ? {} : { storagePool }),
    ...(pool === undefined ? {} : { pool }),
    volumeName,
    ...(found ? { size: found.capacity } : {}),
    ...(capacity === undefined ? {} : { capacity }),
    ...(image ? { image } : {}),
  }
}

/** Whether what is declared is the disk that is recorded, and no other under its name. */
export function isSame(asked: Disk, entry: RecordedDisk | undefined): boolean {
  if (!entry || asked.name === 'root') return true
  if (asked.storagePool !== undefined && asked.storagePool !== entry.storagePool) return false
  const reference = asked.source?.image
  if (reference === undefined || entry.image === undefined) return reference === entry.image
  return reference.name === entry.image.name && (reference.kind ?? entry.image.kind) === entry.image.kind
}

const recordedSize = (entry: RecordedDisk | undefined): number | undefined =>
  entry?.size === undefined ? undefined : parseBytes(entry.size)

const pinned = ({ kind, name, uid, digest, format }: ResolvedImage): NonNullable<RecordedDisk['image']> => ({
  kind,
  name,
  uid,
  digest,
  format: format === 'qcow2' ? 'QCOW2' : 'Raw',
})

interface Choice {
  readonly storagePool?: string
  readonly problem?: Problem
}

const withPool = (storagePool: string | undefined): Choice => (storagePool === undefined ? {} : { storagePool })

/** Where a volume of its name was kept, else the best pool on the hypervisor. */
function choose(asked: Disk | undefined, volumeName: string, { caches, hypervisor, observation }: DiskContext): Choice {
  const named = asked?.storagePool
  const field = `spec.disks[${asked?.name}].storagePool`
  const keeps = observation?.volumes.find((volume) => volume.name === volumeName)?.pool
  const kept = caches.storagePools
    .byIndex('hypervisor', hypervisor)
    .find((pool) => keeps !== undefined && hostPool(pool) === keeps)?.metadata.name
  if (kept !== undefined && named !== undefined && named !== kept) {
    const message = `${field}: the volume of this disk was kept in StoragePool ${kept}: name that, or give the disk another name`
    return { problem: { code: 'InvalidConfiguration', message } }
  }
  if (keeps !== undefined && kept === undefined) {
    const message = `${field}: the volume of this disk was kept in storage pool ${keeps} of hypervisor ${hypervisor}, which no StoragePool stands for: apply one, or give the disk another name`
    return { problem: { code: 'StoragePoolNotFound', message } }
  }
  const storagePool =
    kept ?? choosePool(named === undefined ? {} : { pool: named }, poolOffers(hypervisor, caches))?.name
  if (storagePool !== undefined) return { storagePool }
  const why =
    named === undefined
      ? `no StoragePool on hypervisor ${hypervisor} is ready and has room`
      : `StoragePool ${named} is not on hypervisor ${hypervisor}, not ready, or has no room`
  return { problem: { code: 'StoragePoolNotFound', message: `${field}: ${why} (kubectl get bpool)` } }
}

function poolProblem(
  disk: string,
  storagePool: string | undefined,
  pool: string | undefined,
  hypervisor: string,
): Problem {
  return pool === undefined
    ? { code: 'StoragePoolNotFound', message: `StoragePool ${storagePool}, which has disk ${disk}, does not exist` }
    : {
        code: 'PoolInactive',
        message: `storage pool ${pool}, which has disk ${disk}, is not started on ${hypervisor}: start it there`,
      }
}

const snapshotted = (disk: string, volume: string): Problem => ({
  code: 'Drifted',
  message: `disk ${disk} is left as it is: somebody made a snapshot of it on the host, volume ${volume}: merge that into the disk, or remove it there`,
})

/** It was added again, smaller than it was. */
function tooLarge(
  name: string,
  asked: Disk | undefined,
  entry: RecordedDisk | undefined,
  size: number | undefined,
): Problem | undefined {
  const has = recordedSize(entry)
  if (asked?.size === undefined || has === undefined || size === undefined || parseBytes(asked.size) >= has)
    return undefined
  const message = `spec.disks[${name}].size: ${asked.size} is smaller than the disk, which has ${entry?.size}, and no disk is made smaller: declare at least that`
  return { code: 'InvalidConfiguration', message }
}

/** A hint: before a disk is made, the completion marker is read live. */
function isPlaced(
  { kind, name, digest }: NonNullable<RecordedDisk['image']>,
  namespace: string | undefined,
  storagePool: string | undefined,
  { images, clusterImages }: Caches,
): boolean {
  const object = kind === 'Image' ? images.get(`${namespace}/${name}`) : clusterImages.get(name)
  const placed = object?.status?.placements?.find((one) => one.storagePool === storagePool && one.digest === digest)
  return placed?.state === 'Ready'
}
