/** Performs one step through a port. What it changes is seen by the next pass; nothing is concluded from an answer. */
import { finalizers, type SlotStatus, slots, virtualMachines } from '../../api/index.ts'
import { BerthError, isBerthError, toBerthError } from '../../errors/index.ts'
import { type DiskSpec, type LiveSize, type Session, volumeNames } from '../../hypervisor/port.ts'
import { keyOf } from '../../kube/port.ts'
import { conditionIs } from '../shared/conditions.ts'
import { hostPool } from '../shared/host-pool.ts'
import { closedBy } from '../shared/scheduling.ts'
import { type Dependencies, hardwareOf, type Memory } from './dependencies.ts'
import type { DiskWork } from './disk-model.ts'
import { doDiskWork } from './disk-work.ts'
import { isUsable } from './disks.ts'
import { withFilters } from './interface-facts.ts'
import { changeInterface } from './interface-work.ts'
import { giveBackAddresses, leaseAddresses } from './lease-addresses.ts'
import { machineSpec } from './machine.ts'
import type { Problem, Step } from './model.ts'
import { runs } from './power.ts'
import { machineOf, type View } from './view.ts'

/** Record, RecordDisks, MarkRunning, MarkStopped, BeginRestart, BeginSuspend, ServeRestart and ClearRecord have their whole effect in the status that the pass writes. */
export async function act(
  step: Step,
  view: View,
  dependencies: Dependencies,
  memory: Memory,
  signal: AbortSignal,
): Promise<void> {
  const { client, clock } = dependencies
  const { vm, desired } = view
  const { instanceID } = desired
  const onHost = (work: (session: Session) => Promise<void>) => withSession(view, dependencies, work)
  /** One that the host refuses is no start: it is not what a machine that goes off soon is delayed for. */
  const start = async (paused: boolean) => {
    memory.starts.started(instanceID, clock.monotonic())
    try {
      await onHost((session) => session.start(instanceID, { signal, paused }))
    } catch (error) {
      if (isBerthError(error) && error.class !== 'Ambiguous') memory.starts.undo(instanceID)
      throw error
    }
  }
  const resize = async (size: LiveSize) => {
    try {
      await onHost((session) => session.resize(instanceID, size, { signal }))
    } catch (error) {
      if (isBerthError(error) && error.class === 'Terminal') memory.resizes.refused(instanceID, size)
      throw error
    }
  }
  switch (step.do) {
    case 'AddFinalizer':
      await client.setFinalizers(virtualMachines, vm, [finalizers.cleanup], { signal })
      return
    case 'LeaseAddresses':
      return leaseAddresses(view, dependencies, signal)
    case 'RemoveFinalizer':
      // Those that stay behind are removed by the leader, as soon as nobody can use them.
      if (!desired.retained) await giveBackAddresses(view, dependencies, signal)
      await client.setFinalizers(virtualMachines, vm, [], { signal })
      return
    case 'Claim':
      return claim(step.slot, view, dependencies, signal)
    case 'Drain':
      return moveSlot(step.slot, 'Releasing', view, dependencies, signal)
    case 'Release':
      return moveSlot(step.slot, 'Free', view, dependencies, signal)
    case 'RecordDisks':
      for (const { disk } of step.changes) memory.disks.forget(instanceID, disk)
      return
    case 'CreateDisk':
      if (step.disk === undefined) return onHost((session) => createDisk(session, view, dependencies, signal))
      return workOnDisk(step.do, step.disk, view, dependencies, memory, signal)
    case 'AttachDisk':
    case 'DetachDisk':
    case 'GrowDisk':
      return workOnDisk(step.do, step.disk, view, dependencies, memory, signal)
    case 'Define':
      if (view.size) memory.definitions.defined(instanceID, hardwareOf(view.size, view.observed))
      return onHost((session) => define(session, step.slot, view, dependencies, signal))
    case 'Start':
      return start(step.paused)
    case 'Pause':
      return onHost((session) => session.pause(instanceID, { signal }))
    case 'Unpause':
      return onHost((session) => session.unpause(instanceID, { signal }))
    case 'Suspend':
      return onHost((session) => session.suspend(instanceID, { signal }))
    case 'Resize':
      return resize(step.size)
    case 'DiscardMemory':
      return onHost((session) => session.discardMemory(instanceID, { signal }))
    case 'Park':
      return onHost((session) => session.park(instanceID, { signal }))
    case 'ShutDown':
      memory.shutdowns.asked(instanceID, vm.metadata.generation ?? 1, clock.monotonic())
      return onHost((session) => session.shutdown(instanceID, { signal }))
    case 'PowerOff':
      return onHost((session) => session.powerOff(instanceID, { signal }))
    case 'AttachInterface':
    case 'DetachInterface': {
      const place = { instanceID, observed: view.observed, attempts: memory.interfaces, now: clock.monotonic(), signal }
      return changeInterface(step, place, onHost)
    }
    case 'Undefine':
      return onHost((session) => session.undefine(instanceID, { signal }))
    case 'Expire': {
      const { namespace, name, uid, resourceVersion } = vm.metadata
      const key = { ...(namespace === undefined ? {} : { namespace }), name }
      // As it was read: a life-time that was prolonged meanwhile keeps it.
      return client.delete(virtualMachines, key, { uid, resourceVersion }, { signal })
    }
    case 'LetGo':
      return onHost((session) => session.release(instanceID, { signal }))
    case 'DeleteVolume':
      if (step.disk !== undefined) return workOnDisk(step.do, step.disk, view, dependencies, memory, signal)
      return onHost((session) => session.deleteVolume(instanceID, step.pool, step.volume, { signal }))
  }
}

