/** A process that has just begun has tried no host yet. It must not tell everybody that all of them are away. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import type { Reconciler } from '../../runtime/port.ts'
import { NetworkReconciler } from '../network/reconciler.ts'
import { Inventories } from '../shared/inventories.ts'
import { SlotReconciler } from '../slot/reconciler.ts'
import { StoragePoolReconciler } from '../storage-pool/reconciler.ts'
import { aMachine, Lab } from '../testing/lab.ts'
import { VirtualMachineReconciler } from '../virtual-machine/reconciler.ts'
import { isUntried } from './untried.ts'

let lab: Lab

beforeEach(() => {
  lab = new Lab().furnish('s1')
  lab.kube.put({
    ...aMachine('web', {}, { finalizers: ['berth.dev/cleanup'] }),
    status: { hypervisor: 'kvm1' },
  } as never)
})

const reconcilers: Record<string, [key: string, () => Reconciler]> = {
  'a slot': [
    's1',
    () => new SlotReconciler({ ...lab.dependencies, inventories: new Inventories(lab.registry, lab.clock) }),
  ],
  'a storage pool': ['default', () => new StoragePoolReconciler(lab.dependencies)],
  'a network': ['lan', () => new NetworkReconciler(lab.dependencies)],
  'a machine': ['team/web', () => new VirtualMachineReconciler(lab.dependencies)],
}

describe.each(Object.entries(reconcilers))('%s', (_, [key, reconcilerOf]) => {
  it('stays as it was told to be before, until its host was tried', async () => {
    const reconciler = reconcilerOf()
    // What there is to say while the host answers is said.
    await lab.settle(reconciler, key)
    lab.registry.remove('kvm1')
    const before = lab.kube.writes.length
    await lab.pass(reconciler, key)
    expect(lab.kube.writes.slice(before)).toEqual([])
    lab.disconnect()
    // A pool's pass ends with why.
    await lab.pass(reconciler, key).catch(() => {})
    expect(lab.kube.writes.slice(before)).not.toEqual([])
  })
})

it('nobody waits for a hypervisor without an object, which nobody will try', () => {
  expect(isUntried('none', lab.dependencies)).toBe(false)
})
