/** The definition that a host is given, from what was resolved. Pure. */
import type { VirtualMachine } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { type DiskSpec, type MachineSpec, type Tag, volumeNames } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { AddressedInterface } from './addressing.ts'
import type { BootstrapData } from './bootstrap-data.ts'
import { type InterfaceContext, interfaceSpec } from './interface-facts.ts'
import { networkData } from './network-data.ts'
import { instanceIDOf, type Resolved } from './resolve.ts'
import { type Bootstrap, bootstrapOf, seedFiles } from './seed.ts'

export interface MachineContext extends InterfaceContext {
  readonly cluster: string
  readonly slot: string
  readonly accelerator?: 'KVM' | 'QEMU'
  /** Name on the host of the pool that the root disk is in. */
  readonly pool: string
  /** Beside the root. */
  readonly dataDisks: readonly DiskSpec[]
  readonly bootstrap: BootstrapData
  /** The machine's interfaces, as the guest is to address them. */
  readonly addressed: readonly AddressedInterface[]
}

export function machineSpec(vm: ReadObject<VirtualMachine>, resolved: Resolved, context: MachineContext): MachineSpec {
  const { size, image, interfaces } = resolved
  if ('problem' in size) throw new BerthError(size.problem.code, size.problem.message)
  if ('problem' in image) throw new BerthError(image.problem.code, image.problem.message)
  if ('problem' in interfaces) throw new BerthError(interfaces.problem.code, interfaces.problem.message)
  const instanceID = instanceIDOf(vm)
  const { pool } = context
  return {
    tag: tagOf(vm, context),
    hostName: `${vm.metadata.namespace}_${vm.metadata.name}`,
    cpus: size.value.cpus,
    memory: size.value.memory,
    ...(size.value.maxCpus === undefined ? {} : { maxCpus: size.value.maxCpus }),
    ...(size.value.maxMemory === undefined ? {} : { maxMemory: size.value.maxMemory }),
    architecture: image.value.architecture,
    ...(image.value.mode === undefined ? {} : { mode: image.value.mode }),
    ...(context.accelerator === undefined ? {} : { accelerator: context.accelerator }),
    disks: [{ name: 'root', pool, volume: volumeNames.disk(instanceID, 'root') }, ...context.dataDisks],
    seed: {
      pool,
      volume: volumeNames.seed(instanceID),
      // First boot reads it once; the Secret behind it may be gone by the next start.
      ...(vm.status?.firstBootTime === undefined
        ? { files: seedFiles(bootstrapOf(vm, instanceID, toldTo(context))) }
        : {}),
    },
    interfaces: interfaces.value.map((wanted) => {
      const spec = interfaceSpec(wanted, context)
      if ('problem' in spec) throw new BerthError(spec.problem.code, spec.problem.message)
      return spec.value
    }),
  }
}

/** The user's own network data goes before ours. */
function toldTo({ bootstrap, addressed }: MachineContext): Pick<Bootstrap, 'userData' | 'networkData'> {
  const network = bootstrap.networkData ?? networkData(addressed)
  return { ...bootstrap, ...(network === undefined ? {} : { networkData: network }) }
}

export function tagOf(
  vm: ReadObject<VirtualMachine>,
  { cluster, slot }: Pick<MachineContext, 'cluster' | 'slot'>,
): Tag {
  return {
    schema: 1,
    cluster,
    namespace: vm.metadata.namespace ?? '',
    name: vm.metadata.name,
    uid: vm.metadata.uid,
    instanceID: instanceIDOf(vm),
    // Owners come with admission; until then nobody is named.
    owner: '',
    slot,
  }
}
