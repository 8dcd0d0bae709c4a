import type { BerthManifest, BerthObject } from '../object.ts'
import { cidr, cidrOf, domainName, type Family, ipAddress, ipAddressOf } from '../schema/addresses.ts'
import { bytes, duration, leastMemory, mostCpus } from '../schema/amounts.ts'
import { atomicList, choice, integer, mapList, object, optional, text, time, withDefault } from '../schema/base.ts'
import { atMostOne, exactlyOne, once, rule, unchanged } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, column, defineKind, messageColumn, readyColumn } from '../schema/kind.ts'
import { label, macAddress, name } from '../schema/names.ts'
import { secretKeyRef } from '../schema/references.ts'
import { room, roomRules } from '../schema/room.ts'
import { antiAffinityTerm, labelSelector, toleration } from '../schema/scheduling.ts'
import type { Read, Written } from '../schema/static.ts'

const imageKinds = ['Image', 'ClusterImage'] as const

const resources = object(
  {
    cpus: integer('Virtual CPUs.', { min: 1, max: mostCpus }),
    memory: bytes('Memory, for example 2Gi.', { min: leastMemory }),
    ...room,
  },
  'CPUs and memory, where no named size fits.',
  { rules: roomRules },
)

const imageReference = (description: string) =>
  object(
    {
      kind: optional(choice(imageKinds, 'Kind. Absent: Image of this namespace, else ClusterImage.')),
      name: name('Name of the image.'),
    },
    description,
  )

const imageRef = imageReference('Image that the root disk is made from.')

const placement = object(
  {
    slot: optional(label('This very slot.')),
    slotSelector: optional(labelSelector('Labels of the slot.')),
    tolerations: optional(atomicList(toleration, 'Taints that do not keep the machine away.', { max: 16 })),
    antiAffinity: optional(atomicList(antiAffinityTerm, 'Machines that this one keeps away from.', { max: 8 })),
    priority: withDefault(
      integer('Higher is served first while machines wait; one more counts for each 5 minutes waited.', {
        min: -100,
        max: 100,
      }),
      0,
    ),
    whenFull: withDefault(
      choice(
        ['Wait', 'Fail'],
        'No slot is free: Wait in the queue; or Fail at once, and try again when the spec is changed.',
      ),
      'Wait',
    ),
  },
  'Where the machine may be.',
  { rules: [atMostOne('slot', 'slotSelector')] },
)

const diskSource = object({ image: imageReference('A copy of an image.') }, 'What is on it. Absent: nothing.')

const disk = object(
  {
    name: label('Name of the disk; the guest sees it as the serial number. "root" is the disk made from image.', {
      max: 20,
    }),
    size: optional(
      bytes(
        'Size. It can grow, never shrink. Absent for root: that of the size or of the image, whichever is larger; for a copy of an image: that of the image.',
        { min: '1Mi' },
      ),
    ),
    source: optional(diskSource),
    storagePool: optional(label('StoragePool to make it in. Absent: the first that is within reach and has room.')),
    deletionPolicy: optional(
      choice(
        ['Delete', 'Retain'],
        "What becomes of it when it leaves the list or the machine is deleted: Delete, or Retain on the host. Absent: the machine's deletionPolicy.",
      ),
    ),
  },
  'A disk.',
  {
    rules: [
      rule("self.name != 'seed'", 'seed is the name of the disk that Berth makes for first boot', '.name'),
      rule(
        "self.name == 'root' || has(self.source) || has(self.size)",
        'a disk without a source needs a size',
        '.size',
      ),
      rule(
        "self.name != 'root' || !has(self.source)",
        'the root disk is made from spec.image and has no source of its own',
        '.source',
      ),
      rule(
        '!has(oldSelf.size) || (has(self.size) && quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0)',
        'a disk can grow, never shrink: add a new disk instead',
        '.size',
      ),
      rule(
        unchanged('source'),
        'the source of a disk cannot be changed: remove the disk and add one under another name',
        '.source',
      ),
      rule(
        unchanged('storagePool'),
        'the storagePool of a disk cannot be changed: remove the disk and add one under another name',
        '.storagePool',
      ),
    ],
  },
)

