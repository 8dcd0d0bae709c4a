/** What may become of an object: rules that compare old and new, by the spec and by the status. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type API, accepted, refused } from './api.ts'
import { type Changes, changed, key, least, type Manifest } from './manifests.ts'
import { type Plane, startPlane } from './plane.ts'

let plane: Plane
let api: API
beforeAll(async () => {
  plane = await startPlane()
  api = plane.api
}, 120_000)
afterAll(() => plane.stop())

let count = 0
/** Makes an object under a name of its own, with this status. */
async function make(manifest: Manifest, status?: Changes): Promise<Manifest> {
  count++
  const made = accepted(await api.create(changed(manifest, { 'metadata.name': `made-${count}` })))
  return status === undefined ? made : accepted(await api.replaceStatus(changed(made, status)))
}

describe('the claim of a slot goes one way', () => {
  const claim = (uid: string) => ({ namespace: 'default', name: 'web', uid, since: '2026-01-01T00:00:00Z' })
  const status = (phase: string | undefined, uid?: string): Manifest => ({
    ...(phase === undefined ? {} : { phase }),
    ...(uid === undefined ? {} : { consumerRef: claim(uid) }),
  })
  const free = status('Free')
  const bound = status('Bound', 'a')
  const releasing = status('Releasing', 'a')
  const unavailable = status('Unavailable')

  /** A slot in this state, reached by the allowed way. */
  const slotIn = async (state: Manifest): Promise<Manifest> => {
    const slot = await make(least.Slot, { status: state['phase'] === 'Releasing' ? bound : state })
    return state['phase'] === 'Releasing' ? accepted(await api.replaceStatus({ ...slot, status: state })) : slot
  }

  test.each([
    ['Free is claimed', free, bound],
    ['Bound begins to be released', bound, releasing],
    ['Releasing becomes Free', releasing, free],
    ['Releasing becomes Unavailable, its hypervisor being away', releasing, unavailable],
    ['Free becomes Unavailable', free, unavailable],
    ['Unavailable becomes Free', unavailable, free],
    ['Bound stays, with new conditions', bound, { ...bound, observedGeneration: 1 }],
    ['Releasing stays', releasing, { ...releasing, observedGeneration: 1 }],
  ])('%s', async (_, from, to) => {
    accepted(await api.replaceStatus({ ...(await slotIn(from)), status: to }))
  })

  const taken = 'a claimed slot must be released before another machine claims it'
  const releasedFrom = 'a slot is released only from Releasing'
  const noWayBack = 'a slot that is being released cannot be bound again'
  const belongs = 'consumerRef belongs to phases Bound and Releasing, and to no other'
  test.each([
    ['Bound is not taken over', bound, status('Bound', 'b'), taken],
    ['Releasing is not taken over', releasing, status('Releasing', 'b'), taken],
    ['Releasing is not bound to another', releasing, status('Bound', 'b'), taken],
    ['Bound is not released at once', bound, free, releasedFrom],
    ['Bound does not become Unavailable', bound, unavailable, releasedFrom],
    ['Releasing has no way back', releasing, bound, noWayBack],
    ['Free has no consumer', free, status('Free', 'a'), belongs],
    ['Unavailable has no consumer', unavailable, status('Unavailable', 'a'), belongs],
    ['Bound has a consumer', free, status('Bound'), belongs],
    ['a claim has a phase', bound, status(undefined, 'a'), belongs],
    // From there it could be bound again.
    ['Releasing does not lose its phase', releasing, status(undefined, 'a'), belongs],
  ])('%s', async (_, from, to, message) => {
    expect(refused(await api.replaceStatus({ ...(await slotIn(from)), status: to }))).toContain(message)
  })

  test.each([
    ['removed', undefined],
    ['emptied', {}],
  ])('a status that is %s as a whole does not free a slot', async (_, to) => {
    const slot = await slotIn(bound)
    expect(refused(await api.replaceStatus(changed(slot, { status: to })))).toContain(releasedFrom)
  })

  test('null clears the consumer, as a merge patch writes it', async () => {
    const slot = await slotIn(releasing)
    const cleared = await api.replaceStatus({ ...slot, status: { phase: 'Free', consumerRef: null } })
    expect(accepted(cleared)['status']).toEqual({ phase: 'Free' })
  })

  test('a change of the spec passes, whoever holds the slot', async () => {
    for (const state of [bound, releasing]) {
      const slot = await slotIn(state)
      accepted(await api.replace(changed(slot, { 'spec.cpus': 8, 'spec.scheduling': 'Cordoned' })))
    }
  })

  test('of two who claim at once, one fails: the second has read an older version', async () => {
    const slot = await slotIn(free)
    accepted(await api.replaceStatus({ ...slot, status: bound }))
    expect((await api.replaceStatus({ ...slot, status: status('Bound', 'b') })).status).toBe(409)
  })
})

