import {
  finalizers,
  formatBytes,
  parseBytes,
  type StoragePool,
  type StoragePoolStatus,
  storagePools,
} from '../../api/index.ts'
import { BerthError, toBerthError } from '../../errors/index.ts'
import type { Hosts } from '../../hypervisor/hosts.ts'
import type { ObservedPool } from '../../hypervisor/port.ts'
import { type KubeClient, keyOf, type ReadObject } from '../../kube/port.ts'
import type { Clock, ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import type { Caches } from '../shared/caches.ts'
import { isFalse, isTrue, summarize } from '../shared/conditions.ts'
import { hostPool } from '../shared/host-pool.ts'
import { retried } from '../shared/retried.ts'
import { isUntried } from '../shared/untried.ts'
import { writeStatus } from '../shared/write-status.ts'

export interface StoragePoolDependencies {
  readonly client: KubeClient
  readonly caches: Caches
  readonly hosts: Hosts
  readonly clock: Clock
}

const lookAgainAfter = 300_000
/** Free space moves all the time; what is less than this share of the pool is not worth a write. */
const worthTelling = 0.01

/** Finds the pool on its hypervisor, makes a directory pool where one is asked for, and tells its room. */
export class StoragePoolReconciler implements Reconciler {
  readonly name = 'storagepool'
  readonly #dependencies: StoragePoolDependencies

  constructor(dependencies: StoragePoolDependencies) {
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Result> {
    const { caches, client, clock } = this.#dependencies
    const pool = caches.storagePools.get(key)
    if (!pool) return {}
    const users = this.#users(key)
    const guarded = pool.metadata.finalizers?.includes(finalizers.inUse) ?? false
    const deleting = pool.metadata.deletionTimestamp !== undefined
    if (deleting && users.length === 0) {
      if (guarded) await client.setFinalizers(storagePools, pool, [], { signal })
      return {}
    }
    if (!deleting && !guarded) {
      await client.setFinalizers(storagePools, pool, [finalizers.inUse], { signal })
      return {}
    }
    // It is looked at again once its host was tried.
    if (isUntried(pool.spec.hypervisor, this.#dependencies)) return {}
    const { seen, failure } = await this.#look(pool, signal)
    const ready = deleting
      ? isFalse('Ready', 'InUse', `${users.length} need it: ${users.slice(0, 10).join(', ')}`)
      : failure
        ? isFalse('Ready', failure.code, failure.message)
        : isTrue('Ready', 'Available', 'the pool is there and active')
    const fields = fieldsOf(pool, seen)
    const low = fields.free !== undefined && parseBytes(fields.free) < parseBytes(pool.spec.reserve ?? '0')
    const facts = [
      ...summarize(ready),
      ...(low ? [isTrue('SpaceLow', 'BelowReserve', 'less is free than spec.reserve: no new disks are made')] : []),
    ]
    await writeStatus(client, storagePools, pool, fields, facts, { now: new Date(clock.now()).toISOString(), signal })
    if (failure) throw retried(failure, lookAgainAfter)
    return { requeueAfter: lookAgainAfter }
  }

  /** Whose disks are in it, and which images are placed there: what Berth has made must not lose its object. */
  #users(key: string): string[] {
    const { virtualMachines, images, clusterImages } = this.#dependencies.caches
    const machines = virtualMachines
      .list()
      .filter(({ status }) => status?.disks?.some(({ storagePool }) => storagePool === key))
    const placed = [...images.list(), ...clusterImages.list()].filter(({ status }) =>
      status?.placements?.some(({ storagePool }) => storagePool === key),
    )
    return [...machines, ...placed].map((object) => `${object.kind} ${keyOf(object)}`)
  }

  async #look(pool: StoragePool, signal: AbortSignal): Promise<{ seen?: ObservedPool; failure?: BerthError }> {
    const { spec } = pool
    const host = this.#dependencies.hosts.get(spec.hypervisor)
    const name = hostPool(pool)
    const { path } = spec
    try {
      if (!host.connected) throw new BerthError(host.code, host.message, { retryAfter: 30_000 })
      let seen = await host.session.pool({ name }, { signal })
      if (!seen && path !== undefined) {
        await host.session.definePool({ name, path }, { signal })
        seen = await host.session.pool({ name }, { signal })
      }
      if (!seen) {
        throw new BerthError(
          'PoolNotFound',
          `spec.${spec.uuid === undefined ? 'poolName' : 'uuid'}: hypervisor ${spec.hypervisor} has no storage pool ${name}: make it there${spec.type === 'Directory' ? ', or give spec.path' : ''}`,
          { retryAfter: 60_000 },
        )
      }
      if (seen.type !== spec.type)
        throw new BerthError('TypeMismatch', `spec.type: the pool on the hypervisor is of type ${seen.type}`)
      if (!seen.active)
        throw new BerthError('PoolInactive', `storage pool ${name} is not started on ${spec.hypervisor}`, {
          retryAfter: 60_000,
        })
      return { seen }
    } catch (error) {
      return { failure: toBerthError(error) }
    }
  }
}

function fieldsOf(
  { status }: ReadObject<StoragePool>,
  seen: ObservedPool | undefined,
): Omit<StoragePoolStatus, 'conditions' | 'observedGeneration'> {
  const { id, capacity, allocated, free, volumes } = status ?? {}
  const before = Object.fromEntries(
    Object.entries({ id, capacity, allocated, free, volumes }).filter(([, value]) => value !== undefined),
  )
  if (!seen) return before
  const moved = Math.abs((free === undefined ? -seen.capacity : parseBytes(free)) - seen.free)
  const same = id === seen.id && capacity === told(seen.capacity) && moved < seen.capacity * worthTelling
  if (same) return before
  return {
    id: seen.id,
    capacity: told(seen.capacity),
    allocated: told(seen.allocated),
    free: told(seen.free),
    volumes: seen.volumes,
  }
}

/** Rounded down for people: to whole Gi from 16Gi on, else to Mi. */
function told(bytes: number): string {
  const unit = bytes >= 16 * 2 ** 30 ? 2 ** 30 : 2 ** 20
  return formatBytes(bytes - (bytes % unit))
}
