import { beforeEach, describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import { hypervisors, slots } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import type { ConnectTarget, InventoryEntry, PowerState } from '../../hypervisor/port.ts'
import { aHypervisor, aMachine, aPool, aSize, aSlot, conditionTypes, GiB, Lab, readyOf } from '../testing/lab.ts'
import { type Connect, Connections } from './connections.ts'
import { HypervisorReconciler } from './reconciler.ts'

let lab: Lab
let reconciler: HypervisorReconciler
let refusal: BerthError | undefined
let connections: Connections
let targets: ConnectTarget[]

beforeEach(() => {
  lab = new Lab()
  refusal = undefined
  targets = []
  const connect: Connect = async (_, target) => {
    targets.push(target)
    if (refusal) throw refusal
    return lab.host.connect()
  }
  const listener = { machine: () => {}, gap: () => {}, inventory: () => {} }
  connections = new Connections(connect, lab.registry, listener, pino({ level: 'silent' }))
  reconciler = new HypervisorReconciler({ ...lab.dependencies, connections })
  lab.kube.put({ ...aHypervisor(), status: undefined } as never)
})

const pass = () => lab.pass(reconciler, 'kvm1')
const hypervisor = () => {
  const found = lab.kube.peek(hypervisors, { name: 'kvm1' })
  if (!found) throw new Error('gone')
  return found
}
const declare = (spec: object) =>
  lab.kube.change(hypervisors, { name: 'kvm1' }, (object) => Object.assign(object.spec, spec))
const slotNames = () =>
  lab.informers.slots
    .list()
    .map(({ metadata }) => metadata.name)
    .toSorted()
const consumerRef = { uid: 'u', name: 'web', namespace: 'team', since: '2026-01-01T00:00:00Z' }
const messageOfReady = () => hypervisor().status?.conditions?.find(({ type }) => type === 'Ready')?.message
const slotsReady = () => hypervisor().status?.conditions?.find(({ type }) => type === 'SlotsReady')

it('counts as tried when it fails before anything is sent: nobody may wait for it for ever', async () => {
  declare({ credentials: { secretRef: { name: 'missing' } } })
  await expect(pass()).rejects.toMatchObject({ code: 'SecretNotFound' })
  expect(lab.registry.get('kvm1')).toMatchObject({ connected: false, code: 'SecretNotFound' })
  expect(lab.registry.get('kvm1')).not.toHaveProperty('untried')
})

describe('contact', () => {
  it('with a host that an elder object has already is refused: its room would count twice', async () => {
    await pass()
    const elder = {
      ...aHypervisor(),
      metadata: { ...aHypervisor().metadata, name: 'elder', creationTimestamp: '2020-01-01T00:00:00Z' },
    }
    lab.kube.put({ ...elder, status: { id: lab.host.information.id } } as never)
    await expect(lab.pass(reconciler, 'kvm1')).rejects.toMatchObject({ code: 'AlreadyManaged' })
    expect(readyOf(hypervisor())).toBe('False AlreadyManaged')
    expect(lab.registry.get('kvm1').connected).toBe(false)
  })

  it('with a XAPI pool goes to its members, and tells of each host', async () => {
    const spec = {
      libvirt: undefined,
      xapi: { members: ['https://xcp1'] },
      credentials: { secretRef: { name: 'login' } },
    }
    const data = { username: 'cm9vdA==', password: 'cHc=' }
    lab.kube.put({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'login', namespace: 'berth-system' },
      data,
    } as never)
    declare(spec)
    const member = (hostName: string, online: boolean) => ({
      id: `id-${hostName}`,
      hostName,
      online,
      cpus: 8,
      memory: 32 * GiB,
    })
    lab.host.information = { ...lab.host.information, members: [member('xcp1', true), member('xcp2', false)] }
    await pass()
    expect(targets).toEqual([
      { members: ['https://xcp1'], credentials: { username: 'root', password: 'pw' }, callTimeout: 30_000 },
    ])
    expect(hypervisor().status).toMatchObject({
      driver: 'xapi',
      hosts: [
        { name: 'xcp1', uuid: 'id-xcp1', state: 'Online', cpus: 8, memory: '32Gi' },
        { name: 'xcp2', uuid: 'id-xcp2', state: 'Offline', cpus: 8, memory: '32Gi' },
      ],
    })
  })

  it('tells what is there, and is quiet then', async () => {
    lab.host.foreign.set('x', 'not ours')
    await pass()
    expect(readyOf(hypervisor())).toBe('True Available')
    expect(hypervisor().status).toMatchObject({
      id: lab.host.information.id,
      capacity: { cpus: 16, memory: '64Gi' },
      unmanaged: { count: 1, machines: ['foreign-x'], memory: '2Gi' },
      hosts: [{ name: 'kvm1.example', state: 'Online' }],
    })
    const { length } = lab.kube.writes
    lab.clock.jump(600_000)
    await pass()
    expect(lab.kube.writes).toHaveLength(length)
  })

  it.each<[string, { tag?: object; power?: PowerState; memory?: number }, string]>([
    ['is not ours', {}, '1Gi'],
    ['is paused', { power: 'Paused' }, '1Gi'],
    ['is off', { power: 'Stopped' }, '0'],
    ['is saved to disk', { power: 'Suspended' }, '0'],
    ['is of another cluster', { tag: { cluster: 'other', slot: 'kvm1-a' } }, '1Gi'],
    ['runs under a slot that is gone', { tag: { cluster: 'cluster-uid', slot: 'kvm1-old' } }, '1Gi'],
    ['runs under a slot, whoever holds it', { tag: { cluster: 'cluster-uid', slot: 'kvm1-a' } }, '0'],
    ['has a definition that cannot be read', { memory: undefined as never }, '0'],
  ])('memory that a machine has without a slot, when it %s', async (_, entry, memory) => {
    lab.kube.put(aSlot('kvm1-a'))
    const listed = { id: 'x', hostName: 'x', power: 'Running', parked: false, memory: GiB, ...entry }
    lab.host.listed = [listed as InventoryEntry]
    await pass()
    expect(hypervisor().status?.unmanaged?.memory).toBe(memory)
  })

  it.each([
    ['HypervisorUnreachable', 'Reconciling', undefined, 'Reachable'],
    ['CredentialsInvalid', 'Stalled', 60_000, 'CredentialsValid'],
    ['CertificateInvalid', 'Stalled', 60_000, 'Reachable'],
  ] as const)('%s is told and tried again', async (code, companion, retryAfter, type) => {
    refusal = new BerthError(code, 'no')
    await expect(pass()).rejects.toMatchObject({ code, retryAfter })
    expect(readyOf(hypervisor())).toBe(`False ${code}`)
    expect(conditionTypes(hypervisor())).toContain(companion)
    expect(hypervisor().status?.conditions?.find((condition) => condition.type === type)?.status).toBe('False')
  })

  it('that is lost leaves what was known, offline, with the time of the last contact', async () => {
    await pass()
    lab.clock.jump(3_600_000)
    lab.host.before = (method) => {
      if (method === 'refresh') throw new BerthError('CallTimedOut', 'no answer')
    }
    await expect(pass()).rejects.toMatchObject({ code: 'CallTimedOut' })
    expect(hypervisor().status).toMatchObject({ hosts: [{ state: 'Offline' }], lastSeenTime: '2026-01-01T01:00:00Z' })
  })

  it('with a host of another id is refused', async () => {
    await pass()
    lab.registry.remove('kvm1')
    lab.host.information = { ...lab.host.information, id: 'another' }
    const again = new HypervisorReconciler({
      ...lab.dependencies,
      connections: new Connections(
        async () => lab.host.connect(),
        lab.registry,
        { machine() {}, gap() {}, inventory() {} },
        pino({ level: 'silent' }),
      ),
    })
    await expect(lab.pass(again, 'kvm1')).rejects.toMatchObject({ code: 'DifferentHost' })
    expect(hypervisor().status?.id).not.toBe('another')
  })
})

