/** Image and ClusterImage: one spec, one status, two scopes. */
import type { BerthManifest, BerthObject } from '../object.ts'
import { bytes } from '../schema/amounts.ts'
import { atomicList, choice, integer, object, optional, text, withDefault } from '../schema/base.ts'
import { once, rule } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, column, defineKind, messageColumn } from '../schema/kind.ts'
import type { Read, Written } from '../schema/static.ts'

const architectures = ['x86_64', 'i686', 'aarch64', 'armv7l', 'ppc64le', 's390x', 'riscv64', 'ia64'] as const

const http = object(
  {
    url: text('http or https URL, without user name and password.', { min: 1, max: 2048 }),
    checksum: optional(
      text('Checksum of the file as it is fetched: sha256:… or sha512:….', {
        max: 135,
        rules: [
          rule(
            "self.matches('^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$')",
            'must be sha256: with 64 or sha512: with 128 hexadecimal digits in lower case',
          ),
        ],
      }),
    ),
    checksumPolicy: withDefault(
      choice(['Required', 'Waived'], 'Waived: fetch without a checksum, knowingly.'),
      'Required',
    ),
    caBundle: optional(
      text("Certificates (PEM) that are trusted for this URL, instead of the system's.", { min: 1, max: 65536 }),
    ),
  },
  'Fetch it.',
  {
    // On the parent: the API server repeats a refused scalar, and these could hold a password or a key.
    rules: [
      rule(
        "isURL(self.url) && url(self.url).getScheme() in ['http', 'https'] && url(self.url).getHostname() != ''",
        'must be an http or https URL',
        '.url',
      ),
      rule("!self.url.matches('^[A-Za-z]+://[^/]*@')", 'must not hold a user name or password', '.url'),
      rule(
        "self.checksumPolicy == 'Waived' ? !has(self.checksum) : has(self.checksum)",
        'exactly one of checksum, or checksumPolicy: Waived',
        '.checksum',
      ),
      rule(
        "!has(self.caBundle) || (self.caBundle.contains('-----BEGIN CERTIFICATE-----') && !self.caBundle.contains('PRIVATE KEY'))",
        'must be certificates in PEM format, without keys',
        '.caBundle',
      ),
    ],
  },
)

const spec = object(
  {
    source: object({ http }, 'Where it comes from.'),
    description: optional(text('What it is, for people.', { max: 1024 })),
    version: optional(text('Version, for people.', { max: 63 })),
    format: optional(choice(['QCOW2', 'Raw'], 'Format of the source. Absent: found out.')),
    os: optional(
      object(
        {
          id: optional(text('Short id in osinfo-db, for example debian12.', { min: 1, max: 63 })),
          family: optional(choice(['Linux', 'Windows', 'Solaris', 'BSD', 'Other'], 'Family.')),
          name: optional(text('Name, for people.', { min: 1, max: 63 })),
          version: optional(text('Version, for people.', { min: 1, max: 63 })),
        },
        'The operating system, so that devices and boot fit it.',
        {
          rules: [
            rule(
              'has(self.id) || has(self.family) || has(self.name) || has(self.version)',
              'at least one of id, family, name, version must be set',
            ),
          ],
        },
      ),
    ),
    architecture: withDefault(choice(architectures, 'Architecture.'), 'x86_64'),
    boot: optional(
      object(
        {
          mode: optional(
            choice(
              ['HVM', 'PV', 'PVH'],
              'HVM: fully virtualised, as on KVM. PV, PVH: paravirtualised, on Xen; the image has a configuration of GRUB or extlinux. Absent: HVM where the host has it, else what the host has.',
            ),
          ),
        },
        'How a machine boots from it.',
      ),
    ),
    minimum: optional(
      object(
        {
          memory: optional(bytes('Memory.', { min: '1Mi' })),
          storage: optional(bytes('Root disk.', { min: '1Mi' })),
        },
        'Least that a machine must have to run it.',
      ),
    ),
  },
  'Where the content comes from, and what it is.',
)

const placement = object(
  {
    storagePool: text('StoragePool.', { min: 1, max: 63 }),
    digest: text('sha256 of the content that is placed.', { max: 64 }),
    state: choice(['Placing', 'Ready', 'Failed'], 'Placing is under way; only Ready can be used.'),
    percent: optional(integer('How far.', { max: 100 })),
  },
  'A copy in a storage pool.',
)

const status = object(
  {
    state: optional(choice(['Pending', 'Fetching', 'Verifying', 'Ready', 'Failed'], 'State of the stored content.')),
    progress: optional(text('How far, for people, for example 42%.', { max: 63 })),
    digest: optional(text('sha256 of the stored content, 64 hexadecimal digits.', { max: 64 })),
    format: optional(choice(['QCOW2', 'Raw'], 'Stored format.')),
    virtualSize: optional(bytes('Size of the disk as a guest sees it.')),
    storedSize: optional(bytes('Bytes stored.')),
    placements: optional(atomicList(placement, 'Where it is placed.', { max: 512 })),
    usedBy: optional(integer('Machines that need it.', { max: 10_000_000 })),
    ...commonStatus(['Fetched', 'Verified']),
  },
  'What became of it. Written by Berth alone.',
)

const shared = {
  names: { max: 63, dots: true },
  spec,
  status,
  rules: [
    once(
      'digest',
      'self.spec.source == oldSelf.spec.source',
      'source cannot be changed once content is stored: make a new image',
      '.spec.source',
    ),
    once(
      'digest',
      'self.spec.architecture == oldSelf.spec.architecture',
      'architecture cannot be changed once content is stored',
      '.spec.architecture',
    ),
  ],
  columns: [
    column('OS', '.spec.os.id', 'Operating system.'),
    column('Arch', '.spec.architecture', 'Architecture.'),
    column('Size', '.status.virtualSize', 'Size of the disk.'),
    column('State', '.status.state', 'State of the stored content.'),
    column('Progress', '.status.progress', 'How far.'),
    column('Description', '.spec.description', 'What it is.'),
    ageColumn,
    column('Used By', '.status.usedBy', 'Machines that need it.', { type: 'integer', wide: true }),
    messageColumn,
  ],
  selectableFields: ['.status.state'],
} as const

export const imageKind = defineKind({
  ...shared,
  kind: 'Image',
  plural: 'images',
  singular: 'image',
  shortNames: ['bimg'],
  namespaced: true,
  description: "Image is the stored representation of a machine's disk, for one namespace.",
})

export const clusterImageKind = defineKind({
  ...shared,
  kind: 'ClusterImage',
  plural: 'clusterimages',
  singular: 'clusterimage',
  shortNames: ['bcimg'],
  namespaced: false,
  description: "ClusterImage is the stored representation of a machine's disk, for everyone.",
})

export type ImageSpec = Read<typeof spec>
export type ImageStatus = Read<typeof status>
export type ImagePlacement = Read<typeof placement>
export type Image = BerthObject<'Image', ImageSpec, ImageStatus>
export type ClusterImage = BerthObject<'ClusterImage', ImageSpec, ImageStatus>
export type ImageManifest = BerthManifest<'Image', Written<typeof spec>>
export type ClusterImageManifest = BerthManifest<'ClusterImage', Written<typeof spec>>