describe('what never changes', () => {
  test.each<[Manifest, Changes, Changes, string, string]>([
    [least.Slot, {}, { 'spec.hypervisor': 'kvm2' }, 'spec.hypervisor', 'hypervisor cannot be changed'],
    [least.StoragePool, {}, { 'spec.hypervisor': 'kvm2' }, 'spec.hypervisor', 'hypervisor cannot be changed'],
    [least.StoragePool, {}, { 'spec.poolName': 'a' }, 'spec.poolName', 'poolName cannot be changed, added or removed'],
    [
      changed(least.StoragePool, { 'spec.type': 'SR' }),
      {},
      { 'spec.uuid': '0c1f6f4e-6a2c-4a44-9a5e-6c3f0c1d2e3f' },
      'spec.uuid',
      'uuid cannot be changed, added or removed',
    ],
    [least.StoragePool, { 'spec.path': '/a' }, { 'spec.path': '/b' }, 'spec.path', 'path cannot be changed, added'],
    [
      changed(least.Hypervisor, { 'spec.credentials': { file: '/a' } }),
      {},
      { 'spec.libvirt': undefined, 'spec.xapi': { members: ['https://xcp1'] } },
      'spec',
      'libvirt and xapi cannot be exchanged: make a new Hypervisor',
    ],
    [
      least.StoragePool,
      { 'spec.path': '/a' },
      { 'spec.path': undefined },
      'spec.path',
      'path cannot be changed, added',
    ],
  ])('%#', async (manifest, before, after, at, message) => {
    const complaint = refused(await api.replace(changed(await make(changed(manifest, before)), after)))
    expect(complaint).toContain(`${at}: `)
    expect(complaint).toContain(message)
  })

  test('all else may: order and reserve of a pool, slots and limits of a hypervisor', async () => {
    accepted(await api.replace(changed(await make(least.StoragePool), { 'spec.order': 5, 'spec.reserve': '1Gi' })))
    const hypervisor = await make(least.Hypervisor)
    const slots = [{ name: 'a', count: 1, size: 's' }]
    accepted(
      await api.replace(changed(hypervisor, { 'spec.slots': slots, 'spec.libvirt.uri': 'qemu+tls://kvm2/system' })),
    )
  })
})

describe.each([least.Image, least.ClusterImage])('an image', (image) => {
  const digest = 'a'.repeat(64)
  const changes: [Changes, string, string][] = [
    [
      { 'spec.source.http.url': 'https://example.org/b' },
      'spec.source',
      'source cannot be changed once content is stored: make a new image',
    ],
    [{ 'spec.architecture': 'aarch64' }, 'spec.architecture', 'architecture cannot be changed once content is stored'],
  ]

  test.each(changes)('whose content is stored keeps %j', async (change, at, message) => {
    const complaint = refused(await api.replace(changed(await make(image, { status: { digest } }), change)))
    expect(complaint).toContain(`${at}: `)
    expect(complaint).toContain(message)
  })

  test.each(changes)('whose content is not stored may change %j: a wrong URL can be mended', async (change) => {
    accepted(await api.replace(changed(await make(image), change)))
    accepted(await api.replace(changed(await make(image, { status: { state: 'Failed' } }), change)))
  })

  test('may be described anew at any time', async () => {
    accepted(await api.replace(changed(await make(image, { status: { digest } }), { 'spec.description': 'b' })))
  })
})