const addressing = <const Methods extends string[]>(family: Family, methods: readonly [...Methods]) =>
  object(
    {
      method: optional(
        choice(
          methods,
          'How the guest gets its address. Absent: Static when addresses are given, else as the Network says.',
        ),
      ),
      addresses: optional(
        atomicList(cidrOf(family, 'An address.'), 'Addresses with prefix length, for Static.', { min: 1, max: 16 }),
      ),
      gateway: optional(
        ipAddressOf(family, "Default gateway, for Static. Absent: the Network's, where an address is in its subnet."),
      ),
    },
    `IPv${family} of this interface. The guest is told at its first boot.`,
    {
      rules: [
        rule(
          "has(self.addresses) == (!has(self.method) || self.method == 'Static') || (!has(self.addresses) && !has(self.method))",
          'addresses is for method Static only, and required there',
          '.addresses',
        ),
        rule(
          '!has(self.gateway) || has(self.addresses)',
          'gateway is for static addresses only; DHCP and the network bring their own',
          '.gateway',
        ),
      ],
    },
  )

const route = object(
  {
    to: cidr('Destination.'),
    via: ipAddress('Next hop.'),
    metric: optional(integer('Metric.', { max: 2_147_483_647 })),
  },
  'A route.',
  {
    rules: [
      rule(
        '!isCIDR(self.to) || !isIP(self.via) || cidr(self.to).ip().family() == ip(self.via).family()',
        'to and via must be of one address family',
      ),
    ],
  },
)

const networkInterface = object(
  {
    name: text('Name of the interface, also used inside the guest where it can be.', {
      min: 1,
      max: 15,
      rules: [
        rule(
          "self.matches('^[a-z][-a-z0-9]*$')",
          'must be a name: lower-case letters, digits and hyphens, first a letter',
        ),
      ],
    }),
    network: optional(label('Network that it is on. Absent: the only Network there is.')),
    macAddress: optional(macAddress('MAC address, unicast. Absent: generated once and kept in status.')),
    ipv4: optional(addressing(4, ['DHCP', 'Static', 'FromNetwork', 'Disabled'])),
    ipv6: optional(addressing(6, ['Automatic', 'DHCP', 'Static', 'FromNetwork', 'Disabled'])),
    nameservers: optional(
      atomicList(ipAddress('A server.'), "DNS servers that the guest is told. Absent: the Network's.", { max: 8 }),
    ),
    searchDomains: optional(
      atomicList(domainName('A domain.'), "DNS search domains that the guest is told. Absent: the Network's.", {
        max: 16,
      }),
    ),
    routes: optional(atomicList(route, 'Static routes that the guest is told.', { max: 32 })),
  },
  'A network interface.',
)

const cloudInit = object(
  {
    userData: optional(text('User data.', { min: 1, max: 65536 })),
    userDataSecretRef: optional(secretKeyRef('Secret of this namespace that holds the user data.')),
    networkData: optional(
      text('Network configuration (version 1 or 2, YAML) instead of the one made from networkInterfaces.', {
        min: 1,
        max: 65536,
      }),
    ),
    networkDataSecretRef: optional(secretKeyRef('Secret of this namespace that holds the network data.')),
  },
  'cloud-init data.',
  {
    // On the parent: the API server repeats a refused scalar, and user data may hold secrets.
    rules: [
      atMostOne('userData', 'userDataSecretRef'),
      atMostOne('networkData', 'networkDataSecretRef'),
      rule(
        "!has(self.userData) || self.userData.startsWith('#') || self.userData.startsWith('Content-Type:') || self.userData.startsWith('MIME-Version:') || self.userData.startsWith('{')",
        "must begin with a line that names its format: '#cloud-config', '#!' and an interpreter, '#include', '## template: jinja', a MIME header, or JSON",
        '.userData',
      ),
    ],
  },
)

const hostNamePart = '[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?'