describe('slots', () => {
  const set = { name: 'small', count: 2, resources: { cpus: 1, memory: '1Gi' } }

  it('are made as declared, each once, also while the watch lags', async () => {
    declare({ slots: [set] })
    lab.informers.slots.hold()
    await pass()
    await pass()
    expect(lab.kube.writes.filter(({ verb }) => verb === 'apply')).toHaveLength(2)
    lab.informers.slots.release()
    expect(slotNames()).toEqual(['kvm1-small-0', 'kvm1-small-1'])
    expect(slotsReady()).toMatchObject({ status: 'True' })
  })

  it('follow a change, and go when they are too many', async () => {
    declare({ slots: [set] })
    await pass()
    declare({ slots: [{ ...set, count: 1, resources: { cpus: 2, memory: '2Gi' } }] })
    await pass()
    expect(slotNames()).toEqual(['kvm1-small-0'])
    expect(lab.slot('kvm1-small-0').spec).toMatchObject({ cpus: 2, memory: '2Gi' })
  })

  it('that are held stay, and that is told', async () => {
    declare({ slots: [set] })
    await pass()
    lab.kube.change(slots, { name: 'kvm1-small-1' }, (slot) =>
      Object.assign(slot, { status: { phase: 'Bound', consumerRef } }),
    )
    declare({ slots: [{ ...set, count: 0 }] })
    await pass()
    expect(slotNames()).toEqual(['kvm1-small-1'])
    expect(slotsReady()).toMatchObject({ reason: 'ShrinkPending' })
    expect(readyOf(hypervisor())).toBe('True Available')
  })

  it('a claim that comes in between keeps its slot', async () => {
    declare({ slots: [set] })
    await pass()
    declare({ slots: [] })
    lab.informers.slots.hold()
    lab.kube.change(slots, { name: 'kvm1-small-0' }, (slot) =>
      Object.assign(slot, {
        status: { phase: 'Bound', consumerRef: { uid: 'u', name: 'w', namespace: 't', since: '' } },
      }),
    )
    await expect(pass()).rejects.toMatchObject({ class: 'Conflict' })
    expect(lab.slot('kvm1-small-0').status?.phase).toBe('Bound')
  })

  it.each<[string, object, () => void, string, string]>([
    [
      'more than the host has memory for',
      { ...set, resources: { cpus: 1, memory: `${64 * GiB}` } },
      () => {},
      'OverCapacity',
      'True Available',
    ],
    [
      'of a size that is not there',
      { name: 'small', count: 1, size: 'none' },
      () => {},
      'SizeNotFound',
      'False SizeNotFound',
    ],
    [
      'of a name that is taken',
      set,
      () => lab.kube.put(aSlot('kvm1-small-0')),
      'SlotNamesTaken',
      'False SlotNamesTaken',
    ],
  ])('%s are told', async (_, declared, arrange, reason, ready) => {
    arrange()
    declare({ slots: [declared] })
    await pass()
    expect(slotsReady()).toMatchObject({ reason })
    expect(readyOf(hypervisor())).toBe(ready)
  })

  it('of a size that vanished stay', async () => {
    lab.kube.put(aSize())
    declare({ slots: [{ name: 'small', count: 1, size: 'small' }] })
    await pass()
    for (const { metadata } of lab.informers.sizes.list())
      lab.kube.remove({ apiVersion: '', kind: 'VirtualMachineSize', plural: '', namespaced: false }, metadata)
    await pass()
    expect(slotNames()).toEqual(['kvm1-small-0'])
  })
})

