import type { BerthManifest, BerthObject } from '../object.ts'
import { domainName, type Family, ipAddress, ipAddressOf, subnetOf } from '../schema/addresses.ts'
import { atomicList, choice, integer, mapList, object, optional, text, withDefault } from '../schema/base.ts'
import { exactlyOne, rule } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, column, defineKind, messageColumn, readyColumn } from '../schema/kind.ts'
import type { Read, Written } from '../schema/static.ts'

const attachment = object(
  {
    hypervisor: text("Hypervisor, or '*' for every one that is not listed.", {
      min: 1,
      max: 40,
      rules: [
        rule(
          "self == '*' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
          'must be the name of a Hypervisor, or *',
        ),
      ],
    }),
    bridge: optional(
      text('Bridge on the host.', {
        min: 1,
        max: 15,
        rules: [
          rule(
            "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
            'must be the name of a bridge: letters, digits, and . _ -, starting with a letter or digit',
          ),
        ],
      }),
    ),
    libvirtNetwork: optional(text('libvirt network.', { min: 1, max: 253 })),
    xapiNetwork: optional(text('XAPI network, by UUID or by name label.', { min: 1, max: 253 })),
  },
  'What the network is on one hypervisor.',
  { rules: [exactlyOne('bridge', 'libvirtNetwork', 'xapiNetwork')] },
)

/** As many addresses as all ranges of a Network have together, for each family. */
export const mostAddresses = 65_536

const ranges = (family: Family) =>
  atomicList(
    object(
      {
        first: ipAddressOf(family, 'First address.'),
        last: ipAddressOf(family, 'Last address.'),
      },
      'A range.',
    ),
    `Ranges that addresses are given from, ${mostAddresses} addresses together at most.`,
    { max: 16 },
  )

const addressing = <const Methods extends string[]>(
  family: Family,
  methods: readonly [...Methods],
  byDefault: Methods[number],
  description: string,
) =>
  object(
    {
      method: withDefault(choice(methods, description), byDefault as never),
      subnet: optional(subnetOf(family, 'Subnet.')),
      gateway: optional(ipAddressOf(family, 'Default gateway.')),
      ranges: optional(ranges(family)),
    },
    `IPv${family} addressing.`,
    {
      rules: [
        rule(
          "self.method != 'FromRanges' || (has(self.subnet) && has(self.ranges) && size(self.ranges) > 0)",
          'FromRanges needs subnet and ranges',
          '.ranges',
        ),
        rule('!has(self.ranges) || has(self.subnet)', 'ranges need a subnet', '.subnet'),
        rule(
          '!has(self.ranges) || !has(self.subnet) || !isCIDR(self.subnet) || self.ranges.all(r, !isIP(r.first) || !isIP(r.last) || (cidr(self.subnet).containsIP(ip(r.first)) && cidr(self.subnet).containsIP(ip(r.last))))',
          'ranges must lie within subnet',
          '.ranges',
        ),
      ],
    },
  )

const spec = object(
  {
    description: optional(text('For people.', { max: 1024 })),
    attachments: mapList(['hypervisor'], attachment, 'What it is, by hypervisor.', { min: 1, max: 256 }),
    ipv4: optional(
      addressing(
        4,
        ['DHCP', 'FromRanges', 'Disabled'],
        'DHCP',
        'How guests get addresses when their machines say nothing: DHCP (something on the network answers), FromRanges (Berth gives them from ranges), Disabled.',
      ),
    ),
    ipv6: optional(
      addressing(
        6,
        ['Automatic', 'DHCP', 'FromRanges', 'Disabled'],
        'Automatic',
        'How guests get addresses when their machines say nothing: Automatic (router advertisements), DHCP (something on the network answers), FromRanges (Berth gives them from ranges), Disabled.',
      ),
    ),
    nameservers: optional(atomicList(ipAddress('A server.'), 'DNS servers that guests are told.', { max: 8 })),
    searchDomains: optional(atomicList(domainName('A domain.'), 'DNS search domains.', { max: 16 })),
    antiSpoofing: withDefault(
      choice(
        ['Enabled', 'Disabled'],
        "Enabled: the host drops frames that do not bear the interface's own MAC address, where it can (AntiSpoofing among the hypervisor's features).",
      ),
      'Enabled',
    ),
  },
  'What the name stands for.',
)

const observedAttachment = object(
  {
    hypervisor: text('Hypervisor.', { min: 1, max: 40 }),
    state: choice(
      ['Available', 'Missing', 'Unknown'],
      'Available is there; Missing is not; Unknown: the hypervisor could not be asked.',
    ),
    antiSpoofing: optional(
      choice(
        ['Enabled', 'Disabled', 'NotSupported'],
        'What is done about spoofed MAC addresses there; NotSupported: it is enabled, but the hypervisor cannot.',
      ),
    ),
    id: optional(text('UUID of the libvirt or XAPI network, or name of the bridge.', { max: 253 })),
  },
  'The network as one hypervisor has it.',
)

const status = object(
  {
    attachments: optional(mapList(['hypervisor'], observedAttachment, 'By hypervisor.', { max: 256 })),
    addresses: optional(
      object(
        {
          total: integer('Addresses that can be given.', { max: 2 * mostAddresses }),
          used: integer('Of these, how many are given.', { max: 2 * mostAddresses }),
        },
        'Addresses of its ranges.',
      ),
    ),
    ...commonStatus(),
  },
  'What was seen. Written by Berth alone.',
)

export const networkKind = defineKind({
  kind: 'Network',
  plural: 'networks',
  singular: 'network',
  shortNames: ['bnet'],
  namespaced: false,
  description: 'Network is a name for a bridge, a libvirt network or a XAPI network on each hypervisor.',
  names: { max: 63, dots: false },
  spec,
  status,
  columns: [
    readyColumn,
    column('Subnet', '.spec.ipv4.subnet', 'IPv4 subnet.'),
    column('Used', '.status.addresses.used', 'Addresses of its ranges that are given.', { type: 'integer' }),
    column('Total', '.status.addresses.total', 'Addresses of its ranges.', { type: 'integer' }),
    ageColumn,
    column('IPv6', '.spec.ipv6.subnet', 'IPv6 subnet.', { wide: true }),
    messageColumn,
  ],
})

export type NetworkSpec = Read<typeof spec>
export type NetworkStatus = Read<typeof status>
export type NetworkAttachment = Read<typeof attachment>
export type ObservedNetworkAttachment = Read<typeof observedAttachment>
export type Network = BerthObject<'Network', NetworkSpec, NetworkStatus>
export type NetworkManifest = BerthManifest<'Network', Written<typeof spec>>
