/** Any line may be the last (design, invariant 1): the controller is killed, its host's daemon restarted, a second takes over. */
import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { ClusterImage, Slot, VirtualMachine } from '../../controller/api/index.ts'
import type { ControllerProcess } from '../../hack/lab/controller-process.ts'
import * as manifests from '../../hack/lab/manifests.ts'
import { until } from '../../hack/lab/wait.ts'
import { inventory, Lab, namespace, patience } from './lab.ts'

let lab: Lab
let controller: ControllerProcess
const host = () => lab.hypervisor

beforeAll(async () => {
  lab = await Lab.start(1)
  controller = lab.startController()
  await lab.declare(2)
  await lab.condition('clusterimages', 'reference', 'Ready', 'True')
})
afterAll(() => lab?.stop())

/** One machine, on one slot, from a whole image: what every crash must end in. */
async function expectOne(name: string): Promise<VirtualMachine> {
  const vm = await lab.running(name)
  const id = vm.metadata.uid
  const seen = await inventory(host())
  expect(seen.domains).toEqual([`${namespace}_${name}`])
  const digest = vm.status?.image?.digest
  expect(seen.volumes).toEqual(
    [`berth-${id}-root`, `berth-${id}-seed`, `berth-img-${digest}`, `berth-img-${digest}.ok`].toSorted(),
  )
  const bound = (await lab.list<Slot>('slots')).filter(({ status }) => status?.phase === 'Bound')
  expect(bound.map(({ status }) => status?.consumerRef?.uid)).toEqual([id])
  return vm
}

/** kill -9 as soon as `seen` says that it is in the middle, then a new process. */
async function killWhen(what: string, seen: () => Promise<boolean>): Promise<void> {
  await until(what, seen, { timeout: 120_000, every: 10 })
  await controller.kill()
  controller = lab.startController()
}

const step = (name: string, reason: string) => async () =>
  (await lab.events('VirtualMachine', name)).some((event) => event.reason === reason)

test('killed in the middle of placing an image: it is placed once, whole, and no machine comes from half of it', async () => {
  await lab.apply(lab.machine('placed'))
  // In the pool's own directory: by the time that libvirt has answered, an image of this size may be there.
  await killWhen('the image is on its way to the pool', async () => {
    const files = readdirSync(host().poolPath)
    return files.some((name) => name.startsWith('berth-img-')) && !files.some((name) => name.endsWith('.ok'))
  })
  const vm = await expectOne('placed')
  const image = await lab.get<ClusterImage>('clusterimages', 'reference')
  expect(image?.status?.placements).toEqual([
    expect.objectContaining({ storagePool: 'kvm1-disks', digest: vm.status?.image?.digest, state: 'Ready' }),
  ])
  await lab.remove('virtualmachines', 'placed')
})

test.each(['SlotBound', 'Placed', 'Created', 'Started'])(
  'killed right after %s: one machine, nothing twice, nothing left over',
  async (reason) => {
    const name = `killed-${reason.toLowerCase()}`
    await lab.apply(lab.machine(name))
    await killWhen(`${reason} is in the history`, step(name, reason))
    await expectOne(name)
    await lab.remove('virtualmachines', name)
    expect((await inventory(host())).domains).toEqual([])
    expect((await lab.list<Slot>('slots')).map(({ status }) => status?.phase)).toEqual(['Free', 'Free'])
  },
)

test('killed in the middle of a deletion: it ends, and the slot is free', async () => {
  await lab.apply(lab.machine('going'))
  const vm = await lab.running('going')
  await lab.patch('going', { shutdownMode: 'Hard' })
  await lab.kubectl('delete', 'bvm', 'going', '-n', namespace, '--wait=false')
  await killWhen(
    'the slot is being released',
    async () => (await lab.get<Slot>('slots', vm.status?.slot ?? ''))?.status?.phase !== 'Bound',
  )
  await until('the object is gone', async () => (await lab.get('virtualmachines', 'going')) === undefined, patience)
  const { domains, volumes } = await inventory(host())
  expect(domains).toEqual([])
  expect(volumes.filter((volume) => volume.includes(vm.metadata.uid ?? ''))).toEqual([])
  await until(
    'all slots are free',
    async () => (await lab.list<Slot>('slots')).every(({ status }) => status?.phase === 'Free'),
    patience,
  )
})

test('a second controller takes over from one that is killed, and the guest never notices', async () => {
  await lab.apply(lab.machine('steady'))
  const before = await lab.running('steady')
  const { stdout: pid } = await host().run('pidof', ['qemu-system-x86_64'])
  const standby = lab.startController('b')
  await controller.kill()
  await lab.apply(lab.machine('after'))
  await lab.running('after')
  expect((await lab.running('steady')).status).toMatchObject({
    slot: before.status?.slot,
    startTime: before.status?.startTime,
  })
  const { stdout: pids } = await host().run('pidof', ['qemu-system-x86_64'])
  expect(pids.split(/\s+/)).toContain(pid.trim())
  await lab.remove('virtualmachines', 'after')
  await standby.stop()
  controller = lab.startController()
})

test('libvirtd restarted under the controller: it connects again, the guest runs on, and nothing is started twice', async () => {
  const before = await lab.running('steady')
  await host().killDaemon()
  await lab.condition('hypervisors', 'kvm1', 'Reachable', 'False')
  const lost = await lab.condition<VirtualMachine>(
    'virtualmachines',
    'steady',
    'Ready',
    'Unknown',
    'HypervisorUnreachable',
  )
  expect(lost.status).toMatchObject({ powerState: 'Unknown', slot: before.status?.slot })
  await host().restartDaemon()
  await lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
  const after = await lab.running('steady')
  expect(after.status).toMatchObject({
    slot: before.status?.slot,
    startTime: before.status?.startTime,
    hypervisorID: before.status?.hypervisorID,
  })
})

test('deleted and created again under its name: the new machine is another, and nothing of the old one is left', async () => {
  const old = await lab.running('steady')
  await lab.patch('steady', { shutdownMode: 'Hard' })
  await lab.remove('virtualmachines', 'steady')
  await lab.apply(lab.machine('steady', { shutdownMode: 'Hard' }))
  const renewed = await expectOne('steady')
  expect(renewed.metadata.uid).not.toBe(old.metadata.uid)
  await lab.remove('virtualmachines', 'steady')
})

test('a hypervisor and a storage pool are kept while machines need them', async () => {
  await lab.apply(lab.machine('user', { shutdownMode: 'Hard' }))
  await lab.running('user')
  for (const [resource, name] of [
    ['hypervisors', 'kvm1'],
    ['storagepools', 'kvm1-disks'],
    ['clusterimages', 'reference'],
  ] as const) {
    await lab.kubectl('delete', `${resource}.berth.dev`, name, '--wait=false')
    await lab.condition(resource, name, 'Ready', 'False', 'InUse')
  }
  expect(await inventory(host())).toMatchObject({ domains: [`${namespace}_user`] })
  await lab.remove('virtualmachines', 'user')
  await until(
    'all are gone',
    async () => (await lab.list('hypervisors')).length + (await lab.list('clusterimages')).length === 0,
    patience,
  )
  expect(await inventory(host())).toEqual({ domains: [], volumes: [] })
  await lab.apply(manifests.list(manifests.size('tiny', 1, '128Mi')))
})
