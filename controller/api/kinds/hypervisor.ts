import type { BerthManifest, BerthObject } from '../object.ts'
import { bytes, duration, leastMemory, mostCpus } from '../schema/amounts.ts'
import {
  atomicList,
  choice,
  dictionary,
  integer,
  mapList,
  object,
  optional,
  set,
  text,
  time,
  withDefault,
} from '../schema/base.ts'
import { exactlyOne, rule } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, column, defineKind, messageColumn, readyColumn } from '../schema/kind.ts'
import { absolutePath, label, name } from '../schema/names.ts'
import { secretRef } from '../schema/references.ts'
import { labelRules, scheduling, taints } from '../schema/scheduling.ts'
import type { Read, Written } from '../schema/static.ts'

const libvirt = object(
  {
    uri: text('libvirt URI, for example qemu+tls://kvm1.example.org/system.', { min: 1, max: 1024 }),
    knownHosts: optional(
      text("SSH host keys, in the format of a known_hosts file: the SSH server's must be among them.", {
        min: 1,
        max: 16384,
      }),
    ),
    domainType: optional(
      choice(['KVM', 'QEMU'], 'Virtualisation that new machines use. Absent: the fastest that the host says it has.'),
    ),
  },
  'A libvirt daemon.',
  {
    // On the parent: the API server repeats a refused scalar, and this one could hold a password.
    rules: [
      rule(
        "self.uri.matches('^(qemu|xen|test)([+](unix|tcp|tls|ssh))?://[^ ?#]*([?]socket=/[A-Za-z0-9._/-]+)?$')",
        'must be a libvirt URI of qemu, xen or test by unix, tcp, tls or ssh, without parameters other than socket=/path, for example qemu+tls://kvm1.example.org/system',
        '.uri',
      ),
      rule(
        "!self.uri.contains('?') || self.uri.matches('^[a-z]+([+]unix)?:///|^[a-z]+[+]ssh://')",
        'socket is for local transports and ssh only, for example qemu+unix:///system?socket=/run/libvirt/virtqemud-sock',
        '.uri',
      ),
      rule("!self.uri.matches('^[a-z+]+://[^/]*:[^/@]*@')", 'must not hold a password: use credentials', '.uri'),
      rule(
        "!has(self.domainType) || !self.uri.matches('^xen[+:]')",
        'is for hosts with QEMU: Xen has modes, which images ask for',
        '.domainType',
      ),
      rule("!self.uri.contains('+ssh://') || has(self.knownHosts)", 'ssh needs knownHosts', '.knownHosts'),
    ],
  },
)

const xapi = object(
  {
    members: atomicList(
      text('Address of a host.', { min: 1, max: 300 }),
      'Addresses of its hosts, in the order in which they are tried, for example https://xcp1.example.org.',
      { min: 1, max: 64 },
    ),
    certificateFingerprints: optional(
      set(
        text('Fingerprint.', {
          max: 95,
          rules: [
            rule(
              "self.matches('^[0-9A-F]{2}(:[0-9A-F]{2}){31}$')",
              'must be a SHA-256 fingerprint: 32 bytes in hexadecimal, upper case, joined by colons',
            ),
          ],
        }),
        'SHA-256 fingerprints of certificates that are trusted, instead of a CA.',
        { min: 1, max: 64 },
      ),
    ),
  },
  'A XenServer or XCP-ng pool.',
  {
    // On the parent, as for the URI.
    rules: [
      rule(
        "self.members.all(m, m.matches('^https://[^/ ?#]+/?$') && isURL(m))",
        'must be https URLs of hosts alone, for example https://xcp1.example.org',
        '.members',
      ),
      rule("!self.members.exists(m, m.contains('@'))", 'must not hold a password: use credentials', '.members'),
    ],
  },
)

const credentials = object(
  {
    secretRef: optional(
      secretRef(
        "Secret in Berth's own namespace: username, password, tls.crt, tls.key, ca.crt, as the transport needs.",
      ),
    ),
    file: optional(absolutePath('Folder that is mounted into the controller, with the same keys as files.')),
  },
  'How to log in. Absent: nothing is needed, as for a local socket.',
  { rules: [exactlyOne('secretRef', 'file')] },
)

const slotSet = object(
  {
    name: label('Name of the set; its slots are <hypervisor>-<name>-<number>.', { max: 16 }),
    count: integer('How many.', { max: 1024 }),
    size: optional(name('VirtualMachineSize that fits in.')),
    resources: optional(
      object(
        {
          cpus: integer('CPUs.', { min: 1, max: mostCpus }),
          memory: bytes('Memory.', { min: leastMemory }),
        },
        'Or CPUs and memory.',
      ),
    ),
    labels: optional(
      dictionary(text('Value.', { max: 63 }), 'Labels of the slots, beside those of the Hypervisor.', {
        max: 64,
        rules: [
          rule("self.all(k, !k.startsWith('berth.dev/'))", 'labels of berth.dev are set by Berth'),
          ...labelRules,
        ],
      }),
    ),
    taints: optional(taints()),
  },
  'Slots that are alike.',
  { rules: [exactlyOne('size', 'resources')] },
)