const bootstrap = object(
  {
    hostname: optional(
      text('Host name, or fully qualified name. Absent: metadata.name.', {
        min: 1,
        max: 253,
        rules: [
          rule(
            `self.matches('^${hostNamePart}([.]${hostNamePart})*$')`,
            'must be a host name: labels of at most 63 letters, digits and hyphens, joined by dots',
          ),
        ],
      }),
    ),
    sshAuthorizedKeys: optional(
      atomicList(
        text('A public key.', { min: 1, max: 4096 }),
        'SSH public keys that may log in as sshUser, in OpenSSH format, one line each, without options.',
        {
          max: 32,
          // On the list: a private key pasted here by mistake must not be repeated in a message.
          rules: [
            rule(
              "self.all(k, k.matches('^(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh[.]com) [A-Za-z0-9+/]{60,}={0,3}( .*)?$'))",
              'each must be one line of an OpenSSH public key file: type, base64 key and an optional comment',
            ),
          ],
        },
      ),
    ),
    sshUser: withDefault(
      text('Account that gets the keys.', {
        min: 1,
        max: 32,
        rules: [
          rule(
            "self.matches('^[a-z_][-a-z0-9_]*$')",
            'must be an account name: lower-case letters, digits, - and _, first a letter or _',
          ),
        ],
      }),
      'root',
    ),
    cloudInit: optional(cloudInit),
  },
  'First boot. Read once: it cannot be changed once the machine is made.',
)

const restart = object(
  {
    token: text('Any string, for example a date. The token that was served last is in status.', {
      min: 1,
      max: 64,
      rules: [rule("self.matches('^[-A-Za-z0-9_.:+]+$')", 'must be letters, digits and - _ . : + without spaces')],
    }),
    mode: withDefault(
      choice(
        ['Warm', 'Cold'],
        'Warm asks the guest to shut down, and cuts the power after shutdownTimeout; Cold stops the machine as shutdownMode says. Both start it again.',
      ),
      'Warm',
    ),
  },
  'A new token is one restart. Its slot is kept.',
)

const stopOrRestart = ['Stop', 'Restart'] as const

const spec = object(
  {
    size: optional(name('VirtualMachineSize.')),
    resources: optional(resources),
    image: imageRef,
    powerState: optional(
      choice(
        ['Running', 'Stopped', 'Suspended', 'Paused'],
        "State that the machine is kept in: Suspended is off with its memory on the host's disk, Paused has its processors held. Absent: Running.",
      ),
    ),
    shutdownMode: withDefault(
      choice(
        ['TrySoft', 'Soft', 'Hard'],
        'TrySoft asks the guest and cuts the power after shutdownTimeout; Soft only asks; Hard only cuts.',
      ),
      'TrySoft',
    ),
    shutdownTimeout: withDefault(duration('How long the guest may take to shut down.', { min: '1s', max: '1h' }), '5m'),
    restart: optional(restart),
    onGuestShutdown: withDefault(
      choice(
        stopOrRestart,
        'When the guest shuts itself down: Stop leaves it off and gives its slot back, Restart starts it again.',
      ),
      'Stop',
    ),
    onCrash: withDefault(
      choice(
        stopOrRestart,
        'When the guest crashes: Stop leaves it off and gives its slot back, Restart starts it again.',
      ),
      'Restart',
    ),
    placement: withDefault(placement, {}),
    disks: optional(
      mapList(['name'], disk, 'Disks beside the root disk, which is there whether it is listed or not.', { max: 32 }),
    ),
    networkInterfaces: optional(
      mapList(
        ['name'],
        networkInterface,
        'Network interfaces. Absent: one, eth0, on the only Network there is; an empty list: none.',
        {
          max: 16,
          rules: [
            rule(
              'self.all(a, !has(a.macAddress) || self.exists_one(b, has(b.macAddress) && b.macAddress.lowerAscii() == a.macAddress.lowerAscii()))',
              'macAddress must be unique',
            ),
          ],
        },
      ),
    ),
    bootstrap: withDefault(bootstrap, {}),
    managementPolicy: withDefault(
      choice(
        ['Managed', 'ReportDrift'],
        'Managed keeps the machine as declared, whatever is done to it on its host; ReportDrift changes it when the spec changes, and tells what is done on its host.',
      ),
      'Managed',
    ),
    deletionPolicy: optional(
      choice(
        ['Delete', 'Retain'],
        "When this object is deleted: Delete removes the machine and its disks; Retain leaves it on its host as it is, running or not, and it is no longer Berth's. Absent: Delete.",
      ),
    ),
    deletionProtection: withDefault(
      choice(
        ['Enabled', 'Disabled'],
        'Enabled refuses deletion of this object. Only when its namespace, or an object that owns it, is deleted does it go too: then the machine stays on its host, as with Retain.',
      ),
      'Disabled',
    ),
    expiresAfter: optional(
      duration(
        'Life-time, counted from creation, not from now. After it the object is deleted, and the machine as deletionPolicy says; one that is protected is stopped instead. Events warn 7 days, 1 day and 1 hour before.',
        { min: '10m', max: '87600h' },
      ),
    ),
  },
  'The machine as it is wanted.',
  { rules: [exactlyOne('size', 'resources')] },
)

