import { beforeEach, describe, expect, it } from '@jest/globals'
import { hypervisors, slots, virtualMachines } from '../../api/index.ts'
import { aMachine, Lab, readyOf } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

let lab: Lab
let reconciler: VirtualMachineReconciler

beforeEach(async () => {
  lab = new Lab().furnish('s1', 's2')
  reconciler = new VirtualMachineReconciler(lab.dependencies)
  lab.kube.put(aMachine())
  await settle()
  lab.host.calls.length = 0
})

const settle = () => lab.settle(reconciler, 'team/web')
const power = (powerState: 'Running' | 'Stopped') =>
  lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) => Object.assign(vm.spec, { powerState }))
async function stop(): Promise<void> {
  power('Stopped')
  // The guest takes its time.
  for (let looks = 0; looks < 5; looks++) {
    await settle()
    await lab.clock.advance(60_000)
  }
}
const slotSpec = (spec: object) => lab.kube.change(slots, { name: 's1' }, (slot) => Object.assign(slot.spec, spec))
const hypervisorSpec = (spec: object) =>
  lab.kube.change(hypervisors, { name: 'kvm1' }, (hypervisor) => Object.assign(hypervisor.spec, spec))

describe('whoever holds a slot is not put out', () => {
  it.each<[string, () => void]>([
    ['cordons the slot', () => slotSpec({ scheduling: 'Cordoned' })],
    ['drains the slot', () => slotSpec({ scheduling: 'Draining' })],
    ['drains the hypervisor', () => hypervisorSpec({ scheduling: 'Draining' })],
    ['makes the slot smaller than the machine', () => slotSpec({ cpus: 1, memory: '16Mi' })],
    ['deletes the slot, as a smaller count does', () => lab.kube.markDeleted(slots, { name: 's1' })],
    ['deletes the hypervisor', () => lab.kube.markDeleted(hypervisors, { name: 'kvm1' })],
  ])('when somebody %s', async (_, change) => {
    change()
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(lab.slot('s1').status).toMatchObject({ phase: 'Bound', consumerRef: { name: 'web' } })
    expect(lab.host.calls).toEqual([])
  })

  it('and goes on there after its host has lost it', async () => {
    hypervisorSpec({ scheduling: 'Draining' })
    lab.host.turnOff(lab.machine().metadata.uid, 'Unknown')
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
    expect(lab.machine().status?.slot).toBe('s1')
  })
})

describe('once it was stopped', () => {
  it('a slot that is draining is empty, cannot be claimed, and the machine starts in another', async () => {
    slotSpec({ scheduling: 'Draining' })
    await stop()
    expect(lab.slot('s1').status).toMatchObject({ phase: 'Unavailable' })
    expect(lab.slot('s1').status?.consumerRef).toBeUndefined()
    power('Running')
    await settle()
    expect(lab.machine().status?.slot).toBe('s2')
  })

  it('no slot of a hypervisor that is draining can be claimed: its disks keep it there, and it is told why', async () => {
    hypervisorSpec({ scheduling: 'Draining' })
    await stop()
    expect(lab.slot('s1').status?.phase).toBe('Unavailable')
    power('Running')
    await settle()
    expect(readyOf(lab.machine())).toBe('False WaitingForSlot')
    expect(lab.machine().status?.slotRejections).toEqual([
      { reason: 'Cordoned', count: 2, message: 'it takes no new machines: Cordoned, Draining, or about to be deleted' },
    ])
    hypervisorSpec({ scheduling: 'Open' })
    await settle()
    expect(readyOf(lab.machine())).toBe('True Running')
  })
})