/** The T rule's bookkeeping: a call whose effect is unknown may arrive until T has passed. */
async function withSession(
  { desired }: View,
  { hosts, settling }: Dependencies,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const host = hosts.get(desired.hypervisor ?? '')
  if (!host.connected) throw new BerthError(host.code, host.message)
  settling.began(desired.instanceID)
  try {
    await work(host.session)
    settling.resolved(desired.instanceID)
  } catch (error) {
    if (isBerthError(error) && error.class !== 'Ambiguous') settling.resolved(desired.instanceID)
    else settling.unresolved(desired.instanceID)
    throw error
  }
}

/** The Slot as it was read is the lock: a compare-and-swap of its status. */
async function claim(
  name: string,
  { vm, desired }: View,
  dependencies: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const { caches, client, hosts } = dependencies
  const slot = caches.slots.get(name)
  if (slot?.status?.phase !== 'Free' || slot.status.consumerRef)
    throw new BerthError('Conflict', `slot ${name} is not free any more`)
  const host = hosts.get(slot.spec.hypervisor)
  if (!host.connected) throw new BerthError(host.code, host.message)
  const running = (await host.session.list({ signal })).find(
    ({ tag, power }) =>
      tag?.cluster === dependencies.cluster &&
      tag.slot === name &&
      tag.instanceID !== desired.instanceID &&
      (power === 'Running' || power === 'Paused'),
  )
  if (running) {
    throw new BerthError('WaitingForSlot', `slot ${name}: the host runs ${running.hostName} under it`, {
      retryAfter: 10_000,
    })
  }
  const { namespace = '', uid, name: consumer } = vm.metadata
  const now = new Date(dependencies.clock.now()).toISOString()
  const status: SlotStatus = {
    ...slot.status,
    phase: 'Bound',
    consumerRef: { namespace, name: consumer, uid, since: now },
  }
  await client.applyStatus(slots, slot, status, { signal })
}

/**
 * Bound → Releasing → Free, each a compare-and-swap on the Slot as it was read live in this pass, before the host was
 * looked at: what was written to it since makes the step void.
 */
async function moveSlot(
  name: string,
  phase: 'Releasing' | 'Free',
  { claimed, observed }: View,
  { caches, client }: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const slot = claimed.find(({ metadata }) => metadata.name === name)
  if (!slot?.status?.consumerRef) throw new BerthError('Conflict', `slot ${name} is not held any more`)
  const { consumerRef, ...rest } = slot.status
  const isClosed = closedBy(slot, caches.hypervisors.get(slot.spec.hypervisor)) !== undefined
  const host = observed.hosts.get(slot.spec.hypervisor)
  const left = host?.reachable ? host.observation.released : undefined
  // What was let go of and runs on is a machine of others' there, until it is off.
  const isOccupied = conditionIs(slot, 'Occupied', 'True') || (runs(left) && left.tag.slot === name)
  const usable = !isClosed && !isOccupied
  const status: SlotStatus =
    phase === 'Releasing' ? { ...rest, consumerRef, phase } : { ...rest, phase: usable ? 'Free' : 'Unavailable' }
  await client.applyStatus(slots, slot, status, { signal })
}

