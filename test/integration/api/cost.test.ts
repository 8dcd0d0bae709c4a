/**
 * CEL has two limits. The API server estimates the cost of the rules when it takes a CRD; the cost that really arises
 * counts for each object, and a schema can pass the first and fail the second. So the largest object must get in.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { kinds } from '../../../controller/api/kinds/all.ts'
import { hypervisorKind } from '../../../controller/api/kinds/hypervisor.ts'
import type { KindDefinition } from '../../../controller/api/schema/kind.ts'
import { crdOf } from '../../../hack/generate/crd.ts'
import { accepted } from './api.ts'
import { type Choices, largest, largestLabels, type Schema } from './largest.ts'
import { changed, type Kind, key, least } from './manifests.ts'
import { type Plane, startPlane } from './plane.ts'

let plane: Plane
beforeAll(async () => {
  plane = await startPlane()
}, 120_000)
afterAll(() => plane.stop())

const longAddress = '2001:0db8:1111:2222:3333:4444:5555:6666'
const longDomain = Array.from({ length: 4 }, () => 'a'.repeat(62)).join('.')
const pem = '-----BEGIN CERTIFICATE-----'
const image: Choices = {
  'spec.source.http.url': `https://images.example.org/${'a'.repeat(2000)}`,
  'spec.source.http.checksum': `sha512:${'0'.repeat(128)}`,
  'spec.source.http.checksumPolicy': 'Required',
  'spec.source.http.caBundle': pem.padEnd(65536, 'a'),
}

/** One side of each union, and strings of a form that the schema alone does not tell. */
const choices: Readonly<Record<Kind, Choices>> = {
  Hypervisor: {
    'spec.libvirt.uri': `qemu:///system?socket=/${'a'.repeat(1000)}`,
    'spec.xapi': undefined,
    'spec.credentials.secretRef': undefined,
    'spec.slots[].size': undefined,
    // With 64 labels for each of 64 sets, etcd says no (1.5 MiB) before any rule is too dear.
    'spec.slots[].labels': largestLabels(16),
  },
  Slot: { 'status.phase': 'Bound' },
  StoragePool: { 'spec.type': 'Directory', 'spec.uuid': undefined },
  Network: {
    'spec.attachments[].libvirtNetwork': undefined,
    'spec.attachments[].xapiNetwork': undefined,
    'spec.ipv4': {
      method: 'FromRanges',
      subnet: '255.255.255.0/24',
      gateway: '255.255.255.254',
      ranges: Array.from({ length: 16 }, () => ({ first: '255.255.255.100', last: '255.255.255.200' })),
    },
    'spec.ipv6': {
      method: 'FromRanges',
      subnet: `${longAddress.slice(0, -4)}0000/112`,
      gateway: longAddress,
      ranges: Array.from({ length: 16 }, () => ({ first: longAddress, last: longAddress })),
    },
    'spec.nameservers[]': longAddress,
    'spec.searchDomains[]': longDomain,
  },
  AddressLease: {
    'spec.address': undefined,
    'spec.macAddress': '52:54:00:ab:cd:ef',
  },
  VirtualMachineSize: {},
  ClusterImage: image,
  Image: image,
  VirtualMachine: {
    'spec.size': undefined,
    'spec.placement.slot': undefined,
    'spec.placement.slotSelector.matchExpressions[].operator': 'In',
    'spec.placement.tolerations[].operator': 'Equal',
    'spec.placement.antiAffinity[].selector.matchExpressions[].operator': 'In',
    // As many as there may be, but short: etcd's limit again, and rules count them, whatever they say.
    'spec.placement.antiAffinity[].selector.matchExpressions[].values[]': 'a',
    'spec.placement.antiAffinity[].selector.matchLabels': undefined,
    'spec.disks[].size': '1.0000000000000000000000000000Ti',
    'spec.expiresAfter': '087600h0000.000s',
    'spec.bootstrap.sshAuthorizedKeys[]': key.padEnd(4096, 'a'),
    'spec.bootstrap.cloudInit.userData': '#cloud-config\n'.padEnd(65536, 'a'),
    'spec.bootstrap.cloudInit.userDataSecretRef': undefined,
    'spec.bootstrap.cloudInit.networkData': 'a'.repeat(65536),
    'spec.bootstrap.cloudInit.networkDataSecretRef': undefined,
    'spec.networkInterfaces[].ipv4': {
      method: 'Static',
      addresses: Array.from({ length: 16 }, () => '255.255.255.100/24'),
      gateway: '255.255.255.254',
    },
    'spec.networkInterfaces[].ipv6': {
      method: 'Static',
      addresses: Array.from({ length: 16 }, () => `${longAddress}/64`),
      gateway: longAddress,
    },
    'spec.networkInterfaces[].nameservers[]': longAddress,
    'spec.networkInterfaces[].searchDomains[]': longDomain,
    'spec.networkInterfaces[].routes[]': { to: `${longAddress}/128`, via: longAddress, metric: 1 },
  },
}

/** The other side of Hypervisor's union. */
const xapiPool: Choices = {
  ...choices.Hypervisor,
  'spec.libvirt': undefined,
  'spec.xapi': {
    members: Array.from({ length: 64 }, (_, i) => `https://${'a'.repeat(60)}.${String(i).padEnd(231, 'b')}`),
    certificateFingerprints: Array.from({ length: 64 }, (_, i) => [i + 10, ...Array(31).fill('AB')].join(':')),
  },
}

const ofKind = (definition: KindDefinition) =>
  [definition.kind, definition, choices[definition.kind as Kind], 'a'] as const

test.each([...kinds.map(ofKind), ['Hypervisor of a XAPI pool', hypervisorKind, xapiPool, 'b'] as const])(
  'the largest %s gets in, with the largest status, and is replaced',
  async (_, definition, choices, letter) => {
    const kind = definition.kind as Kind
    const { spec, status } = propertiesOf(definition)
    const name = letter.repeat(definition.names.max)
    const object = changed(least[kind], { 'metadata.name': name, spec: largest(spec, 'spec', choices) })
    const made = accepted(await plane.api.create(object))
    if (status === undefined) {
      accepted(await plane.api.replace(made))
      return
    }
    const full = changed(made, { status: largest(status, 'status', choices) })
    const stored = accepted(await plane.api.replaceStatus(full))
    expect(stored['status']).toEqual(full['status'])
    // Transition rules have an old object to compare with now.
    accepted(await plane.api.replaceStatus(stored))
    accepted(await plane.api.replace(stored))
  },
  60_000,
)

function propertiesOf(definition: KindDefinition): { readonly spec: Schema; readonly status?: Schema } {
  const [version] = crdOf(definition).spec.versions
  if (version === undefined) throw new Error(`${definition.kind} has no version`)
  return version.schema.openAPIV3Schema.properties as unknown as { spec: Schema; status?: Schema }
}