describe('draining', () => {
  it('tells who is left, and when it is empty; its slots and their holders stay', async () => {
    declare({ scheduling: 'Draining' })
    lab.kube.put(aSlot('s1', {}, { phase: 'Bound', consumerRef }))
    lab.kube.put(aSlot('s2'))
    await pass()
    expect(readyOf(hypervisor())).toBe('True Available')
    expect(messageOfReady()).toContain('Draining: 1 hold slots until they are stopped or deleted: team/web')
    expect(lab.slot('s1').status).toMatchObject({ phase: 'Bound', consumerRef })
    lab.kube.put(aSlot('s1', {}, { phase: 'Releasing', consumerRef }))
    lab.kube.put(aSlot('s1', {}, { phase: 'Unavailable' }))
    await pass()
    expect(messageOfReady()).toContain('Draining: it is empty')
    declare({ scheduling: 'Open' })
    await pass()
    expect(messageOfReady()).not.toContain('Draining')
    expect(lab.host.calls).toEqual([])
  })
})

describe('deletion', () => {
  it('waits for whom needs it, names them, and touches nothing on the host', async () => {
    await pass()
    lab.kube.put({ ...aMachine(), status: { hypervisor: 'kvm1' } } as never)
    lab.kube.markDeleted(hypervisors, { name: 'kvm1' })
    await pass()
    expect(readyOf(hypervisor())).toBe('False InUse')
    expect(messageOfReady()).toBe(
      'deletion waits for 1 VirtualMachine: team/web. To go on: delete the machines (kubectl get bvm -A --field-selector status.hypervisor=kvm1)',
    )
    expect(lab.registry.get('kvm1').connected).toBe(true)
    expect(lab.host.calls).toEqual([])
  })

  it('counts all that are in the way, names ten, and says what to do about each', async () => {
    await pass()
    for (let index = 0; index < 12; index++)
      lab.kube.put({ ...aMachine(`m${index + 10}`), status: { hypervisor: 'kvm1' } } as never)
    lab.kube.put(aSlot('s1', {}, { phase: 'Bound', consumerRef }))
    lab.kube.put(aSlot('s2'))
    lab.kube.put(aPool())
    lab.kube.markDeleted(hypervisors, { name: 'kvm1' })
    await pass()
    expect(messageOfReady()).toMatch(
      /^deletion waits for 12 VirtualMachines: team\/m10, .*team\/m19 and 2 more; 1 held Slot: s1 \(team\/web\); 1 StoragePool: default\. To go on: delete the machines .*, then delete the StoragePools$/,
    )
  })

  it('waits for a slot whose machine is not there any more, without asking to delete machines', async () => {
    await pass()
    lab.kube.put(aSlot('s1', {}, { phase: 'Releasing', consumerRef }))
    lab.kube.markDeleted(hypervisors, { name: 'kvm1' })
    await pass()
    expect(messageOfReady()).toBe(
      'deletion waits for 1 held Slot: s1 (team/web). To go on: the slots are given back once their machines are off',
    )
    lab.kube.put(aSlot('s1', {}, { phase: 'Free' }))
    await pass()
    expect(lab.kube.peek(hypervisors, { name: 'kvm1' })).toBeUndefined()
  })

  it('connects while it waits: its machines can only be removed over a connection', async () => {
    await pass()
    lab.kube.put({ ...aMachine(), status: { hypervisor: 'kvm1' } } as never)
    lab.kube.markDeleted(hypervisors, { name: 'kvm1' })
    await connections.close('kvm1')
    expect(lab.registry.get('kvm1').connected).toBe(false)
    await pass()
    expect(lab.registry.get('kvm1').connected).toBe(true)
  })

  it('lets go of the session and the object', async () => {
    await pass()
    lab.kube.markDeleted(hypervisors, { name: 'kvm1' })
    await pass()
    expect(lab.kube.peek(hypervisors, { name: 'kvm1' })).toBeUndefined()
    expect(lab.registry.get('kvm1').connected).toBe(false)
    expect(lab.host.calls).toEqual([])
  })
})