/** What fails is remembered, so that it does not keep the machine from what else is to be done. */
async function workOnDisk(
  work: DiskWork,
  name: string,
  view: View,
  dependencies: Dependencies,
  { disks }: Memory,
  signal: AbortSignal,
): Promise<void> {
  const { vm, desired, observed } = view
  const disk = observed.disks?.find((one) => one.name === name)
  if (!disk) throw new BerthError('InternalError', `nothing is known of disk ${name}`)
  const attempt = { work, generation: vm.metadata.generation ?? 1 }
  const tried = (problem?: Problem) =>
    disks.tried(desired.instanceID, name, {
      ...attempt,
      now: dependencies.clock.monotonic(),
      ...(problem ? { problem } : {}),
    })
  try {
    await withSession(view, dependencies, (session) => doDiskWork(work, disk, desired.instanceID, session, signal))
    tried()
  } catch (error) {
    const { class: errorClass, code, message } = toBerthError(error)
    if (errorClass !== 'Conflict') tried({ code, message: `disk ${name}: ${message}` })
    throw error
  }
}

async function createDisk(session: Session, view: View, { caches }: Dependencies, signal: AbortSignal): Promise<void> {
  const { vm, desired, resolved } = view
  const image = vm.status?.image
  const pool = hostPoolOf(view, caches.storagePools)
  if (!image || 'problem' in resolved.rootCapacity)
    throw new BerthError('WaitingForImage', `${keyOf(vm)}: the image is not known yet`)
  const placed = await session.placedImage(pool, image.digest, { signal })
  if (placed.state !== 'Complete')
    throw new BerthError('WaitingForImage', 'the image is not complete in the storage pool', { retryAfter: 5_000 })
  await session.createDisk(
    {
      instanceID: desired.instanceID,
      pool,
      volume: volumeNames.disk(desired.instanceID, 'root'),
      image: { digest: image.digest, format: image.format === 'QCOW2' ? 'qcow2' : 'raw' },
      capacity: resolved.rootCapacity.value,
    },
    { signal },
  )
}

async function define(
  session: Session,
  slot: string,
  view: View,
  { caches, cluster }: Dependencies,
  signal: AbortSignal,
): Promise<void> {
  const hypervisor = view.desired.hypervisor ?? ''
  const accelerator = caches.hypervisors.get(hypervisor)?.spec.libvirt?.domainType
  const size = view.size ? { value: view.size } : view.resolved.size
  const machine = machineSpec(
    view.vm,
    { ...view.resolved, size },
    {
      cluster,
      hypervisor,
      slot,
      pool: hostPoolOf(view, caches.storagePools),
      dataDisks: dataDisks(view),
      bootstrap: view.bootstrap,
      addressed: view.leases.interfaces,
      networks: caches.networks,
      features: withFilters(session.information.capabilities.features, machineOf(view)),
      ...(accelerator === undefined ? {} : { accelerator }),
    },
  )
  await session.define(machine, { signal })
}

/** Those that the definition names beside the root. */
const dataDisks = ({ observed }: View): DiskSpec[] =>
  (observed.disks ?? []).filter(isUsable).flatMap(({ name, pool, volumeName }) => {
    return name === 'root' || pool === undefined ? [] : [{ name, pool, volume: volumeName }]
  })

/** Name on the host of the pool that the root disk is recorded in. */
function hostPoolOf({ vm }: View, pools: Dependencies['caches']['storagePools']): string {
  const recorded = vm.status?.disks?.find(({ name }) => name === 'root')?.storagePool
  const pool = recorded === undefined ? undefined : pools.get(recorded)
  if (!pool) throw new BerthError('StoragePoolNotFound', `StoragePool ${recorded} of the root disk does not exist`)
  return hostPool(pool)
}
