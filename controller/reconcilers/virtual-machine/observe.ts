/** Reads everything that a pass needs, once: the API first (cache, or live), then the host, live. Changes nothing. */
import { parseDuration, type Slot, slots, type VirtualMachine, virtualMachines } from '../../api/index.ts'
import { toBerthError } from '../../errors/index.ts'
import type { LiveSize, ObservedMachine } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import { choosePool } from '../../placement/index.ts'
import { hostPool } from '../shared/host-pool.ts'
import { addressInterfaces } from './addressing.ts'
import { readBootstrapData } from './bootstrap-data.ts'
import { type Dependencies, hardwareOf, type Memory } from './dependencies.ts'
import { desiredOf } from './desired.ts'
import { diskFacts } from './disk-facts.ts'
import type { DiskFacts } from './disk-model.ts'
import { isUsable } from './disks.ts'
import { expiryOf } from './expiry.ts'
import { interfaceFacts, withFilters } from './interface-facts.ts'
import type { InterfaceFacts } from './interface-model.ts'
import { areOutdated } from './interfaces.ts'
import { type LeaseState, leaseState } from './leases.ts'
import type { Desired, HostObservation, Observed, Problem } from './model.ts'
import { poolOffers } from './offers.ts'
import { placementOf } from './placement.ts'
import { knownInterfaces, type Resolved, resolve, rootDisk } from './resolve.ts'
import { hasSize, inPlace, type ResolvedSize, roomDifferences, sizeInForce } from './size.ts'
import type { View } from './view.ts'

/** A guest that is still booting does not hear the power button: it is asked again after so long. */
const askAgainAfter = 10_000

export interface Source {
  readonly vm: ReadObject<VirtualMachine>
  readonly claimed: readonly ReadObject<Slot>[]
}

/** As the caches have it. */
export function fromCache(vm: ReadObject<VirtualMachine>, { caches }: Dependencies): Source {
  return { vm, claimed: caches.slots.byIndex('consumer', vm.metadata.uid) }
}

/** Live: the machine, and the Slots that it holds or has recorded. Undefined: it is gone, or another of its name is there. */
export async function readLive(
  source: Source,
  { client }: Dependencies,
  signal: AbortSignal,
): Promise<Source | undefined> {
  const { namespace, name, uid } = source.vm.metadata
  const vm = await client.get(virtualMachines, { ...(namespace === undefined ? {} : { namespace }), name }, { signal })
  if (vm?.metadata.uid !== uid) return undefined
  const names = new Set(source.claimed.map((slot) => slot.metadata.name))
  if (vm.status?.slot !== undefined) names.add(vm.status.slot)
  const found = await Promise.all([...names].map((slot) => client.get(slots, { name: slot }, { signal })))
  return { vm, claimed: found.filter((slot) => slot !== undefined) }
}

export async function observe(
  { vm, claimed }: Source,
  dependencies: Dependencies,
  memory: Memory,
  signal: AbortSignal,
): Promise<View> {
  const { caches, hosts } = dependencies
  const desired = desiredOf(vm, claimed)
  const resolved = resolve(vm, caches)
  const host = desired.hypervisor === undefined ? undefined : hosts.get(desired.hypervisor)
  const settleTime = callTimeoutOf(desired.hypervisor, dependencies) + dependencies.hostJobWait
  // Before the hosts are looked at: a call that arrives in between is then either seen, or still counted.
  const settled = dependencies.settling.settled(desired.instanceID, vm.metadata.uid, settleTime)
  const observations = await observeHosts(vm, desired, dependencies, signal)
  const bootstrap = await readBootstrapData(vm, desired, dependencies, signal)
  const addressed = addressInterfaces(vm, knownInterfaces(vm, caches), caches.networks)
  const leases = leaseState(vm, 'problem' in addressed ? [] : addressed.value, caches)
  const problem = resolved.problem ?? ('problem' in addressed ? addressed.problem : bootstrap.problem)
  const rootPool = rootPoolOf(vm, desired, dependencies)
  const startsIn = memory.starts.waitFor(desired.instanceID, dependencies.clock.monotonic())
  const placement = placementOf(vm, desired, resolved, problem, dependencies, memory)
  const placing = placementState(vm, dependencies)
  const slot = claimed.find(({ metadata }) => metadata.name === desired.recordedSlot)
  const features = host?.connected ? host.session.information.capabilities.features : []
  const size = sizeInForce(vm, resolved.size, slot, features)
  const resize = resizeOf(desired, observations, size, features, memory)
  const disks = disksOf(vm, desired, resolved, observations, dependencies, memory)
  const now = dependencies.clock.monotonic()
  const interfaces =
    desired.hypervisor === undefined
      ? undefined
      : interfaceFacts(vm, desired.hypervisor, withFilters(features, recordedMachine(desired, observations)), caches)
  const observed: Observed = {
    hosts: observations,
    ...(problem === undefined ? {} : { problem }),
    ...(placement === undefined ? {} : { placement }),
    ...(rootPool === undefined ? {} : { rootPool }),
    ...poolProblem(vm, observations, dependencies),
    imagePlaced: placing?.state === 'Ready',
    ...leaseFact(leases),
    outdated: isOutdated(desired, observations, size, disks, interfaces, memory),
    disks,
    features,
    ...(resize === undefined ? {} : { resize }),
    ...(interfaces ? { interfaces } : {}),
    interfaceAttempts: memory.interfaces.held(desired.instanceID, toldOf(interfaces), now),
    settled,
    startDelayed: startsIn > 0,
    shutdown: shutdownFacts(vm, desired, memory, dependencies),
  }
  const placingPercent = placing?.percent
  const expiry = expiryOf(vm, dependencies.clock.now())
  return {
    vm,
    claimed,
    startsIn,
    starts: memory.starts.count(desired.instanceID),
    resolved,
    ...(size === undefined ? {} : { size }),
    desired,
    observed,
    interfaces: await readInterfaces(desired, observed, dependencies, signal),
    disksIn: memory.disks.lookIn(desired.instanceID, now),
    interfacesIn: memory.interfaces.lookIn(desired.instanceID, now),
    settlesIn: dependencies.settling.waitFor(desired.instanceID, vm.metadata.uid, settleTime),
    ...(expiry === undefined ? {} : { expiry }),
    ...(host?.connected ? { host: host.session.information } : {}),
    ...(placingPercent === undefined ? {} : { placingPercent }),
    bootstrap,
    leases,
  }
}

