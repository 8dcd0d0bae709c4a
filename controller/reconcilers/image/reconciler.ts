import type { ImageService, ImageState } from '@berth/images'
import { finalizers, virtualMachines } from '../../api/index.ts'
import { type BerthError, errorTable } from '../../errors/index.ts'
import { type EventRecorder, type KubeClient, keyOf, type ReadObject } from '../../kube/port.ts'
import type { Clock, Enqueue, ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import { imagesOf } from '../shared/caches.ts'
import { conditionOf, isFalse, summarize } from '../shared/conditions.ts'
import { referenceTo } from '../shared/references.ts'
import { writeStatus } from '../shared/write-status.ts'
import { type AnyImage, type ImageKind, imageKinds } from './kinds.ts'
import { isUsedIn, type Placing, type PlacingDependencies, place, poolsAwaiting, unplaceUnlessUsed } from './placing.ts'
import { factsOf, fieldsOf } from './status.ts'

export interface ImageDependencies extends PlacingDependencies {
  readonly client: KubeClient
  readonly recorder: EventRecorder
  readonly clock: Clock
  readonly service: ImageService
  /** Puts an image of this kind back into its queue: something long made progress. */
  readonly enqueue: Enqueue
}

/** Has the image service fetch what an image declares, and brings it to the pools where machines wait for it. */
export class ImageReconciler implements Reconciler {
  readonly name: string
  readonly #kind: ImageKind
  readonly #dependencies: ImageDependencies

  constructor(kind: ImageKind, dependencies: ImageDependencies) {
    this.name = kind.name
    this.#kind = kind
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Result> {
    const { client, caches } = this.#dependencies
    const image = this.#kind.cache(caches).get(key)
    if (!image) return {}
    if (image.metadata.deletionTimestamp !== undefined) return this.#delete(image, signal)
    if (!image.metadata.finalizers?.includes(finalizers.cleanup)) {
      // Before the first effect outside: or a deletion could leave it behind.
      await client.setFinalizers(this.#kind.resource, image, [finalizers.cleanup], { signal })
      return {}
    }
    const state = await this.#fetch(image)
    const placings = await this.#place(image, state, signal)
    await this.#write(image, state, placings, signal)
    if (placings.some(({ problem }) => problem !== undefined)) return { requeueAfter: 10_000 }
    // Another image of the same content may be the one that is told of the progress.
    return placings.some(({ state: placed }) => placed === 'Placing') ? { requeueAfter: 5_000 } : {}
  }

  #fetch({ metadata, spec }: ReadObject<AnyImage>): Promise<ImageState> {
    const { url, checksum, caBundle } = spec.source.http
    return this.#dependencies.service.ensure({
      id: metadata.uid,
      source: { url, ...(checksum === undefined ? {} : { checksum }), ...(caBundle === undefined ? {} : { caBundle }) },
      ...(spec.format === undefined ? {} : { format: spec.format === 'QCOW2' ? ('qcow2' as const) : ('raw' as const) }),
    })
  }

  /** Pools where a machine waits are looked at live; what was seen to be placed elsewhere stays so. */
  async #place(image: ReadObject<AnyImage>, state: ImageState, signal: AbortSignal): Promise<Placing[]> {
    const known = image.status?.placements ?? []
    if (state.state !== 'Ready') return known as Placing[]
    const { digest, format, storedSize } = state.image
    const { caches } = this.#dependencies
    const awaiting = poolsAwaiting(image, caches)
    const names = [...new Set([...known.map(({ storagePool }) => storagePool), ...awaiting])].toSorted()
    const enqueue = () => this.#dependencies.enqueue(keyOf(image))
    const placings = names.map(async (name) => {
      const before = known.find(({ storagePool }) => storagePool === name)
      if (before && this.#isLeaving(name) && !isUsedIn(name, image, caches)) {
        // Where a retained disk needs it, the pool's object waits too.
        const kept = await unplaceUnlessUsed(name, before.digest, this.#dependencies, signal)
        return kept === undefined ? undefined : (before as Placing)
      }
      const waiting = awaiting.has(name)
      if (before?.state === 'Ready' && !waiting) return before as Placing
      const where = { poolName: name, waiting, ...(before ? { before: before as Placing } : {}) }
      return place(where, { digest, format, length: storedSize }, this.#dependencies, enqueue, signal)
    })
    return (await Promise.all(placings)).filter((placing) => placing !== undefined)
  }

  /** Its object is being deleted, and waits for what we have placed there. */
  #isLeaving(storagePool: string): boolean {
    return this.#dependencies.caches.storagePools.get(storagePool)?.metadata.deletionTimestamp !== undefined
  }

  async #delete(image: ReadObject<AnyImage>, signal: AbortSignal): Promise<Result> {
    const { client, service } = this.#dependencies
    const users = await this.#users(image, signal)
    const kept =
      users.length > 0
        ? `${users.length} machines are made from it: ${users.slice(0, 10).join(', ')}`
        : await this.#unplaceAll(image, signal)
    if (kept !== undefined) {
      const { conditions: _, observedGeneration: __, ...fields } = image.status ?? {}
      const options = { now: new Date(this.#dependencies.clock.now()).toISOString(), signal }
      const facts = summarize(isFalse('Ready', 'InUse', kept))
      await writeStatus(client, this.#kind.resource, image, { ...fields, usedBy: users.length }, facts, options)
      return { requeueAfter: 60_000 }
    }
    await service.release(image.metadata.uid)
    await client.setFinalizers(this.#kind.resource, image, [], { signal })
    return {}
  }

  /** Takes it out of every pool. Why it cannot be, where a host still has a copy-on-write disk of it. */
  async #unplaceAll(image: ReadObject<AnyImage>, signal: AbortSignal): Promise<string | undefined> {
    for (const { storagePool, digest } of image.status?.placements ?? []) {
      if (this.#sharedIn(image, storagePool, digest)) continue
      const kept = await unplaceUnlessUsed(storagePool, digest, this.#dependencies, signal)
      if (kept !== undefined) return kept
    }
    return undefined
  }

  /** Read live: the disks of a machine that the cache does not show yet would lose their base. */
  async #users({ kind, metadata }: ReadObject<AnyImage>, signal: AbortSignal): Promise<string[]> {
    const scope = kind === 'Image' && metadata.namespace !== undefined ? { namespace: metadata.namespace } : {}
    const { items } = await this.#dependencies.client.list(virtualMachines, { ...scope, signal })
    return items
      .filter((vm) => imagesOf(vm).includes(metadata.uid))
      .map((vm) => `${vm.metadata.namespace}/${vm.metadata.name}`)
  }

  /** Whether another image of the same content is placed there: the volume is named by content, and serves both. */
  #sharedIn({ metadata }: ReadObject<AnyImage>, storagePool: string, digest: string): boolean {
    return Object.values(imageKinds).some((kind) =>
      kind
        .cache(this.#dependencies.caches)
        .list()
        .some(
          (other) =>
            other.metadata.uid !== metadata.uid &&
            other.status?.placements?.some((placed) => placed.storagePool === storagePool && placed.digest === digest),
        ),
    )
  }

  async #write(
    image: ReadObject<AnyImage>,
    state: ImageState,
    placings: readonly Placing[],
    signal: AbortSignal,
  ): Promise<void> {
    const { client, caches, clock, recorder } = this.#dependencies
    const usedBy = caches.virtualMachines.byIndex('imageUID', image.metadata.uid).length
    const facts = factsOf(state, placings)
    const before = conditionOf(image, 'Ready')
    const options = { now: new Date(clock.now()).toISOString(), signal }
    await writeStatus(
      client,
      this.#kind.resource,
      image,
      fieldsOf(image.status, state, placings, usedBy),
      facts,
      options,
    )
    const ready = facts.find(({ type }) => type === 'Ready')
    if (ready && before?.reason !== ready.reason) {
      const type = state.state === 'Failed' ? 'Warning' : 'Normal'
      recorder.record({
        regarding: referenceTo(image),
        type,
        reason: ready.reason,
        action: 'Fetch',
        note: ready.message,
        actor: 'berth',
      })
    }
    for (const placing of placings) this.#tellPlacing(image, placing)
  }

  #tellPlacing(image: ReadObject<AnyImage>, { storagePool, state, problem }: Placing): void {
    const { recorder } = this.#dependencies
    const before = image.status?.placements?.find((placement) => placement.storagePool === storagePool)?.state
    const common = { regarding: referenceTo(image), action: 'Place', actor: 'berth' }
    if (problem && isNews(problem, before)) {
      recorder.record({
        ...common,
        type: 'Warning',
        reason: problem.code,
        note: `storage pool ${storagePool}: ${problem.message}`,
      })
    } else if (state === 'Ready' && before !== 'Ready') {
      recorder.record({ ...common, type: 'Normal', reason: 'Placed', note: `complete in storage pool ${storagePool}` })
    }
  }
}

const isNews = (problem: BerthError, before: Placing['state'] | undefined): boolean =>
  before !== 'Failed' && errorTable[problem.code].class !== 'Conflict'