const address = object(
  {
    address: text('IPv4 or IPv6 address.', { max: 45 }),
    source: choice(
      ['Static', 'Agent', 'Lease', 'ARP'],
      'How it is known, in the order of trust. Static: the guest was told to have it.',
    ),
  },
  'An address.',
)

const observedInterface = object(
  {
    name: text('Name of the interface.', { min: 1, max: 15 }),
    network: optional(text('Network that it is on.', { max: 63 })),
    macAddress: optional(text('MAC address.', { max: 17 })),
    state: optional(choice(['Pending', 'Attached'], 'Attached: it is part of the machine on the host.')),
    addresses: optional(atomicList(address, 'Addresses, most trusted first.', { max: 32 })),
  },
  'An interface as it is.',
)

const resolvedImageOf = (description: string) =>
  object(
    {
      kind: choice(imageKinds, 'Kind.'),
      name: text('Name.', { min: 1, max: 63 }),
      uid: text('Uid.', { min: 1, max: 64 }),
      digest: text('sha256 of the content, 64 hexadecimal digits.', { max: 64 }),
      format: choice(['QCOW2', 'Raw'], 'Stored format.'),
    },
    description,
  )

const resolvedImage = resolvedImageOf(
  'Resolved image: what the root disk is made from. A later image of the same name changes nothing.',
)

const observedDisk = object(
  {
    name: text('Name of the disk.', { min: 1, max: 20 }),
    storagePool: optional(text('StoragePool that it is in.', { max: 63 })),
    volume: optional(text('Name of the volume there.', { max: 253 })),
    size: optional(bytes('Size that the guest sees.')),
    target: optional(text('Device that the guest has it as, where the host tells: vdb.', { max: 63 })),
    state: optional(
      choice(
        ['Creating', 'Ready', 'Missing', 'Removing'],
        'Missing: it vanished from the host, and is never made anew. Removing: it left the list, and is taken out of the machine.',
      ),
    ),
    deletionPolicy: optional(
      choice(['Delete', 'Retain'], 'What becomes of it when it leaves the list or the machine is deleted.'),
    ),
    image: optional(resolvedImageOf('What it is a copy of; of the root disk, see status.image.')),
  },
  'A disk as it is.',
)

const resolvedSize = object(
  {
    kind: optional(choice(['VirtualMachineSize'], 'Where it came from. Absent: spec.resources.')),
    name: optional(text('Name of the size.', { max: 63 })),
    generation: optional(
      integer('Generation of the size that was used.', { max: Number.MAX_SAFE_INTEGER, format: 'int64' }),
    ),
    cpus: integer('Virtual CPUs.', { min: 1, max: mostCpus }),
    memory: bytes('Memory.'),
    ...room,
    storage: optional(bytes('Size of the root disk, where the size names one.')),
  },
  'Resolved size. A later change of the VirtualMachineSize does not touch it.',
)

const slotRejection = object(
  {
    reason: text('Reason.', { min: 1, max: 63 }),
    count: integer('Slots.', { max: 1_000_000 }),
    message: optional(text('For people.', { max: 1024 })),
  },
  'Slots that do not fit, for one reason.',
)

const queue = object(
  {
    position: integer('Place, from 1.', { min: 1, max: 1_000_000 }),
    length: integer('Machines that wait.', { min: 1, max: 1_000_000 }),
    since: time('When it began to wait.'),
  },
  'Place among the machines that wait for slots.',
)

const progress = object(
  {
    step: text('What is being done.', { min: 1, max: 63 }),
    percent: optional(integer('How far.', { max: 100 })),
    message: optional(text('For people.', { max: 1024 })),
  },
  'Long work under way.',
)

