/** What must not get in: for each rule a manifest that breaks it alone, and what the user is told. */
import { type Changes, type Kind, key } from './manifests.ts'

interface Refusal {
  readonly changes: Changes
  /** Field that the message names. */
  readonly at: string
  readonly message: string
}

const refusal = (changes: Changes, at: string, message: string): Refusal => ({ changes, at, message })

const bytes = 'must be an amount of bytes such as 2Gi'
const label = 'must be lower-case letters, digits and hyphens, starting and ending'
const dotted = 'must be lower-case letters, digits, hyphens and dots, starting and ending'
const selector = 'spec.placement.slotSelector'

const xapi = { members: ['https://xcp1.example.org', 'https://10.0.0.2:8443/', 'https://[2001:db8::1]'] }
const sr = '0c1f6f4e-6a2c-4a44-9a5e-6c3f0c1d2e3f'
const login = { 'spec.credentials': { secretRef: { name: 'pool' } } }
const fingerprint = Array.from({ length: 32 }, () => 'AB').join(':')

const images: readonly Refusal[] = [
  refusal({ 'metadata.name': 'a_b' }, 'metadata.name', 'metadata.name'),
  refusal({ 'metadata.name': 'a'.repeat(64) }, 'metadata.name', 'at most 63 characters'),
  refusal({ 'spec.source': undefined }, 'spec.source', 'Required value'),
  refusal({ 'spec.source.http': undefined }, 'spec.source.http', 'Required value'),
  refusal({ 'spec.source.http.url': 'ftp://example.org/a' }, 'spec.source.http.url', 'must be an http or https URL'),
  refusal({ 'spec.source.http.url': 'a.qcow2' }, 'spec.source.http.url', 'must be an http or https URL'),
  refusal(
    { 'spec.source.http.url': 'https://u:hunter2@example.org/a' },
    'spec.source.http.url',
    'must not hold a user name or password',
  ),
  refusal(
    { 'spec.source.http.checksum': undefined },
    'spec.source.http.checksum',
    'exactly one of checksum, or checksumPolicy: Waived',
  ),
  refusal(
    { 'spec.source.http.checksumPolicy': 'Waived' },
    'spec.source.http.checksum',
    'exactly one of checksum, or checksumPolicy: Waived',
  ),
  refusal(
    { 'spec.source.http.checksum': `sha256:${'A'.repeat(64)}` },
    'spec.source.http.checksum',
    'must be sha256: with 64 or sha512: with 128 hexadecimal digits in lower case',
  ),
  refusal({ 'spec.source.http.checksum': 'md5:0' }, 'spec.source.http.checksum', 'must be sha256:'),
  refusal({ 'spec.source.http.caBundle': 'hello' }, 'spec.source.http.caBundle', 'must be certificates in PEM format'),
  refusal(
    { 'spec.source.http.caBundle': '-----BEGIN CERTIFICATE-----\nhunter2\n-----BEGIN PRIVATE KEY-----' },
    'spec.source.http.caBundle',
    'without keys',
  ),
  refusal({ 'spec.format': 'VMDK' }, 'spec.format', 'supported values: "QCOW2", "Raw"'),
  refusal({ 'spec.os': {} }, 'spec.os', 'at least one of id, family, name, version must be set'),
  refusal({ 'spec.architecture': 'm68k' }, 'spec.architecture', 'Unsupported value'),
  refusal({ 'spec.minimum.memory': '0' }, 'spec.minimum.memory', `${bytes}`),
  refusal({ 'spec.description': 'a'.repeat(1025) }, 'spec.description', 'may not be more than 1024'),
]

const range = (first: string, last: string) => ({ first, last })
const withInterface = (fields: object): Changes => ({ 'spec.networkInterfaces': [{ name: 'eth0', ...fields }] })