describe('a machine', () => {
  const machine = changed(least.VirtualMachine, {
    'spec.disks': [{ name: 'root', size: '10Gi' }],
    'spec.networkInterfaces': [{ name: 'eth0' }],
    'spec.bootstrap': { sshAuthorizedKeys: [key] },
  })
  const inline = changed(machine, { 'spec.size': undefined, 'spec.resources': { cpus: 2, memory: '2Gi' } })
  const made = {
    'status.image': { kind: 'Image', name: 'debian-12', uid: 'a', digest: 'a'.repeat(64), format: 'QCOW2' },
  }
  const booted = { ...made, 'status.firstBootTime': '2026-01-01T00:00:00Z' }
  const inThisVersion = (field: string) =>
    `${field} cannot be changed in this version once the machine is made: delete it and make a new one`

  const changes: [Manifest, Changes, string, string][] = [
    [
      machine,
      { 'spec.image.name': 'debian-13' },
      'image',
      'image cannot be changed once the root disk is made: make a new machine',
    ],
    [machine, { 'spec.image.kind': 'Image' }, 'image', 'image cannot be changed once the root disk is made'],
    [machine, { 'spec.bootstrap.sshAuthorizedKeys': [] }, 'bootstrap', inThisVersion('bootstrap')],
    [machine, { 'spec.bootstrap': undefined }, 'bootstrap', inThisVersion('bootstrap')],
  ]

  test.each(changes)('%# that is made keeps %j', async (manifest, change, field, message) => {
    const complaint = refused(await api.replace(changed(await make(manifest, made), change)))
    expect(complaint).toContain(`spec.${field}: `)
    expect(complaint).toContain(message)
  })

  test.each([
    [machine, { 'spec.size': 'large' }],
    [machine, { 'spec.size': undefined, 'spec.resources': { cpus: 2, memory: '2Gi' } }],
    [inline, { 'spec.resources.cpus': 4 }],
    [machine, { 'spec.networkInterfaces': [] }],
    [machine, { 'spec.networkInterfaces': undefined }],
    [machine, { 'spec.networkInterfaces': [{ name: 'eth0', network: 'dmz' }, { name: 'eth1' }] }],
  ])('that is made may be given another size, and other interfaces: %#', async (manifest, change) => {
    accepted(await api.replace(changed(await make(manifest, made), change)))
  })

  const disks = [
    { name: 'root', size: '10Gi' },
    { name: 'data', size: '10Gi', storagePool: 'fast' },
    { name: 'tools', source: { image: { name: 'tools' } } },
  ]
  const withDisks = changed(machine, { 'spec.disks': disks })

  test.each<[string, Changes]>([
    ['more disks', { 'spec.disks': [...disks, { name: 'logs', size: '1Gi' }] }],
    ['fewer', { 'spec.disks': [disks[2]] }],
    ['none', { 'spec.disks': undefined }],
    ['larger ones', { 'spec.disks.0.size': '10.5Gi', 'spec.disks.1.size': '11G' }],
    ['the same size in other words', { 'spec.disks.1.size': '10240Mi' }],
    ['a size where there was none', { 'spec.disks.2.size': '1Gi' }],
    ['another policy', { 'spec.disks.1.deletionPolicy': 'Retain' }],
    ['another order', { 'spec.disks': disks.toReversed() }],
  ])('that is made may be given %s', async (_, change) => {
    accepted(await api.replace(changed(await make(withDisks, made), change)))
  })

  test.each<[string, Changes, string, string]>([
    ['smaller disk', { 'spec.disks.1.size': '10G' }, 'spec.disks[1].size', 'a disk can grow, never shrink'],
    ['smaller root', { 'spec.disks.0.size': '9Gi' }, 'spec.disks[0].size', 'a disk can grow, never shrink'],
    [
      'root without its size',
      { 'spec.disks.0.size': undefined },
      'spec.disks[0].size',
      'a disk can grow, never shrink',
    ],
    ['other pool', { 'spec.disks.1.storagePool': 'slow' }, 'spec.disks[1].storagePool', 'storagePool of a disk cannot'],
    [
      'pool less',
      { 'spec.disks.1.storagePool': undefined },
      'spec.disks[1].storagePool',
      'storagePool of a disk cannot',
    ],
    ['pool more', { 'spec.disks.2.storagePool': 'fast' }, 'spec.disks[2].storagePool', 'storagePool of a disk cannot'],
    ['other source', { 'spec.disks.2.source.image.name': 'b' }, 'spec.disks[2].source', 'source of a disk cannot'],
    [
      'source less',
      { 'spec.disks.2.source': undefined, 'spec.disks.2.size': '1Gi' },
      'spec.disks[2].source',
      'source of a disk cannot',
    ],
    [
      'source more',
      { 'spec.disks.1.source': { image: { name: 'a' } } },
      'spec.disks[1].source',
      'source of a disk cannot',
    ],
  ])('is refused one %s, made or not', async (_, change, field, message) => {
    for (const status of [made, { 'status.powerState': 'Stopped' }]) {
      const complaint = refused(await api.replace(changed(await make(withDisks, status), change)))
      expect(complaint).toContain(`${field}: `)
      expect(complaint).toContain(message)
    }
  })

  test.each(['Suspended', 'Paused'])('to be %s is asked for no restart; an old token may stay', async (powerState) => {
    const asked = { 'spec.restart': { token: 'new' }, 'spec.powerState': powerState }
    const complaint = refused(await api.replace(changed(await make(machine), asked)))
    expect(complaint).toContain('spec.restart.token: ')
    expect(complaint).toContain('a restart needs powerState Running')
    const restarted = await make(changed(machine, { 'spec.restart': { token: 'old' } }))
    accepted(await api.replace(changed(restarted, { 'spec.powerState': powerState })))
  })

  test.each(changes)('%# that waits for a slot may change %j', async (manifest, change) => {
    accepted(await api.replace(changed(await make(manifest, { 'status.powerState': 'Stopped' }), change)))
  })

  test('that has booted says why its bootstrap is past, and says it once', async () => {
    const change = { 'spec.bootstrap.sshUser': 'alice' }
    const complaint = refused(await api.replace(changed(await make(machine, booted), change)))
    expect(complaint).toContain(
      'bootstrap is read at first boot, which is past: change it inside the guest, or make a new machine',
    )
    expect(complaint).not.toContain('in this version')
  })

  const fixed = { addresses: ['192.0.2.10/24'] }
  test.each<[object[] | undefined, object[]]>([
    [[{ name: 'eth0' }], [{ name: 'eth0', ipv4: fixed }]],
    [[{ name: 'eth0', ipv4: fixed }], [{ name: 'eth0' }]],
    [[{ name: 'eth0', ipv4: fixed }], [{ name: 'eth0', ipv4: { addresses: ['192.0.2.11/24'] } }]],
    [[{ name: 'eth0' }], [{ name: 'eth0', nameservers: ['192.0.2.53'] }]],
    [[{ name: 'eth0' }], [{ name: 'eth0', routes: [{ to: '10.0.0.0/8', via: '192.0.2.1' }] }]],
    // The one that there is by default.
    [undefined, [{ name: 'eth0', ipv6: { method: 'Disabled' } }]],
  ])('that has booted, with interfaces %j, is not addressed as %j: its guest was told', async (before, after) => {
    const given = changed(least.VirtualMachine, { 'spec.networkInterfaces': before })
    const booting = await make(given, booted)
    const complaint = refused(await api.replace(changed(booting, { 'spec.networkInterfaces': after })))
    expect(complaint).toContain('spec.networkInterfaces: ')
    expect(complaint).toContain('routes are told to the guest at first boot, which is past')
  })

  test('that is made may change its power, how it is stopped, where it goes next, and its labels', async () => {
    const change = {
      'spec.powerState': 'Stopped',
      'spec.shutdownMode': 'Hard',
      'spec.shutdownTimeout': '1s',
      'spec.placement.slot': 'kvm1-small-2',
      'metadata.labels': { app: 'web' },
    }
    accepted(await api.replace(changed(await make(machine, booted), change)))
  })

  test('that is made takes the same amount spelt otherwise: 2Gi is 2048Mi', async () => {
    accepted(await api.replace(changed(await make(inline, made), { 'spec.resources.memory': '2048Mi' })))
  })

  test('that is made takes the same manifest again, its defaults left out', async () => {
    const object = await make(machine, booted)
    accepted(await api.replace({ ...object, spec: machine['spec'] }))
  })
})
