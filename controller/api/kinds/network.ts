import type { BerthManifest, BerthObject } from '../object.ts'
import { choice, mapList, object, optional, text, withDefault } from '../schema/base.ts'
import { exactlyOne, rule } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, defineKind, messageColumn, readyColumn } from '../schema/kind.ts'
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

const spec = object(
  {
    description: optional(text('For people.', { max: 1024 })),
    attachments: mapList(['hypervisor'], attachment, 'What it is, by hypervisor.', { min: 1, max: 256 }),
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
  columns: [readyColumn, ageColumn, messageColumn],
})

export type NetworkSpec = Read<typeof spec>
export type NetworkStatus = Read<typeof status>
export type NetworkAttachment = Read<typeof attachment>
export type ObservedNetworkAttachment = Read<typeof observedAttachment>
export type Network = BerthObject<'Network', NetworkSpec, NetworkStatus>
export type NetworkManifest = BerthManifest<'Network', Written<typeof spec>>
