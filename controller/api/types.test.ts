/** The types are the other half of the schema: what is guarded here is mostly guarded by the compiler. */
import { expect, test } from '@jest/globals'
// biome-ignore lint/style/noRestrictedImports: types only, to see that ours fit them without knowing them
import type { KubeObject, ReadObject, Resource } from '../kube/port.ts'
import {
  apiVersion,
  type Slot,
  type SlotManifest,
  slots,
  type VirtualMachine,
  type VirtualMachineManifest,
  type VirtualMachineSpec,
  virtualMachines,
} from './index.ts'
import { kinds } from './kinds/all.ts'
import * as resources from './resources.ts'

test('the ten-line machine is a manifest, and is not yet what the API server returns', () => {
  const manifest: VirtualMachineManifest = {
    apiVersion,
    kind: 'VirtualMachine',
    metadata: { name: 'web' },
    spec: { size: 'small', image: { name: 'debian-12' }, bootstrap: { sshAuthorizedKeys: ['ssh-ed25519 AAAA'] } },
  }
  // @ts-expect-error defaults are missing
  const spec: VirtualMachineSpec = manifest.spec
  expect(spec.size).toBe('small')
})

test('what is read has its defaults, is a manifest too, and cannot be changed in place', () => {
  const read = (machine: VirtualMachine) => {
    const timeout: string = machine.spec.shutdownTimeout
    const user: string = machine.spec.bootstrap.sshUser
    const operators: readonly ('Equal' | 'Exists')[] = (machine.spec.placement.tolerations ?? []).map((t) => t.operator)
    const manifest: VirtualMachineManifest = machine
    // @ts-expect-error readonly
    machine.spec.size = 'large'
    return [timeout, user, operators, manifest]
  }
  expect(read).toBeDefined()
})

test('resources fit the port to Kubernetes, and a slot can be written without its defaults', () => {
  const resource: Resource<VirtualMachine> = virtualMachines
  const apply = <T extends KubeObject>(_: Resource<T>, object: T): ReadObject<T> => object as ReadObject<T>
  const manifest: SlotManifest = {
    apiVersion,
    kind: 'Slot',
    metadata: { name: 'kvm1-small-1' },
    spec: { hypervisor: 'kvm1', cpus: 2, memory: '256Mi' },
  }
  const written = apply<SlotManifest>(slots, manifest)
  const inferred = apply(slots, manifest)
  const read: Resource<Slot> = slots
  expect([resource.plural, written, inferred, read.plural]).toEqual(['virtualmachines', manifest, manifest, 'slots'])
})

test('there is one resource for each kind, and it says the same as the schema', () => {
  const said = Object.values(resources).map(({ kind, plural, namespaced }) => ({ kind, plural, namespaced }))
  const defined = kinds.map(({ kind, plural, namespaced }) => ({ kind, plural, namespaced }))
  expect(said.sort(byKind)).toEqual(defined.sort(byKind))
})

const byKind = (a: { kind: string }, b: { kind: string }) => (a.kind < b.kind ? -1 : 1)
