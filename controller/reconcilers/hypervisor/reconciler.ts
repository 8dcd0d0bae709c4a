import { finalizers, type Hypervisor, hypervisors, parseDuration, slots as slotResource } from '../../api/index.ts'
import { BerthError, toBerthError } from '../../errors/index.ts'
import type { EventRecorder, KubeClient, ReadObject } from '../../kube/port.ts'
import type { Clock, ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import type { Caches } from '../shared/caches.ts'
import { conditionOf, isFalse } from '../shared/conditions.ts'
import { referenceTo } from '../shared/references.ts'
import { writeStatus } from '../shared/write-status.ts'
import type { Connections } from './connections.ts'
import { readCredentials } from './credentials.ts'
import { planSlots, type SlotPlan } from './slots.ts'
import { factsOf, fieldsOf, type Sight } from './status.ts'
import { holdersOf, type Users, whoNeeds } from './users.ts'

export interface HypervisorDependencies {
  readonly client: KubeClient
  readonly caches: Caches
  readonly connections: Connections
  readonly recorder: EventRecorder
  readonly clock: Clock
  /** Berth's own namespace, where the Secrets of hypervisors are. */
  readonly namespace: string
  /** Uid of the kube-system namespace: which cluster a tag on a host belongs to. */
  readonly cluster: string
}

/** Secrets are never watched: they are read anew so often, and at each attempt to connect. */
const lookAgainAfter = 300_000

/** What a person mends on the host or in a Secret is told by no watch. */
const retryTerminalAfter = 60_000
const retried = (failure: BerthError): BerthError =>
  failure.class === 'Transient' || failure.class === 'Ambiguous'
    ? failure
    : new BerthError(failure.code, failure.message, { cause: failure, retryAfter: retryTerminalAfter })

/** Where it is. The schema lets exactly one of the two in. */
const endpointOf = ({ spec: { libvirt, xapi } }: Hypervisor) =>
  xapi ?? {
    uri: libvirt?.uri ?? '',
    ...(libvirt?.knownHosts === undefined ? {} : { knownHosts: libvirt.knownHosts }),
  }

/** Keeps a session open, tells what is there, and makes the slots of spec.slots. */
export class HypervisorReconciler implements Reconciler {
  readonly name = 'hypervisor'
  readonly #dependencies: HypervisorDependencies

  constructor(dependencies: HypervisorDependencies) {
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Result> {
    const { client, caches, connections } = this.#dependencies
    const hypervisor = caches.hypervisors.get(key)
    if (!hypervisor) {
      await connections.forget(key)
      return {}
    }
    if (hypervisor.metadata.deletionTimestamp !== undefined) return this.#delete(hypervisor, signal)
    if (!hypervisor.metadata.finalizers?.includes(finalizers.inUse)) {
      await client.setFinalizers(hypervisors, hypervisor, [finalizers.inUse], { signal })
      return {}
    }
    const { sight, failure } = await this.#look(hypervisor, signal)
    const slotPlan = this.#planSlots(hypervisor, sight)
    await this.#makeSlots(slotPlan, signal)
    await this.#write(hypervisor, sight, slotPlan, undefined, signal)
    if (failure) throw retried(failure)
    return { requeueAfter: lookAgainAfter }
  }

  async #look(
    hypervisor: ReadObject<Hypervisor>,
    signal: AbortSignal,
  ): Promise<{ sight: Sight; failure?: BerthError }> {
    const { client, connections, namespace } = this.#dependencies
    const { limits } = hypervisor.spec
    try {
      const credentials = await readCredentials(hypervisor, client, namespace, signal)
      const target = {
        ...endpointOf(hypervisor),
        callTimeout: parseDuration(limits?.callTimeout ?? '30s'),
        ...(credentials === undefined ? {} : { credentials }),
      }
      const session = await connections.ensure(
        hypervisor.metadata.name,
        target,
        limits?.concurrentOperations ?? 4,
        hypervisor.status?.id,
        signal,
      )
      await this.#requireSole(hypervisor, session.information.id)
      const sight = { information: await session.refresh({ signal }), inventory: await session.list({ signal }) }
      connections.tell(hypervisor.metadata.name, sight.inventory)
      return { sight }
    } catch (error) {
      const failure = toBerthError(error)
      connections.failed(hypervisor.metadata.name, failure)
      return { sight: { problem: { code: failure.code, message: failure.message } }, failure }
    }
  }

  /** Two objects for one host would count its room twice, and write the same images at once: the elder has it. */
  async #requireSole({ metadata, spec }: ReadObject<Hypervisor>, id: string): Promise<void> {
    const age = (other: ReadObject<Hypervisor>['metadata']) => `${other.creationTimestamp} ${other.name}`
    const elder = this.#dependencies.caches.hypervisors
      .list()
      .find(
        (other) =>
          other.metadata.name !== metadata.name && other.status?.id === id && age(other.metadata) < age(metadata),
      )
    if (!elder) return
    await this.#dependencies.connections.forget(metadata.name)
    throw new BerthError(
      'AlreadyManaged',
      `${spec.xapi ? 'spec.xapi.members' : 'spec.libvirt.uri'}: Hypervisor ${elder.metadata.name} is the same host: delete one of the two`,
    )
  }

  #planSlots(hypervisor: ReadObject<Hypervisor>, { information }: Sight): SlotPlan {
    const { caches } = this.#dependencies
    const { name } = hypervisor.metadata
    return planSlots(
      hypervisor,
      (size) => caches.sizes.get(size),
      (slot) => caches.slots.get(slot),
      caches.slots.byIndex('hypervisor', name),
      information?.memory,
    )
  }

  async #makeSlots({ apply, remove }: SlotPlan, signal: AbortSignal): Promise<void> {
    const { client } = this.#dependencies
    for (const slot of apply) await client.apply(slotResource, slot, { signal })
    for (const { metadata } of remove) {
      // With its version: a claim that comes in between keeps the slot.
      await client.delete(
        slotResource,
        { name: metadata.name },
        { uid: metadata.uid, resourceVersion: metadata.resourceVersion },
        { signal },
      )
    }
  }

  async #delete(hypervisor: ReadObject<Hypervisor>, signal: AbortSignal): Promise<Result> {
    const { client, connections } = this.#dependencies
    const { name } = hypervisor.metadata
    const message = whoNeeds(name, this.#users(name))
    if (message === undefined) {
      await connections.forget(name)
      await client.setFinalizers(hypervisors, hypervisor, [], { signal })
      return {}
    }
    // Its machines can only be stopped and removed over a connection.
    const { sight } = await this.#look(hypervisor, signal)
    await this.#write(hypervisor, sight, this.#planSlots(hypervisor, sight), isFalse('Ready', 'InUse', message), signal)
    return { requeueAfter: 30_000 }
  }

  /** Who still needs it: its machines, slots that are held, its storage pools. Nothing on the host is touched by its deletion. */
  #users(name: string): Users {
    const { virtualMachines, slots, storagePools } = this.#dependencies.caches
    const held = slots.byIndex('hypervisor', name).filter(({ status }) => status?.consumerRef !== undefined)
    return {
      machines: virtualMachines
        .byIndex('hypervisor', name)
        .map(({ metadata: { namespace, name: machine } }) => `${namespace}/${machine}`),
      slots: held.map(
        ({ metadata, status }) => `${metadata.name} (${status?.consumerRef?.namespace}/${status?.consumerRef?.name})`,
      ),
      pools: storagePools.byIndex('hypervisor', name).map(({ metadata }) => metadata.name),
    }
  }

  async #write(
    hypervisor: ReadObject<Hypervisor>,
    sight: Sight,
    { condition }: SlotPlan,
    deleting: ReturnType<typeof isFalse> | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, caches, clock, recorder, cluster } = this.#dependencies
    const now = new Date(clock.now()).toISOString()
    const slots = caches.slots.byIndex('hypervisor', hypervisor.metadata.name)
    const left = hypervisor.spec.scheduling === 'Draining' ? holdersOf(slots) : undefined
    const facts = factsOf(sight, condition, deleting, left)
    const fields = fieldsOf(hypervisor, sight, slots, cluster, now)
    const before = conditionOf(hypervisor, 'Ready')
    await writeStatus(client, hypervisors, hypervisor, fields, facts, { now, signal })
    const ready = facts.find(({ type }) => type === 'Ready')
    if (ready && (before?.status !== ready.status || before.reason !== ready.reason)) {
      const type = ready.status === 'True' ? 'Normal' : 'Warning'
      recorder.record({
        regarding: referenceTo(hypervisor),
        type,
        reason: ready.reason,
        action: 'Connect',
        note: ready.message,
        actor: 'berth',
      })
    }
  }
}
