/** Brings an image's content to the storage pools that machines wait for it in: once a pool, streamed, checked. */
import type { ImageService } from '@berth/images'
import type { StoragePool, VirtualMachine } from '../../api/index.ts'
import { BerthError, isBerthError, toBerthError } from '../../errors/index.ts'
import type { Hosts } from '../../hypervisor/hosts.ts'
import type { ImageContent, Session } from '../../hypervisor/port.ts'
import type { Clock, Tasks } from '../../runtime/port.ts'
import { type Caches, imageDisks } from '../shared/caches.ts'
import { hostPool } from '../shared/host-pool.ts'
import { isUntried } from '../shared/untried.ts'
import type { AnyImage } from './kinds.ts'

export interface Placing {
  readonly storagePool: string
  readonly digest: string
  readonly state: 'Placing' | 'Ready' | 'Failed'
  readonly percent?: number
  /** Why it failed last, or waits. */
  readonly problem?: BerthError
}

/** After a failure, ms: a pool that is full or a host that resets is not asked without pause. */
const retryAfter = 30_000

export interface PlacingDependencies {
  readonly clock: Clock
  readonly caches: Caches
  readonly hosts: Hosts
  readonly tasks: Tasks
  readonly service: ImageService
}

export interface Content {
  readonly digest: string
  readonly format: 'qcow2' | 'raw'
  readonly length: number
}

const taskName = (pool: StoragePool, digest: string): string =>
  `place ${digest} in ${pool.spec.hypervisor}/${hostPool(pool)}`

/** Pools in which machines wait for this image, to copy disks of it. */
export const poolsAwaiting = ({ metadata }: AnyImage, { virtualMachines }: Caches): Set<string> =>
  new Set(
    virtualMachines
      .byIndex('awaitedImage', metadata.uid ?? '')
      .flatMap((vm) =>
        copiesOf(metadata.uid, vm).flatMap(({ made, storagePool }) => (made ? [] : (storagePool ?? []))),
      ),
  )

/** Whether a machine has, or is to have, a copy of this image in that pool. */
export const isUsedIn = (storagePool: string, { metadata }: AnyImage, { virtualMachines }: Caches): boolean =>
  virtualMachines
    .byIndex('imageUID', metadata.uid ?? '')
    .some((vm) => copiesOf(metadata.uid, vm).some((disk) => disk.storagePool === storagePool))

const copiesOf = (uid: string | undefined, vm: VirtualMachine) =>
  imageDisks(vm).filter(({ imageUID }) => imageUID === uid)

export interface Where {
  readonly poolName: string
  /** A machine waits for it there. */
  readonly waiting: boolean
  /** What was told of it last. */
  readonly before?: Placing
}

/** Where the image is in one pool; starts placing it where a machine waits for it. Undefined: nobody does, nor is it there. */
export async function place(
  { poolName, waiting, before }: Where,
  content: Content,
  dependencies: PlacingDependencies,
  onChange: () => void,
  signal: AbortSignal,
): Promise<Placing | undefined> {
  const { caches, tasks } = dependencies
  const base = { storagePool: poolName, digest: content.digest }
  const pool = caches.storagePools.get(poolName)
  if (!pool) {
    if (!waiting) return undefined
    const problem = new BerthError('StoragePoolNotFound', `StoragePool ${poolName} does not exist`)
    return { ...base, state: 'Failed', problem }
  }
  const name = taskName(pool, content.digest)
  const task = tasks.state(name)
  if (task?.state === 'Running') return { ...base, state: 'Placing', percent: percentOf(task.done, task.total) }
  if (waiting && task?.state === 'Failed' && dependencies.clock.now() - task.at < retryAfter) {
    return { ...base, state: 'Failed', problem: toBerthError(task.error) }
  }
  // Half a placing stays known, so that it is removed with the image.
  if (!waiting) return { ...base, state: 'Failed' }
  if (isUntried(pool.spec.hypervisor, dependencies)) return before ?? { ...base, state: 'Placing', percent: 0 }
  try {
    const session = sessionOf(pool, dependencies.hosts)
    const placed = await session.placedImage(hostPool(pool), content.digest, { signal })
    if (placed.state === 'Complete') return { ...base, state: 'Ready' }
    // Recorded before the first byte is sent, or a crash could leave there what nobody knows of: the next pass sends.
    if (before?.digest !== content.digest) return { ...base, state: 'Placing', percent: 0 }
    const problem = task?.state === 'Failed' ? toBerthError(task.error) : undefined
    tasks.start(
      name,
      (abort, progress) => stream(session, pool, content, dependencies.service, abort, progress),
      onChange,
    )
    return { ...base, state: 'Placing', percent: 0, ...(problem ? { problem } : {}) }
  } catch (error) {
    // That it cannot be looked at is no news of what was complete.
    return { ...base, state: before?.state === 'Ready' ? 'Ready' : 'Failed', problem: toBerthError(error) }
  }
}

async function stream(
  session: Session,
  pool: StoragePool,
  { digest, format, length }: Content,
  service: ImageService,
  signal: AbortSignal,
  progress: (done: number, total?: number) => void,
): Promise<void> {
  const send = (content: ImageContent) =>
    session.placeImage(hostPool(pool), content, (sent) => progress(sent, content.length), { signal })
  const { imageFormats } = session.information.capabilities
  if (imageFormats === undefined || imageFormats.includes(format)) {
    return send({ digest, format, length, open: () => service.open(digest) })
  }
  const raw = await service.openRaw(digest, signal)
  try {
    await send({ digest, contentDigest: raw.digest, format: 'raw', length: raw.length, open: () => raw.open() })
  } finally {
    await raw.close()
  }
}

/** As `unplace`; why it stays, where the host still has a copy-on-write disk of it. */
export async function unplaceUnlessUsed(...args: Parameters<typeof unplace>): Promise<string | undefined> {
  try {
    await unplace(...args)
    return undefined
  } catch (error) {
    if (isBerthError(error, 'InUse')) return error.message
    throw error
  }
}

/** Takes the image out of a pool. A pool or hypervisor whose object is gone is left as it is: nothing is known of it. */
async function unplace(
  poolName: string,
  digest: string,
  { caches, hosts, tasks }: PlacingDependencies,
  signal: AbortSignal,
): Promise<void> {
  const pool = caches.storagePools.get(poolName)
  if (!pool || !caches.hypervisors.get(pool.spec.hypervisor)) return
  const name = taskName(pool, digest)
  tasks.cancel(name)
  // What is still being sent could be complete after the removal, and nobody would know of it.
  if (tasks.state(name)?.state === 'Running') {
    throw new BerthError('HypervisorBusy', `storage pool ${poolName}: the image is still being sent there`)
  }
  await sessionOf(pool, hosts).removeImage(hostPool(pool), digest, { signal })
}

function sessionOf({ spec }: StoragePool, hosts: Hosts): Session {
  const host = hosts.get(spec.hypervisor)
  if (!host.connected) throw new BerthError(host.code, host.message)
  return host.session
}

const percentOf = (done: number, total: number | undefined): number =>
  total ? Math.min(Math.floor((done * 100) / total), 99) : 0
