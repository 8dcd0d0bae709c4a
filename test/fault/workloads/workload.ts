/** A story that users, administrators and hosts tell, while the controller runs, dies and runs again. */
import {
  clusterImages,
  hypervisors,
  type Slot,
  slots,
  storagePools,
  type VirtualMachine,
  virtualMachines,
} from '../../../controller/api/index.ts'
import type { KubeObject, ReadObject, Resource } from '../../../controller/kube/index.ts'
import type { Mode } from '../crash.ts'
import { aHypervisor, aNetwork, anImage, aPool, aSize, namespace } from '../world/objects.ts'
import type { World } from '../world/world.ts'

export interface Step {
  /** What is waited for. */
  readonly until: (world: World) => boolean
  readonly what: string
  /** What is done then; the last step only waits. */
  readonly act?: (world: World) => void
}

export interface Workload {
  readonly name: string
  readonly title: string
  /** What is there before it begins. */
  readonly furnish: (world: World) => void
  /** What was there is as declared: from now on effects count. */
  readonly furnished: (world: World) => boolean
  readonly steps: readonly Step[]
  /** What is tried with it, beside `crash` and `loop`. */
  readonly modes?: readonly Mode[]
  /** Between a write and the watches that tell of it, ms; the world's own where absent. */
  readonly watchLag?: number
}

/** Hosts with a pool and a network each, and slots; an image that is fetched; a size. */
export const furnish =
  (slotsOf: Readonly<Record<string, number>>, network: object = {}) =>
  (world: World): void => {
    for (const name of Object.keys(slotsOf)) addHost(world, name)
    world.create(aSize(), aNetwork(undefined, undefined, network), anImage())
    for (const [name, count] of Object.entries(slotsOf)) {
      world.create(aHypervisor(name, count), aPool(`${name}-default`, name))
    }
  }

export function addHost(world: World, name: string): void {
  const host = world.hosts.add(name)
  host.addPool('default')
  host.networks.add('default')
}

export const furnished =
  (count: number) =>
  (world: World): boolean =>
    world.api.list(hypervisors).every(isReady) &&
    world.api.list(storagePools).every(isReady) &&
    world.api.list(clusterImages).every(isReady) &&
    free(world).length === count

export const free = (world: World): ReadObject<Slot>[] =>
  world.api.list(slots).filter(({ status }) => status?.phase === 'Free')

interface WithConditions {
  readonly metadata: { readonly generation?: number }
  readonly status?: {
    readonly observedGeneration?: number
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[]
  }
}

export const isReady = (object: WithConditions): boolean =>
  object.status?.observedGeneration === object.metadata.generation &&
  (object.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false)

export const machine = (world: World, name: string): ReadObject<VirtualMachine> | undefined =>
  world.api.find(virtualMachines, { namespace, name })

export const gone = <T extends KubeObject>(world: World, resource: Resource<T>, name: string): boolean =>
  world.api.find(resource, resource.namespaced ? { namespace, name } : { name }) === undefined

export const runs = (name: string) => (world: World) => {
  const vm = machine(world, name)
  return vm !== undefined && vm.status?.powerState === 'Running' && isReady(vm)
}

/** In that state as declared, and in its slot. */
export const isIn = (name: string, powerState: 'Suspended' | 'Paused') => (world: World) => {
  const vm = machine(world, name)
  return vm !== undefined && vm.status?.powerState === powerState && vm.status.slot !== undefined && isReady(vm)
}

export const hasRestarted = (name: string, token: string) => (world: World) =>
  machine(world, name)?.status?.restart?.token === token && runs(name)(world)

/** Off as declared, and without a slot. */
export const isOff = (name: string) => (world: World) => {
  const vm = machine(world, name)
  const held = world.api.list(slots).some(({ status }) => status?.consumerRef?.uid === vm?.metadata.uid)
  return vm !== undefined && vm.status?.powerState === 'Stopped' && isReady(vm) && !held
}

export const setPower = (name: string, powerState: VirtualMachine['spec']['powerState']) => change(name, { powerState })

export const change = (name: string, spec: object) => (world: World) =>
  world.api.edit(virtualMachines, { namespace, name }, (vm) => {
    Object.assign(vm.spec, spec)
  })

export const removeMachine = (name: string) => (world: World) =>
  world.api.delete('virtualmachines', { namespace, name })

export const always = () => true

/** The machine on its host, whichever that is. */
export const onHost = (world: World, name: string) => {
  const id = machine(world, name)?.metadata.uid ?? ''
  return world.hosts.all().flatMap(({ name: hostName, host }) => {
    const found = host.machines.get(id)
    return found ? [{ ...found, host, hostName, id }] : []
  })[0]
}