const pendingChange = object(
  {
    field: text('Field of the spec.', { min: 1, max: 253 }),
    from: text('As the machine is.', { max: 253 }),
    to: text('As it is declared.', { max: 253 }),
    effect: choice(
      ['NextStart', 'NextPlacement'],
      'NextStart: when Berth starts the machine next, after a stop or a restart. NextPlacement: when it is placed next, after it was stopped.',
    ),
    message: optional(text('For people.', { max: 1024 })),
  },
  'A difference between spec and machine.',
)

const lastStop = object(
  {
    by: choice(
      ['Berth', 'Guest', 'Crash', 'Outside', 'Host'],
      'Berth stopped it as the spec says; the Guest shut itself down; it crashed; somebody cut its power on the host; or the Host went down, or does not know.',
    ),
    time: time('When that was seen.'),
    generation: integer('metadata.generation seen then.', { max: Number.MAX_SAFE_INTEGER, format: 'int64' }),
    restartToken: optional(
      text('There as long as it stays off for that reason: the restart token seen then, empty where there was none.', {
        max: 64,
      }),
    ),
  },
  'Why it went off last.',
)

const servedRestart = object(
  { token: text('The token.', { max: 64 }), time: time('When it was off for it, or was started with it.') },
  'Restart served last.',
)

const restarting = object(
  {
    token: text('Its token.', { max: 64 }),
    mode: choice(['Warm', 'Cold'], 'How.'),
    since: time('When it began.'),
  },
  'Restart under way: the machine is being stopped for it.',
)

const status = object(
  {
    powerState: optional(
      choice(
        ['Running', 'Stopped', 'Suspended', 'Paused', 'Unknown'],
        'State last seen on the host. Unknown while the host cannot be reached.',
      ),
    ),
    reachedPowerState: optional(
      choice(
        ['Running', 'Stopped', 'Suspended', 'Paused'],
        'Under managementPolicy ReportDrift: the powerState that was reached last. What differs from it since is drift.',
      ),
    ),
    slot: optional(text('Slot that it holds.', { max: 63 })),
    hypervisor: optional(text('Hypervisor.', { max: 63 })),
    host: optional(text('Host.', { max: 253 })),
    hostID: optional(text('UUID of that host: nothing is done on another one under its name.', { max: 36 })),
    hypervisorID: optional(text('UUID of the machine on the hypervisor.', { max: 64 })),
    instanceID: optional(
      text("Identity in force: the uid. Domain UUID, names of volumes and cloud-init's instance-id derive from it.", {
        max: 64,
      }),
    ),
    size: optional(resolvedSize),
    image: optional(resolvedImage),
    primaryAddress: optional(text('The address to reach it by.', { max: 45 })),
    networkInterfaces: optional(mapList(['name'], observedInterface, 'Interfaces as they are.', { max: 32 })),
    disks: optional(mapList(['name'], observedDisk, 'Disks as they are.', { max: 64 })),
    pendingChanges: optional(
      mapList(['field'], pendingChange, 'Differences between spec and machine that are not applied yet.', { max: 64 }),
    ),
    slotRejections: optional(
      mapList(
        ['reason'],
        slotRejection,
        'While it waits: how many slots do not fit, by reason; rewritten at most every 30 s.',
        { max: 10 },
      ),
    ),
    queue: optional(queue),
    progress: optional(progress),
    restart: optional(servedRestart),
    restarting: optional(restarting),
    lastStop: optional(lastStop),
    startTime: optional(time('When it was seen to run under its present claim; absent until then.')),
    firstBootTime: optional(time('When it first ran; bootstrap cannot be changed after it.')),
    expiresAt: optional(time('When its life-time is over: its creation and spec.expiresAfter.')),
    ...commonStatus([
      'Placed',
      'ImageReady',
      'DisksReady',
      'NetworkReady',
      'BootstrapReady',
      'PowerStateSynced',
      'GuestAgentConnected',
      'HypervisorReachable',
      'RestartRequired',
      'Drifted',
      'DeletionBlocked',
      'ExpiresSoon',
    ]),
  },
  'The machine as it is. Written by Berth alone.',
)

/** In force once the root disk is made: what this version cannot change on a machine that exists. */
const fixed = (field: string, expression: string, message?: string) =>
  once(
    'image',
    expression,
    message ?? `${field} cannot be changed in this version once the machine is made: delete it and make a new one`,
    `.spec.${field}`,
  )

