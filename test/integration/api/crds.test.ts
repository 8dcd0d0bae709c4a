/** The CRDs on a real API server, by real kubectl: what gets in, what does not, and what people see. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { accepted, refused } from './api.ts'
import { fails, type Kubectl, succeeds } from './kubectl.ts'
import { changed, type Kind, least } from './manifests.ts'
import { type Plane, root, startPlane } from './plane.ts'
import { refusals, unknownFields } from './refusals.ts'

let plane: Plane
let kubectl: Kubectl
beforeAll(async () => {
  plane = await startPlane()
  kubectl = plane.kubectl
}, 120_000)
afterAll(() => plane.stop())

const kinds = Object.keys(least) as Kind[]
const dryRun = ['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f', '-']

test('the API server has nothing against the schemas', async () => {
  const { items } = JSON.parse(await succeeds(kubectl(['get', 'crd', '-o', 'json'])))
  const conditions = items.flatMap((crd: { status: { conditions: { type: string }[] } }) => crd.status.conditions)
  expect(items).toHaveLength(kinds.length)
  expect(conditions.filter(({ type }: { type: string }) => type === 'NonStructuralSchema')).toEqual([])
})

test('the samples get in, under strict validation, with client-side and with server-side apply', async () => {
  const samples = join(root, 'docs/samples')
  await succeeds(kubectl(['apply', '--validate=strict', '-f', samples]))
  const again = await succeeds(kubectl(['apply', '--server-side', '--force-conflicts', '-f', samples]))
  const files = (await readdir(samples)).filter((name) => name.endsWith('.yaml'))
  const texts = await Promise.all(files.map((name) => readFile(join(samples, name), 'utf8')))
  const declared = texts.join('\n').match(/^kind: /gm)
  expect(again.trim().split('\n')).toHaveLength(declared?.length ?? 0)
  await succeeds(kubectl(['delete', '-f', samples]))
})

test('the examples in the pages get in', async () => {
  const folder = join(root, 'docs/kinds')
  for (const name of await readdir(folder)) {
    const page = await readFile(join(folder, name), 'utf8')
    for (const [, example] of page.matchAll(/```yaml\n(.*?)```/gs)) {
      const manifest = changed(parse(example ?? ''), { 'metadata.namespace': 'default' })
      await succeeds(kubectl(dryRun, manifest))
    }
  }
})

describe.each(kinds)('%s', (kind) => {
  test('the least that it needs gets in', async () => {
    await succeeds(kubectl(dryRun, least[kind]))
  })

  test.each(refusals[kind].map((refusal) => [JSON.stringify(refusal.changes).slice(0, 120), refusal] as const))(
    'refuses %s',
    async (_, { changes, at, message }) => {
      const complaint = refused(await plane.api.create(changed(least[kind], changes), { dryRun: true }))
      expect(complaint).toContain(message)
      expect(complaint).toContain(`${at}: `)
      // The API server repeats scalars that it refuses: what may be secret must be refused by its parent.
      expect(complaint).not.toContain('hunter2')
    },
  )

  test('refuses fields that do not work yet, by name', async () => {
    const complaint = await fails(kubectl(dryRun, changed(least[kind], unknownFields[kind])))
    for (const path of Object.keys(unknownFields[kind])) expect(complaint).toContain(`unknown field "${path}"`)
  })
})

test('accepts a XAPI pool by its members, with pinned certificates, an SR, and its networks', async () => {
  const members = ['https://xcp1.example.org', 'https://10.0.0.2:8443/', 'https://[2001:db8::1]']
  const certificateFingerprints = [Array.from({ length: 32 }, () => '0F').join(':')]
  const pool = changed(least.Hypervisor, {
    'spec.libvirt': undefined,
    'spec.xapi': { members, certificateFingerprints },
    'spec.credentials': { secretRef: { name: 'pool' } },
  })
  accepted(await plane.api.create(pool, { dryRun: true }))
  accepted(await plane.api.create(changed(least.StoragePool, { 'spec.type': 'SR' }), { dryRun: true }))
  const attachments = [{ hypervisor: 'xcp', xapiNetwork: 'Pool-wide network associated with eth0' }]
  accepted(await plane.api.create(changed(least.Network, { 'spec.attachments': attachments }), { dryRun: true }))
})

test.each([
  'qemu:///system',
  'qemu+unix:///system',
  'qemu+unix:///system?socket=/run/libvirt/virtqemud-sock',
  'qemu:///system?socket=/tmp/a.b/libvirt-sock',
  'qemu+tls://[2001:db8::1]:16514/system',
  'qemu://kvm1.example.org/system',
  'xen+tls://xen1.example.org/system',
  'test:///default',
])('accepts the libvirt URI %s', async (uri) => {
  accepted(await plane.api.create(changed(least.Hypervisor, { 'spec.libvirt.uri': uri }), { dryRun: true }))
})

test('stores the defaults that depend on nothing, and no other', async () => {
  const stored = async (kind: Kind) => JSON.parse(await succeeds(kubectl(dryRun, least[kind]))).spec
  expect(await stored('VirtualMachine')).toEqual({
    ...(least.VirtualMachine['spec'] as object),
    shutdownMode: 'TrySoft',
    shutdownTimeout: '5m',
    onGuestShutdown: 'Stop',
    onCrash: 'Restart',
    placement: { priority: 0, whenFull: 'Wait' },
    bootstrap: { sshUser: 'root' },
    managementPolicy: 'Managed',
    deletionProtection: 'Disabled',
  })
  const apart = changed(least.VirtualMachine, { 'spec.placement.antiAffinity': [{ selector: {} }] })
  expect(JSON.parse(await succeeds(kubectl(dryRun, apart))).spec.placement.antiAffinity).toEqual([
    { selector: {}, scope: 'Host', strength: 'Required' },
  ])
  expect(await stored('Hypervisor')).toEqual({
    ...(least.Hypervisor['spec'] as object),
    scheduling: 'Open',
    limits: { concurrentOperations: 4, callTimeout: '30s' },
  })
  expect(await stored('StoragePool')).toMatchObject({ order: 0, reserve: '0' })
  expect(await stored('ClusterImage')).toMatchObject({
    architecture: 'x86_64',
    source: { http: { checksumPolicy: 'Required' } },
  })
})

describe('what people see', () => {
  test.each([
    ['bvm.spec.shutdownMode', ['Soft only asks', 'Default: TrySoft.', 'TrySoft\n', 'Hard']],
    ['bvm.status.startTime', ['seen to run under its present claim']],
    ['bvm.spec.networkInterfaces.macAddress', ['Absent: generated once and kept in status']],
    ['bhv.spec.limits.callTimeout', ['Deadline of a single call. Default: 30s.']],
    ['bslot.status.consumerRef', ['the one machine that holds the slot', '-required-']],
    ['bcimg.spec.source.http.checksum', ['sha256:…']],
    ['bsp.spec.order', ['lowest first', 'Default: 0.']],
  ])('kubectl explain %s reads like a manual', async (path, fragments) => {
    const text = (await succeeds(kubectl(['explain', path]))).replaceAll(/\n +/g, ' ')
    for (const fragment of fragments) expect(text).toContain(fragment.trim())
  })

  test('every kind is in the category berth', async () => {
    const listed = await succeeds(kubectl(['api-resources', '--categories=berth', '-o', 'name']))
    expect(listed.trim().split('\n').sort()).toEqual(
      [
        'addressleases',
        'clusterimages',
        'hypervisors',
        'images',
        'networks',
        'slots',
        'storagepools',
        'virtualmachines',
        'virtualmachinesizes',
      ].map((plural) => `${plural}.berth.dev`),
    )
  })

  test.each([
    [
      'bhv',
      'Hypervisor',
      ['NAME', 'DRIVER', 'READY', 'SLOTS', 'FREE', 'SCHEDULING', 'AGE', 'VERSION', 'URI', 'MESSAGE'],
    ],
    ['bslot', 'Slot', ['NAME', 'HYPERVISOR', 'PHASE', 'CONSUMER', 'CPUS', 'MEMORY', 'AGE', 'NAMESPACE', 'MESSAGE']],
    ['bsp', 'StoragePool', ['NAME', 'HYPERVISOR', 'TYPE', 'READY', 'CAPACITY', 'FREE', 'AGE', 'ORDER', 'MESSAGE']],
    ['bnet', 'Network', ['NAME', 'READY', 'SUBNET', 'USED', 'TOTAL', 'AGE', 'IPV6', 'MESSAGE']],
    ['blease', 'AddressLease', ['NAME', 'NETWORK', 'ADDRESS', 'MAC', 'CONSUMER', 'NAMESPACE', 'AGE', 'INTERFACE']],
    ['bsize', 'VirtualMachineSize', ['NAME', 'CPUS', 'MEMORY', 'STORAGE', 'AGE', 'DESCRIPTION']],
    [
      'bcimg',
      'ClusterImage',
      ['NAME', 'OS', 'ARCH', 'SIZE', 'STATE', 'PROGRESS', 'DESCRIPTION', 'AGE', 'USED', 'BY', 'MESSAGE'],
    ],
    [
      'bimg',
      'Image',
      ['NAME', 'OS', 'ARCH', 'SIZE', 'STATE', 'PROGRESS', 'DESCRIPTION', 'AGE', 'USED', 'BY', 'MESSAGE'],
    ],
    [
      'bvm',
      'VirtualMachine',
      ['NAME', 'POWER', 'READY', 'SLOT', 'IP', 'AGE', 'SIZE', 'IMAGE', 'HYPERVISOR', 'MESSAGE'],
    ],
  ] as const)('kubectl get %s -o wide', async (short, kind, columns) => {
    await succeeds(kubectl(['create', '-f', '-'], least[kind]))
    const [header] = (await succeeds(kubectl(['get', short, '-o', 'wide']))).split('\n')
    expect(header?.trim().split(/\s+/)).toEqual(columns)
    await succeeds(kubectl(['delete', '-f', '-'], least[kind]))
  })

  test('a running machine shows its state, and is found by field selectors', async () => {
    await succeeds(kubectl(['create', '-f', '-'], least.VirtualMachine))
    const status = {
      powerState: 'Running',
      slot: 'kvm1-small-1',
      hypervisor: 'kvm1',
      primaryAddress: '192.0.2.7',
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Running',
          message: 'runs',
          observedGeneration: 1,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    }
    await succeeds(
      kubectl(['patch', 'bvm', 'web', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]),
    )
    const line = await succeeds(kubectl(['get', 'bvm', '--no-headers']))
    expect(line.trim().split(/\s+/).slice(0, 5)).toEqual(['web', 'Running', 'True', 'kvm1-small-1', '192.0.2.7'])
    for (const selector of ['spec.size=small', 'status.powerState=Running', 'status.slot=kvm1-small-1']) {
      expect(await succeeds(kubectl(['get', 'bvm', '-o', 'name', '--field-selector', selector]))).toContain('web')
    }
    expect(await succeeds(kubectl(['get', 'bvm', '-o', 'name', '--field-selector', 'status.hypervisor=kvm2']))).toBe('')
    await succeeds(kubectl(['wait', 'bvm/web', '--for=condition=Ready', '--timeout=5s']))
    await succeeds(kubectl(['delete', 'bvm', 'web']))
  })
})
