import { beforeEach, expect, it } from '@jest/globals'
import type { VirtualMachine } from '../api/index.ts'
import { hypervisorOf } from './groups.ts'
import { aMachine, aSlot, Lab } from './testing/lab.ts'

let lab: Lab
let groups: ReturnType<typeof hypervisorOf>
beforeEach(() => {
  lab = new Lab().furnish('s1')
  groups = hypervisorOf(lab.caches)
})

it('a machine is of the hypervisor that it is on', () => {
  lab.kube.put({ ...aMachine(), status: { hypervisor: 'kvm1' } } as VirtualMachine)
  expect(groups.virtualMachine?.('team/web')).toBe('kvm1')
})

it('… or of its slot’s, as soon as it has claimed one', () => {
  const { uid } = lab.kube.put(aMachine()).metadata
  expect(groups.virtualMachine?.('team/web')).toBeUndefined()
  const consumerRef = { uid, namespace: 'team', name: 'web', since: '' }
  lab.kube.put(aSlot('s1', {}, { phase: 'Bound', consumerRef }))
  expect(groups.virtualMachine?.('team/web')).toBe('kvm1')
})

it('slots and storage pools are of theirs; what is gone is of none', () => {
  expect(groups.slot?.('s1')).toBe('kvm1')
  expect(groups.storagePool?.('default')).toBe('kvm1')
  for (const group of [groups.virtualMachine, groups.slot, groups.storagePool]) expect(group?.('none')).toBeUndefined()
})