const spec = object(
  {
    libvirt: optional(libvirt),
    xapi: optional(xapi),
    credentials: optional(credentials),
    slots: optional(
      mapList(['name'], slotSet, 'Slots that are made here. Fewer than before never evicts a machine.', { max: 64 }),
    ),
    scheduling: scheduling(),
    limits: withDefault(
      object(
        {
          concurrentOperations: withDefault(integer('Operations at a time.', { min: 1, max: 64 }), 4),
          callTimeout: withDefault(duration('Deadline of a single call.', { min: '1s', max: '10m' }), '30s'),
        },
        'How hard it may be used.',
      ),
      {},
    ),
  },
  'What the hypervisor is to be used as.',
  {
    rules: [
      exactlyOne('libvirt', 'xapi'),
      rule('has(self.libvirt) == has(oldSelf.libvirt)', 'libvirt and xapi cannot be exchanged: make a new Hypervisor'),
      rule('!has(self.xapi) || has(self.credentials)', 'a XAPI pool needs credentials', '.credentials'),
    ],
  },
)

const words = (description: string) => optional(atomicList(text('Name.', { max: 63 }), description, { max: 64 }))

const host = object(
  {
    name: text('Name that the host gives itself.', { max: 253 }),
    uuid: optional(text('UUID of the host.', { max: 36 })),
    state: optional(choice(['Online', 'Offline'], 'Whether it answers.')),
    cpus: optional(integer('CPUs.', { max: 1_000_000 })),
    memory: optional(bytes('Memory.')),
  },
  'A host.',
)

const status = object(
  {
    id: optional(text('UUID of the host or pool. The same address with another id is not touched.', { max: 36 })),
    driver: optional(choice(['libvirt', 'xapi'], 'Driver.')),
    version: optional(text('Version of the hypervisor.', { max: 253 })),
    lastSeenTime: optional(time('When it last answered, to the minute.')),
    hosts: optional(mapList(['name'], host, 'Hosts.', { max: 64 })),
    capacity: optional(
      object({ cpus: integer('CPUs.', { max: 1_000_000 }), memory: bytes('Memory.') }, 'What all hosts have together.'),
    ),
    capabilities: optional(
      object(
        {
          architectures: words('Architectures of guests.'),
          accelerators: words('How guests can be virtualised, fastest first.'),
          modes: words('Modes in which guests can boot.'),
          firmware: words('Firmware for guests.'),
          storageTypes: words('Types of StoragePool.'),
          features: words('What can be done with a machine.'),
        },
        'What it can do.',
      ),
    ),
    slots: optional(
      object(
        {
          total: integer('Slots of this hypervisor.', { max: 1_000_000 }),
          free: integer('Those that can be claimed.', { max: 1_000_000 }),
          bound: integer('Those that a machine holds.', { max: 1_000_000 }),
        },
        'Slots, counted.',
      ),
    ),
    unmanaged: optional(
      object(
        {
          count: integer('How many.', { max: 1_000_000 }),
          machines: optional(
            atomicList(text('Name on the host.', { max: 253 }), 'The first hundred, by name.', { max: 100 }),
          ),
          memory: optional(
            bytes(
              'What machines that run there without one of these slots may have together: those that are not ours, of another cluster, or of slots that are gone. It is kept from slots.',
            ),
          ),
        },
        'Machines there that are not ours. They are never touched.',
      ),
    ),
    ...commonStatus(['Reachable', 'CredentialsValid', 'SlotsReady']),
  },
  'What was seen. Written by Berth alone.',
)

export const hypervisorKind = defineKind({
  kind: 'Hypervisor',
  plural: 'hypervisors',
  singular: 'hypervisor',
  shortNames: ['bhv'],
  namespaced: false,
  description: 'Hypervisor is one management endpoint: a libvirt daemon, or a XAPI pool.',
  // Slots are named after it.
  names: { max: 40, dots: false },
  spec,
  status,
  columns: [
    column('Driver', '.status.driver', 'Driver that speaks to it.'),
    readyColumn,
    column('Slots', '.status.slots.total', 'Slots.', { type: 'integer' }),
    column('Free', '.status.slots.free', 'Slots that can be claimed.', { type: 'integer' }),
    column('Scheduling', '.spec.scheduling', 'Whether it takes new machines.'),
    ageColumn,
    column('Version', '.status.version', 'Version of the hypervisor.', { wide: true }),
    column('URI', '.spec.libvirt.uri', 'Where it is.', { wide: true }),
    messageColumn,
  ],
})

export type HypervisorSpec = Read<typeof spec>
export type HypervisorStatus = Read<typeof status>
export type Hypervisor = BerthObject<'Hypervisor', HypervisorSpec, HypervisorStatus>
export type HypervisorManifest = BerthManifest<'Hypervisor', Written<typeof spec>>
export type SlotSet = Read<typeof slotSet>