const leaseFact = ({ missing, problem }: LeaseState): Pick<Observed, 'leases'> =>
  missing.length > 0 ? { leases: 'Missing' } : problem ? { leases: problem } : {}

/** A definition that was tried and came out otherwise is started as it is. */
function isOutdated(
  desired: Desired,
  hosts: ReadonlyMap<string, HostObservation>,
  size: ResolvedSize | undefined,
  disks: readonly DiskFacts[],
  interfaces: readonly InterfaceFacts[] = [],
  { definitions }: Memory,
): boolean {
  const machine = recordedMachine(desired, hosts)
  if (machine?.power !== 'Stopped' || size === undefined) return false
  const isSized = hasSize(machine, size) && roomDifferences(machine, size).length === 0
  const isAsWanted = isSized && hasDisks(disks) && !areOutdated(interfaces, machine)
  return !isAsWanted && !definitions.isDefined(desired.instanceID, hardwareOf(size, { disks, interfaces }))
}

/** The root is in every definition. */
const hasDisks = (disks: readonly DiskFacts[]): boolean =>
  disks.every((disk) => disk.name === 'root' || disk.overlaid || disk.defined === isUsable(disk))

function disksOf(
  vm: ReadObject<VirtualMachine>,
  { instanceID, hypervisor: recorded, claims }: Desired,
  resolved: Resolved,
  observations: ReadonlyMap<string, HostObservation>,
  { caches, clock }: Dependencies,
  { disks }: Memory,
): DiskFacts[] {
  const hypervisor = recorded ?? claims[0]?.hypervisor
  if (hypervisor === undefined) return []
  const host = observations.get(hypervisor)
  const generation = vm.metadata.generation ?? 1
  return diskFacts(vm, {
    caches,
    resolved,
    hypervisor,
    ...(host?.reachable ? { observation: host.observation } : {}),
    attempts: (disk) => disks.held(instanceID, disk, generation, clock.monotonic()),
  })
}

/** What it is to be given while it runs, unless its host has refused that. */
function resizeOf(
  desired: Desired,
  hosts: ReadonlyMap<string, HostObservation>,
  size: ResolvedSize | undefined,
  features: readonly string[],
  { resizes }: Memory,
): LiveSize | undefined {
  const machine = recordedMachine(desired, hosts)
  if (machine?.power !== 'Running' || size === undefined) return undefined
  const change = inPlace(machine, size, features)
  return Object.keys(change).length === 0 || resizes.isRefused(desired.instanceID, change) ? undefined : change
}

function recordedMachine(
  { hypervisor }: Pick<Desired, 'hypervisor'>,
  hosts: ReadonlyMap<string, HostObservation>,
): ObservedMachine | undefined {
  const host = hosts.get(hypervisor ?? '')
  return host?.reachable ? host.observation.machine : undefined
}

const toldOf =
  (interfaces: readonly InterfaceFacts[] = []) =>
  (macAddress: string) =>
    interfaces.find((one) => one.macAddress === macAddress)?.spec

/** The longest deadline of a call to that hypervisor, ms; also while it is away. */
function callTimeoutOf(hypervisor: string | undefined, { caches }: Dependencies): number {
  const limits = hypervisor === undefined ? undefined : caches.hypervisors.get(hypervisor)?.spec.limits
  return parseDuration(limits?.callTimeout ?? '30s')
}