export const refusals: Readonly<Record<Kind, readonly Refusal[]>> = {
  Hypervisor: [
    refusal({ 'metadata.name': 'a'.repeat(41) }, 'metadata.name', 'at most 40 characters'),
    refusal({ 'metadata.name': 'kvm1.example.org' }, 'metadata.name', 'lower-case letters, digits and hyphens'),
    refusal({ spec: undefined }, 'spec', 'Required value'),
    refusal({ 'spec.libvirt': undefined }, 'spec', 'exactly one of libvirt, xapi must be set'),
    refusal({ 'spec.xapi': xapi, ...login }, 'spec', 'exactly one of libvirt, xapi must be set'),
    refusal({ 'spec.libvirt': undefined, 'spec.xapi': xapi }, 'spec.credentials', 'a XAPI pool needs credentials'),
    ...[
      'http://xcp1',
      'xcp1',
      'https://xcp1/path',
      'https://xcp1?x=1',
      'https://xcp1#x',
      'https:///',
      'https://xcp 1',
      'https://xcp1:port',
    ].map((member) =>
      refusal(
        { 'spec.libvirt': undefined, 'spec.xapi': { members: [...xapi.members, member] }, ...login },
        'spec.xapi.members',
        'must be https URLs of hosts alone, for example https://xcp1.example.org',
      ),
    ),
    refusal(
      { 'spec.libvirt': undefined, 'spec.xapi': { members: ['https://root:hunter2@xcp1'] }, ...login },
      'spec.xapi.members',
      'must not hold a password: use credentials',
    ),
    refusal({ 'spec.libvirt': undefined, 'spec.xapi': { members: [] }, ...login }, 'spec.xapi.members', 'at least 1'),
    ...['AB', fingerprint.toLowerCase(), fingerprint.replaceAll(':', ''), `${fingerprint}:AB`].map((wrong) =>
      refusal(
        {
          'spec.libvirt': undefined,
          'spec.xapi': { ...xapi, certificateFingerprints: [wrong] },
          ...login,
        },
        'spec.xapi.certificateFingerprints[0]',
        wrong.length > 95 ? 'may not be more than 95' : 'must be a SHA-256 fingerprint: 32 bytes in hexadecimal',
      ),
    ),
    refusal(
      {
        'spec.libvirt': undefined,
        'spec.xapi': { ...xapi, certificateFingerprints: [fingerprint, fingerprint] },
        ...login,
      },
      'spec.xapi.certificateFingerprints[1]',
      'Duplicate value',
    ),
    refusal({ 'spec.libvirt': {} }, 'spec.libvirt.uri', 'Required value'),
    ...['lxc:///system', 'qemu+libssh://kvm1/system', 'kvm1', 'qemu+tls://kvm1/system?no_verify=1', 'qemu:///a b'].map(
      (uri) => refusal({ 'spec.libvirt.uri': uri }, 'spec.libvirt.uri', 'must be a libvirt URI of qemu, xen or test'),
    ),
    ...['socket=relative', 'socket=/run/a%2fb', 'socket=/run/a&mode=direct'].map((parameter) =>
      refusal({ 'spec.libvirt.uri': `qemu:///system?${parameter}` }, 'spec.libvirt.uri', 'must be a libvirt URI'),
    ),
    ...['qemu+tls://kvm1/system', 'qemu://kvm1/system', 'qemu+tls:///system'].map((uri) =>
      refusal(
        { 'spec.libvirt.uri': `${uri}?socket=/run/a` },
        'spec.libvirt.uri',
        'socket is for local transports and ssh only, for example qemu+unix:///system?socket=/run/libvirt/virtqemud-sock',
      ),
    ),
    refusal(
      { 'spec.libvirt.uri': 'qemu+tls://root:hunter2@kvm1/system' },
      'spec.libvirt.uri',
      'must not hold a password: use credentials',
    ),
    refusal(
      { 'spec.libvirt.uri': 'qemu+ssh://root@kvm1/system?socket=/run/a' },
      'spec.libvirt.knownHosts',
      'ssh needs knownHosts',
    ),
    ...['xen:///system', 'xen+tls://xen1/system'].map((uri) =>
      refusal(
        { 'spec.libvirt.uri': uri, 'spec.libvirt.domainType': 'KVM' },
        'spec.libvirt.domainType',
        'is for hosts with QEMU: Xen has modes, which images ask for',
      ),
    ),
    refusal({ 'spec.libvirt.domainType': 'Xen' }, 'spec.libvirt.domainType', 'supported values: "KVM", "QEMU"'),
    refusal({ 'spec.credentials': {} }, 'spec.credentials', 'exactly one of secretRef, file must be set'),
    refusal(
      { 'spec.credentials': { secretRef: { name: 'a' }, file: '/a' } },
      'spec.credentials',
      'exactly one of secretRef, file must be set',
    ),
    refusal({ 'spec.credentials': { secretRef: { name: 'A' } } }, 'spec.credentials.secretRef.name', dotted),
    refusal({ 'spec.credentials': { file: 'relative' } }, 'spec.credentials.file', 'must be an absolute path'),
    refusal({ 'spec.credentials': { file: '/a/../b' } }, 'spec.credentials.file', "must not contain '..'"),
    refusal({ 'spec.slots': [{ name: 'a' }] }, 'spec.slots[0].count', 'Required value'),
    refusal({ 'spec.slots': [{ name: 'a', count: 1 }] }, 'spec.slots[0]', 'exactly one of size, resources must be set'),
    refusal(
      { 'spec.slots': [{ name: 'a', count: 1, size: 's', resources: { cpus: 1, memory: '1Gi' } }] },
      'spec.slots[0]',
      'exactly one of size, resources must be set',
    ),
    refusal(
      { 'spec.slots': [{ name: 'a', count: 1025, size: 's' }] },
      'spec.slots[0].count',
      'less than or equal to 1024',
    ),
    refusal({ 'spec.slots': [{ name: 'a'.repeat(17), count: 1, size: 's' }] }, 'spec.slots[0].name', 'more than 16'),
    refusal({ 'spec.slots': [{ name: 'a_b', count: 1, size: 's' }] }, 'spec.slots[0].name', label),
    refusal(
      { 'spec.slots': [0, 1].map(() => ({ name: 'a', count: 1, size: 's' })) },
      'spec.slots[1]',
      'Duplicate value',
    ),
    refusal(
      { 'spec.slots': [{ name: 'a', count: 1, resources: { cpus: 1, memory: '15Mi' } }] },
      'spec.slots[0].resources.memory',
      'at least 16Mi',
    ),
    refusal(
      { 'spec.slots': [{ name: 'a', count: 1, size: 's', labels: { 'berth.dev/host': 'a' } }] },
      'spec.slots[0].labels',
      'labels of berth.dev are set by Berth',
    ),
    refusal(
      { 'spec.slots': [{ name: 'a', count: 1, size: 's', labels: { 'a b': 'c' } }] },
      'spec.slots[0].labels',
      'keys must be label keys such as rack or example.org/rack',
    ),
    refusal(
      { 'spec.slots': [{ name: 'a', count: 1, size: 's', labels: { rack: 'a b' } }] },
      'spec.slots[0].labels',
      'values must be label values',
    ),
    refusal({ 'spec.scheduling': 'Closed' }, 'spec.scheduling', 'supported values: "Open", "Cordoned", "Draining"'),
    refusal(
      { 'spec.limits.concurrentOperations': 0 },
      'spec.limits.concurrentOperations',
      'greater than or equal to 1',
    ),
    ...['0s', '11m', '1d', '30', '999999h', '1h1h1h1h1h'].map((timeout) =>
      refusal(
        { 'spec.limits.callTimeout': timeout },
        'spec.limits.callTimeout',
        'must be a duration such as 90s or 5m',
      ),
    ),
  ],

  Slot: [
    refusal({ 'metadata.name': 'a.b' }, 'metadata.name', 'lower-case letters, digits and hyphens'),
    refusal({ 'spec.hypervisor': undefined }, 'spec.hypervisor', 'Required value'),
    refusal({ 'spec.hypervisor': 'kvm1.example.org' }, 'spec.hypervisor', label),
    refusal({ 'spec.cpus': 0 }, 'spec.cpus', 'greater than or equal to 1'),
    refusal({ 'spec.cpus': 1.5 }, 'spec.cpus', 'must be of type integer'),
    refusal({ 'spec.memory': '2GB' }, 'spec.memory', bytes),
    refusal({ 'spec.memory': '100m' }, 'spec.memory', bytes),
    refusal({ 'spec.memory': '8Pi' }, 'spec.memory', 'less than 8Pi'),
    refusal({ 'spec.memory': 2 }, 'spec.memory', 'must be of type string'),
    refusal({ 'spec.taints': [{ key: 'a', effect: 'NoSchedule' }] }, 'spec.taints[0].effect', 'Unsupported value'),
    refusal({ 'spec.scheduling': 'Closed' }, 'spec.scheduling', 'Unsupported value'),
    refusal(
      { 'spec.taints': [0, 1].map(() => ({ key: 'a', effect: 'NoPlacement' })) },
      'spec.taints[1]',
      'Duplicate value',
    ),
  ],

  StoragePool: [
    refusal({ 'spec.hypervisor': undefined }, 'spec.hypervisor', 'Required value'),
    refusal({ 'spec.type': 'NFS' }, 'spec.type', 'supported values: "Directory", "SR"'),
    refusal({ 'spec.type': 'SR', 'spec.path': '/a' }, 'spec.path', 'path is for type Directory only'),
    refusal({ 'spec.uuid': sr }, 'spec.uuid', 'uuid is for type SR'),
    refusal({ 'spec.type': 'SR', 'spec.uuid': 'a' }, 'spec.uuid', 'must be a UUID in lower case'),
    refusal(
      { 'spec.type': 'SR', 'spec.uuid': sr, 'spec.poolName': 'a' },
      'spec',
      'only one of poolName, uuid may be set',
    ),
    refusal({ 'spec.poolName': '' }, 'spec.poolName', 'at least 1'),
    refusal({ 'spec.path': 'disks' }, 'spec.path', 'must be an absolute path'),
    refusal({ 'spec.path': '/var/..' }, 'spec.path', "must not contain '..'"),
    refusal({ 'spec.order': 1001 }, 'spec.order', 'less than or equal to 1000'),
    refusal({ 'spec.reserve': '-1Gi' }, 'spec.reserve', bytes),
  ],

  Network: [
    refusal({ 'spec.attachments': undefined }, 'spec.attachments', 'Required value'),
    refusal({ 'spec.attachments': [] }, 'spec.attachments', 'at least 1'),
    refusal(
      { 'spec.attachments': [{ hypervisor: 'kvm1' }] },
      'spec.attachments[0]',
      'exactly one of bridge, libvirtNetwork, xapiNetwork must be set',
    ),
    ...[
      { bridge: 'br0', libvirtNetwork: 'default' },
      { bridge: 'br0', xapiNetwork: 'Pool-wide network' },
      { libvirtNetwork: 'default', xapiNetwork: 'Pool-wide network' },
    ].map((both) =>
      refusal(
        { 'spec.attachments': [{ hypervisor: 'kvm1', ...both }] },
        'spec.attachments[0]',
        'exactly one of bridge, libvirtNetwork, xapiNetwork must be set',
      ),
    ),
    refusal(
      { 'spec.attachments': [{ hypervisor: 'kvm1', xapiNetwork: '' }] },
      'spec.attachments[0].xapiNetwork',
      'at least 1',
    ),
    refusal(
      { 'spec.attachments.0.hypervisor': 'kvm*' },
      'spec.attachments[0].hypervisor',
      'must be the name of a Hypervisor, or *',
    ),
    refusal({ 'spec.attachments.0.bridge': 'br 0' }, 'spec.attachments[0].bridge', 'must be the name of a bridge'),
    refusal({ 'spec.attachments.0.bridge': 'a'.repeat(16) }, 'spec.attachments[0].bridge', 'may not be more than 15'),
    refusal(
      { 'spec.attachments': [0, 1].map(() => ({ hypervisor: '*', bridge: 'br0' })) },
      'spec.attachments[1]',
      'Duplicate value',
    ),
    refusal(
      { 'spec.ipv4': { method: 'FromRanges', subnet: '192.0.2.0/24' } },
      'spec.ipv4.ranges',
      'FromRanges needs subnet and ranges',
    ),
    refusal(
      { 'spec.ipv4': { ranges: [range('192.0.2.10', '192.0.2.20')] } },
      'spec.ipv4.subnet',
      'ranges need a subnet',
    ),
    ...[range('192.0.2.10', '192.0.3.1'), range('192.0.1.255', '192.0.2.20')].map((outside) =>
      refusal(
        { 'spec.ipv4': { subnet: '192.0.2.0/24', ranges: [outside] } },
        'spec.ipv4.ranges',
        'ranges must lie within subnet',
      ),
    ),
    ...['192.0.2.0', '192.0.2.10/24', '2001:db8::/64', '192.0.2.0/33'].map((subnet) =>
      refusal({ 'spec.ipv4': { subnet } }, 'spec.ipv4.subnet', 'must be an IPv4 network with its prefix length'),
    ),
    refusal({ 'spec.ipv6': { subnet: '192.0.2.0/24' } }, 'spec.ipv6.subnet', 'must be an IPv6 network'),
    refusal({ 'spec.ipv4': { gateway: '2001:db8::1' } }, 'spec.ipv4.gateway', 'must be an IPv4 address'),
    refusal(
      { 'spec.ipv4': { subnet: '192.0.2.0/24', ranges: [range('192.0.2.x', '192.0.2.20')] } },
      'spec.ipv4.ranges[0].first',
      'must be an IPv4 address',
    ),
    refusal(
      { 'spec.ipv4': { method: 'Automatic' } },
      'spec.ipv4.method',
      'supported values: "DHCP", "FromRanges", "Disabled"',
    ),
    refusal({ 'spec.nameservers': ['dns.example.org'] }, 'spec.nameservers[0]', 'must be an IPv4 or IPv6 address'),
    refusal({ 'spec.searchDomains': ['example_org'] }, 'spec.searchDomains[0]', 'must be a domain name in lower case'),
  ],

  AddressLease: [
    refusal({ 'spec.network': undefined }, 'spec.network', 'Required value'),
    refusal({ 'spec.address': undefined }, 'spec', 'exactly one of address, macAddress must be set'),
    refusal({ 'spec.macAddress': '52:54:00:12:34:56' }, 'spec', 'exactly one of address, macAddress must be set'),
    ...['192.0.2', '2001:DB8::1', '2001:db8:0:0:0:0:0:1'].map((address) =>
      refusal({ 'spec.address': address }, 'spec.address', 'must be an IPv4 or IPv6 address in its canonical form'),
    ),
    ...['52:54:00:12:34:5G', '52:54:00:12:34:AB', '53:54:00:12:34:56'].map((macAddress) =>
      refusal(
        { 'spec.address': undefined, 'spec.macAddress': macAddress },
        'spec.macAddress',
        'must be a unicast MAC address in lower case',
      ),
    ),
    refusal({ 'spec.consumerRef.uid': undefined }, 'spec.consumerRef.uid', 'Required value'),
  ],

  VirtualMachineSize: [
    refusal({ 'spec.maxCpus': 1 }, 'spec.maxCpus', 'maxCpus must not be less than cpus'),
    refusal({ 'spec.maxMemory': '128Mi' }, 'spec.maxMemory', 'maxMemory must not be less than memory'),
    refusal({ 'metadata.name': 'Small' }, 'metadata.name', 'metadata.name'),
    refusal({ 'spec.cpus': 1025 }, 'spec.cpus', 'less than or equal to 1024'),
    refusal({ 'spec.memory': undefined }, 'spec.memory', 'Required value'),
    refusal({ 'spec.memory': '16M' }, 'spec.memory', 'at least 16Mi'),
    refusal({ 'spec.storage': '0' }, 'spec.storage', 'at least 1Mi'),
  ],

  ClusterImage: images,
  Image: images,

  VirtualMachine: [
    refusal({ 'metadata.name': 'web.example' }, 'metadata.name', 'lower-case letters, digits and hyphens'),
    refusal({ 'metadata.name': 'a'.repeat(64) }, 'metadata.name', 'at most 63 characters'),
    refusal({ 'spec.size': undefined }, 'spec', 'exactly one of size, resources must be set'),
    refusal({ 'spec.resources': { cpus: 1, memory: '1Gi' } }, 'spec', 'exactly one of size, resources must be set'),
    refusal({ 'spec.size': 'Small' }, 'spec.size', dotted),
    refusal({ 'spec.size': undefined, 'spec.resources': { cpus: 1 } }, 'spec.resources.memory', 'Required value'),
    refusal(
      { 'spec.size': undefined, 'spec.resources': { cpus: 2, memory: '1Gi', maxCpus: 1 } },
      'spec.resources.maxCpus',
      'maxCpus must not be less than cpus',
    ),
    refusal(
      { 'spec.size': undefined, 'spec.resources': { cpus: 1, memory: '1Mi' } },
      'spec.resources.memory',
      'at least 16Mi',
    ),
    refusal({ 'spec.image': undefined }, 'spec.image', 'Required value'),
    refusal({ 'spec.image': { kind: 'ClusterImage' } }, 'spec.image.name', 'Required value'),
    refusal({ 'spec.image.kind': 'Template' }, 'spec.image.kind', 'supported values: "Image", "ClusterImage"'),
    refusal(
      { 'spec.powerState': 'Hibernated' },
      'spec.powerState',
      'supported values: "Running", "Stopped", "Suspended", "Paused"',
    ),
    refusal({ 'spec.restart': { mode: 'Warm' } }, 'spec.restart.token', 'Required value'),
    refusal({ 'spec.restart': { token: '' } }, 'spec.restart.token', 'at least 1'),
    refusal({ 'spec.restart': { token: 'at noon' } }, 'spec.restart.token', 'without spaces'),
    refusal({ 'spec.restart': { token: 'a', mode: 'Hot' } }, 'spec.restart.mode', 'supported values: "Warm", "Cold"'),
    refusal({ 'spec.onCrash': 'Ignore' }, 'spec.onCrash', 'supported values: "Stop", "Restart"'),
    refusal({ 'spec.onGuestShutdown': 'Ignore' }, 'spec.onGuestShutdown', 'supported values: "Stop", "Restart"'),
    refusal({ 'spec.shutdownMode': 'Rude' }, 'spec.shutdownMode', 'Unsupported value'),
    refusal({ 'spec.shutdownTimeout': '2h' }, 'spec.shutdownTimeout', 'from 1s to 1h'),
    refusal(
      { 'spec.placement': { slot: 'a', slotSelector: {} } },
      'spec.placement',
      'only one of slot, slotSelector may be set',
    ),
    refusal({ 'spec.placement.slot': 'a.b' }, 'spec.placement.slot', label),
    ...[
      { operator: 'In', key: 'a' },
      { operator: 'NotIn', key: 'a', values: [] },
      { operator: 'Exists', key: 'a', values: ['b'] },
    ].map((requirement) =>
      refusal(
        { [`${selector}.matchExpressions`]: [requirement] },
        `${selector}.matchExpressions[0].values`,
        'values is for In and NotIn only, and required there',
      ),
    ),
    ...[{}, { value: 'a' }, { operator: 'Exists', value: 'a' }].map((toleration) =>
      refusal(
        { 'spec.placement.tolerations': [toleration] },
        'spec.placement.tolerations[0]',
        'Equal needs a key; Exists takes no value',
      ),
    ),
    refusal(
      { 'spec.placement.antiAffinity': [{ scope: 'Host' }] },
      'spec.placement.antiAffinity[0].selector',
      'Required value',
    ),
    refusal(
      { 'spec.placement.antiAffinity': [{ selector: {}, strength: 'Hard' }] },
      'spec.placement.antiAffinity[0].strength',
      'supported values: "Required", "Preferred"',
    ),
    refusal(
      { 'spec.placement.antiAffinity': Array.from({ length: 9 }, () => ({ selector: {} })) },
      'spec.placement.antiAffinity',
      'must have at most 8 items',
    ),
    refusal(
      { 'spec.disks': [{ name: 'root' }, { name: 'data' }] },
      'spec.disks[1].size',
      'a disk without a source needs a size',
    ),
    refusal(
      { 'spec.disks': [{ name: 'seed', size: '1Gi' }] },
      'spec.disks[0].name',
      'seed is the name of the disk that Berth makes for first boot',
    ),
    refusal(
      { 'spec.disks': [{ name: 'root', source: { image: { name: 'a' } } }] },
      'spec.disks[0].source',
      'the root disk is made from spec.image and has no source of its own',
    ),
    refusal({ 'spec.disks': [{ name: 'data', source: {} }] }, 'spec.disks[0].source.image', 'Required value'),
    refusal(
      { 'spec.disks': [{ name: 'data', source: { image: { name: 'A' } } }] },
      'spec.disks[0].source.image.name',
      'must be lower-case letters, digits, hyphens and dots, starting and ending with a letter or digit',
    ),
    refusal(
      {
        'spec.disks': [
          { name: 'data', size: '1Gi' },
          { name: 'data', size: '2Gi' },
        ],
      },
      'spec.disks[1]',
      'Duplicate value',
    ),
    refusal({ 'spec.disks': [{ name: 'root', size: '1Ki' }] }, 'spec.disks[0].size', 'at least 1Mi'),
    refusal(
      { 'spec.disks': [{ name: 'root', deletionPolicy: 'Keep' }] },
      'spec.disks[0].deletionPolicy',
      'Unsupported',
    ),
    refusal({ 'spec.managementPolicy': 'ObserveOnly' }, 'spec.managementPolicy', 'Unsupported'),
    refusal({ 'spec.deletionPolicy': 'Keep' }, 'spec.deletionPolicy', 'Unsupported'),
    refusal({ 'spec.deletionProtection': true }, 'spec.deletionProtection', 'must be of type string'),
    ...['9m', '87601h', '7d', '', '-1h'].map((expiresAfter) =>
      refusal(
        { 'spec.expiresAfter': expiresAfter },
        'spec.expiresAfter',
        expiresAfter === '' ? 'at least 1 chars' : 'must be a duration such as 90s or 5m',
      ),
    ),
    refusal(
      { 'spec.networkInterfaces': [{ name: '0eth' }] },
      'spec.networkInterfaces[0].name',
      'must be a name: lower-case letters, digits and hyphens, first a letter',
    ),
    ...['53:54:00:12:34:56', '52-54-00-12-34-56', '52:54:00:12:34'].map((macAddress) =>
      refusal(
        { 'spec.networkInterfaces': [{ name: 'eth0', macAddress }] },
        'spec.networkInterfaces[0].macAddress',
        'must be a unicast MAC address such as 52:54:00:12:34:56',
      ),
    ),
    refusal(
      {
        'spec.networkInterfaces': [
          { name: 'eth0', macAddress: '52:54:00:ab:cd:ef' },
          { name: 'eth1', macAddress: '52:54:00:AB:CD:EF' },
        ],
      },
      'spec.networkInterfaces',
      'macAddress must be unique',
    ),
    ...['-web', 'web_1', 'web.', `${'a'.repeat(64)}.org`].map((hostname) =>
      refusal({ 'spec.bootstrap.hostname': hostname }, 'spec.bootstrap.hostname', 'must be a host name'),
    ),
    ...[
      'hunter2',
      '-----BEGIN OPENSSH PRIVATE KEY-----',
      `command="hunter2" ${key}`,
      `${key}\nssh-ed25519 hunter2`,
      'ssh-ed25519 hunter2',
    ].map((line) =>
      refusal(
        { 'spec.bootstrap.sshAuthorizedKeys': [key, line] },
        'spec.bootstrap.sshAuthorizedKeys',
        'each must be one line of an OpenSSH public key file: type, base64 key and an optional comment',
      ),
    ),
    refusal({ 'spec.bootstrap.sshUser': 'Alice' }, 'spec.bootstrap.sshUser', 'must be an account name'),
    refusal(
      { 'spec.bootstrap.cloudInit': { userData: '#!/bin/sh', userDataSecretRef: { name: 'a', key: 'b' } } },
      'spec.bootstrap.cloudInit',
      'only one of userData, userDataSecretRef may be set',
    ),
    refusal(
      { 'spec.bootstrap.cloudInit': { userData: 'password: hunter2' } },
      'spec.bootstrap.cloudInit.userData',
      "must begin with a line that names its format: '#cloud-config'",
    ),
    refusal(
      { 'spec.bootstrap.cloudInit': { userDataSecretRef: { name: 'a' } } },
      'spec.bootstrap.cloudInit.userDataSecretRef.key',
      'Required value',
    ),
    refusal(
      { 'spec.bootstrap.cloudInit': { networkData: 'version: 2', networkDataSecretRef: { name: 'a', key: 'b' } } },
      'spec.bootstrap.cloudInit',
      'only one of networkData, networkDataSecretRef may be set',
    ),
    ...['192.0.2.10', '192.0.2.300/24', '2001:db8::10/64', '192.0.2.10/33'].map((address) =>
      refusal(
        withInterface({ ipv4: { addresses: [address] } }),
        'spec.networkInterfaces[0].ipv4.addresses[0]',
        'must be an IPv4 address with its prefix length, for example 192.0.2.10/24',
      ),
    ),
    refusal(
      withInterface({ ipv6: { addresses: ['192.0.2.10/24'] } }),
      'spec.networkInterfaces[0].ipv6.addresses[0]',
      'must be an IPv6 address with its prefix length, for example 2001:db8::10/64',
    ),
    refusal(withInterface({ ipv4: { addresses: [] } }), 'spec.networkInterfaces[0].ipv4.addresses', 'at least 1'),
    ...[{ method: 'Static' }, { method: 'DHCP', addresses: ['192.0.2.10/24'] }].map((ipv4) =>
      refusal(
        withInterface({ ipv4 }),
        'spec.networkInterfaces[0].ipv4.addresses',
        'addresses is for method Static only, and required there',
      ),
    ),
    refusal(
      withInterface({ ipv4: { method: 'Automatic' } }),
      'spec.networkInterfaces[0].ipv4.method',
      'supported values: "DHCP", "Static", "FromNetwork", "Disabled"',
    ),
    refusal(
      withInterface({ ipv4: { method: 'DHCP', gateway: '192.0.2.1' } }),
      'spec.networkInterfaces[0].ipv4.gateway',
      'gateway is for static addresses only; DHCP and the network bring their own',
    ),
    refusal(
      withInterface({ ipv6: { addresses: ['2001:db8::10/64'], gateway: '192.0.2.1' } }),
      'spec.networkInterfaces[0].ipv6.gateway',
      'must be an IPv6 address',
    ),
    refusal(
      withInterface({ nameservers: ['dns'] }),
      'spec.networkInterfaces[0].nameservers[0]',
      'must be an IPv4 or IPv6',
    ),
    refusal(
      withInterface({ searchDomains: ['Example.org'] }),
      'spec.networkInterfaces[0].searchDomains[0]',
      'must be a domain name in lower case',
    ),
    refusal(
      withInterface({ routes: [{ to: '10.0.0.0', via: '192.0.2.1' }] }),
      'spec.networkInterfaces[0].routes[0].to',
      'must be a network with its prefix length',
    ),
    refusal(
      withInterface({ routes: [{ to: '10.0.0.0/8', via: '2001:db8::1' }] }),
      'spec.networkInterfaces[0].routes[0]',
      'to and via must be of one address family',
    ),
  ],
}

/** Fields of later versions: refused by name, so that nobody believes that they work. */
export const unknownFields: Readonly<Record<Kind, Changes>> = {
  Hypervisor: { 'spec.hosts': [] },
  Slot: { 'spec.host': 'a' },
  StoragePool: { 'spec.volumeFormat': 'Raw', 'spec.cloneMode': 'Auto' },
  Network: { 'spec.visibility': 'Hidden' },
  AddressLease: { 'spec.expiresAt': 'a' },
  VirtualMachineSize: { 'spec.cpuSpeed': '2G' },
  ClusterImage: { 'spec.family': 'debian', 'spec.source.upload': {} },
  Image: { 'spec.owner': { name: 'alice' }, 'spec.lifecycle': 'Current' },
  VirtualMachine: {
    'spec.owner': { name: 'alice' },
    'spec.profile': 'a',
    'spec.image.family': 'debian',
    'spec.placement.pool': 'a',
    'spec.adopt': {},
  },
}