/** What a guest is told of an interface at its first boot. */
const told = ['ipv4', 'ipv6', 'nameservers', 'searchDomains', 'routes']
const sameAsTold = told.map(
  (field) => `has(n.${field}) == has(o.${field}) && (!has(n.${field}) || n.${field} == o.${field})`,
)
/** An interface that was there, or is the one that a machine has by default, is addressed as it was. */
const addressedAsTold = [
  '!has(self.spec.networkInterfaces)',
  `(has(oldSelf.spec.networkInterfaces) ? self.spec.networkInterfaces.all(n, oldSelf.spec.networkInterfaces.all(o, n.name != o.name || (${sameAsTold.join(' && ')}))) : self.spec.networkInterfaces.all(n, n.name != 'eth0' || !(${told.map((field) => `has(n.${field})`).join(' || ')})))`,
].join(' || ')

export const virtualMachineKind = defineKind({
  kind: 'VirtualMachine',
  plural: 'virtualmachines',
  singular: 'virtualmachine',
  shortNames: ['bvm'],
  namespaced: true,
  description: 'VirtualMachine is one machine on a hypervisor that stays outside the cluster.',
  names: { max: 63, dots: false },
  spec,
  status,
  rules: [
    // Of the update, not of the state: who suspends a machine need not take an old token out.
    rule(
      "!has(self.spec.restart) || !has(self.spec.powerState) || self.spec.powerState in ['Running', 'Stopped'] || (has(oldSelf.spec.restart) && oldSelf.spec.restart.token == self.spec.restart.token)",
      'a restart needs powerState Running (or Stopped, where the next start serves it)',
      '.spec.restart.token',
    ),
    fixed(
      'image',
      'self.spec.image == oldSelf.spec.image',
      'image cannot be changed once the root disk is made: make a new machine',
    ),
    fixed('bootstrap', 'has(oldSelf.status.firstBootTime) || self.spec.bootstrap == oldSelf.spec.bootstrap'),
    once(
      'firstBootTime',
      addressedAsTold,
      'ipv4, ipv6, nameservers, searchDomains and routes are told to the guest at first boot, which is past: change them inside the guest, or make a new machine',
      '.spec.networkInterfaces',
    ),
    once(
      'firstBootTime',
      'self.spec.bootstrap == oldSelf.spec.bootstrap',
      'bootstrap is read at first boot, which is past: change it inside the guest, or make a new machine',
      '.spec.bootstrap',
    ),
  ],
  columns: [
    column('Power', '.status.powerState', 'State last seen on the host.'),
    readyColumn,
    column('Slot', '.status.slot', 'Slot that it holds.'),
    column('IP', '.status.primaryAddress', 'The address to reach it by.'),
    ageColumn,
    column('Size', '.spec.size', 'VirtualMachineSize.', { wide: true }),
    column('Image', '.spec.image.name', 'Image that the root disk is made from.', { wide: true }),
    column('Hypervisor', '.status.hypervisor', 'Hypervisor that it is on.', { wide: true }),
    messageColumn,
  ],
  selectableFields: ['.spec.size', '.status.powerState', '.status.slot', '.status.hypervisor'],
})

export type VirtualMachineSpec = Read<typeof spec>
export type VirtualMachineStatus = Read<typeof status>
export type VirtualMachine = BerthObject<'VirtualMachine', VirtualMachineSpec, VirtualMachineStatus>
export type VirtualMachineManifest = BerthManifest<'VirtualMachine', Written<typeof spec>>
export type ImageRef = Read<typeof imageRef>
export type Disk = Read<typeof disk>
export type NetworkInterface = Read<typeof networkInterface>
export type Route = Read<typeof route>
export type Bootstrap = Read<typeof bootstrap>
export type Placement = Read<typeof placement>
export type Toleration = Read<typeof toleration>
export type LabelSelector = NonNullable<Placement['slotSelector']>
export type ResolvedSize = Read<typeof resolvedSize>
export type ResolvedImage = Read<typeof resolvedImage>
export type ObservedDisk = Read<typeof observedDisk>
export type ObservedInterface = Read<typeof observedInterface>
export type SlotRejection = Read<typeof slotRejection>
export type PendingChange = Read<typeof pendingChange>
export type Queue = Read<typeof queue>
export type Progress = Read<typeof progress>
export type LastStop = Read<typeof lastStop>