/** The recorded host, and those of all claims: each must be seen before its slot is given back. */
async function observeHosts(
  { status }: VirtualMachine,
  desired: Desired,
  { hosts }: Dependencies,
  signal: AbortSignal,
): Promise<Map<string, HostObservation>> {
  const names = new Set(desired.claims.map(({ hypervisor }) => hypervisor))
  if (desired.hypervisor !== undefined) names.add(desired.hypervisor)
  const entries = [...names].map(async (name): Promise<[string, HostObservation]> => {
    const host = hosts.get(name)
    // Why is in the Hypervisor's own conditions, for administrators: users are not told addresses (E6).
    if (!host.connected) return [name, { reachable: false, message: `hypervisor ${name} cannot be reached` }]
    const recorded = name === desired.hypervisor ? status?.hostID : undefined
    if (recorded !== undefined && host.session.information.id !== recorded) {
      const message = `hypervisor ${name} is another host than the one that the machine is on: nothing is done there`
      return [name, { reachable: false, code: 'DifferentHost', message }]
    }
    try {
      return [name, { reachable: true, observation: await host.session.observe(desired.instanceID, { signal }) }]
    } catch (error) {
      const { class: errorClass, code, message } = toBerthError(error)
      if (errorClass === 'Terminal')
        return [name, { reachable: false, message: `hypervisor ${name}: ${message}`, code }]
      return [name, { reachable: false, message: `hypervisor ${name} did not answer (${code})` }]
    }
  })
  return new Map(await Promise.all(entries))
}

/** StoragePool of the root disk: the recorded one, else the best on the hypervisor that is claimed. */
function rootPoolOf(vm: ReadObject<VirtualMachine>, desired: Desired, { caches }: Dependencies): string | undefined {
  const recorded = vm.status?.disks?.find(({ name }) => name === 'root')?.storagePool
  const hypervisor = desired.hypervisor ?? desired.claims[0]?.hypervisor
  if (recorded !== undefined || hypervisor === undefined) return recorded
  const named = rootDisk(vm)?.storagePool
  return choosePool(named === undefined ? {} : { pool: named }, poolOffers(hypervisor, caches))?.name
}

/** Whether the pool that the root disk is recorded in was seen: one that is stopped shows no volumes. */
function poolProblem(
  vm: ReadObject<VirtualMachine>,
  hosts: ReadonlyMap<string, HostObservation>,
  { caches }: Dependencies,
): { readonly poolProblem?: Problem } {
  const recorded = vm.status?.disks?.find(({ name }) => name === 'root')?.storagePool
  const host = hosts.get(vm.status?.hypervisor ?? '')
  if (recorded === undefined || !host?.reachable) return {}
  const pool = caches.storagePools.get(recorded)
  const name = pool ? hostPool(pool) : recorded
  if (pool && host.observation.pools.includes(name)) return {}
  const message = pool
    ? `storage pool ${name} is not started on ${vm.status?.hypervisor}: start it there`
    : `StoragePool ${recorded}, which has the root disk, does not exist`
  return { poolProblem: { code: pool ? 'PoolInactive' : 'StoragePoolNotFound', message } }
}

/** What the image says of the recorded pool. A hint: before a disk is made, the completion marker is read live. */
function placementState(vm: ReadObject<VirtualMachine>, { caches }: Dependencies) {
  const { image, disks } = vm.status ?? {}
  if (!image) return undefined
  const pool = disks?.find(({ name }) => name === 'root')?.storagePool
  const object =
    image.kind === 'Image'
      ? caches.images.get(`${vm.metadata.namespace}/${image.name}`)
      : caches.clusterImages.get(image.name)
  return object?.status?.placements?.find(({ storagePool, digest }) => storagePool === pool && digest === image.digest)
}

function shutdownFacts(
  vm: ReadObject<VirtualMachine>,
  { instanceID }: Desired,
  memory: Memory,
  { clock }: Dependencies,
) {
  const since = memory.shutdowns.since(instanceID, vm.metadata.generation ?? 1, clock.monotonic())
  const timeout = parseDuration(vm.spec.shutdownTimeout ?? '5m')
  return {
    askedLately: since !== undefined && since.last < askAgainAfter,
    timedOut: since !== undefined && since.first >= timeout,
  }
}

async function readInterfaces(desired: Desired, observed: Observed, { hosts }: Dependencies, signal: AbortSignal) {
  if (desired.hypervisor === undefined) return []
  const seen = observed.hosts.get(desired.hypervisor)
  const host = hosts.get(desired.hypervisor)
  if (!seen?.reachable || !host.connected || seen.observation.machine?.power !== 'Running') return []
  try {
    return await host.session.interfaces(desired.instanceID, { signal })
  } catch {
    // An address is told when it is known: not to know it stops nothing.
    return []
  }
}
