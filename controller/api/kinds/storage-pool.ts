import type { BerthManifest, BerthObject } from '../object.ts'
import { bytes } from '../schema/amounts.ts'
import { choice, integer, object, optional, text, withDefault } from '../schema/base.ts'
import { atMostOne, immutable, immutableOptional, rule } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, column, defineKind, messageColumn, readyColumn } from '../schema/kind.ts'
import { absolutePath, label, uuid } from '../schema/names.ts'
import type { Read, Written } from '../schema/static.ts'

const spec = object(
  {
    hypervisor: label('Hypervisor.'),
    type: choice(['Directory', 'SR'], 'Storage plugin.'),
    poolName: optional(
      text('Name of the pool on the hypervisor; of an SR its name label. Absent: metadata.name.', {
        min: 1,
        max: 253,
      }),
    ),
    uuid: optional(uuid('UUID of an SR, instead of its name.')),
    path: optional(absolutePath('Where no pool of that name exists, one is defined in this folder.')),
    order: withDefault(
      integer('Which is tried first when a volume is made: lowest first, then by name.', { min: -1000, max: 1000 }),
      0,
    ),
    reserve: withDefault(bytes('Space that is left free.'), '0'),
  },
  'Where the storage is, and how it is used.',
  {
    rules: [
      immutable('hypervisor'),
      immutable('type'),
      immutableOptional('poolName'),
      immutableOptional('uuid'),
      immutableOptional('path'),
      atMostOne('poolName', 'uuid'),
      rule("!has(self.uuid) || self.type == 'SR'", 'uuid is for type SR', '.uuid'),
      rule("!has(self.path) || self.type == 'Directory'", 'path is for type Directory only', '.path'),
    ],
  },
)

const status = object(
  {
    id: optional(text('UUID of the pool.', { max: 36 })),
    capacity: optional(bytes('Capacity.')),
    allocated: optional(bytes('Used.')),
    free: optional(bytes('Free.')),
    volumes: optional(integer('Volumes in it, also those that are not ours.', { max: 10_000_000 })),
    ...commonStatus(['SpaceLow']),
  },
  'What was seen. Written by Berth alone.',
)

export const storagePoolKind = defineKind({
  kind: 'StoragePool',
  plural: 'storagepools',
  singular: 'storagepool',
  shortNames: ['bsp'],
  namespaced: false,
  description: 'StoragePool is storage on a hypervisor.',
  names: { max: 63, dots: false },
  spec,
  status,
  columns: [
    column('Hypervisor', '.spec.hypervisor', 'Hypervisor that it is on.'),
    column('Type', '.spec.type', 'Storage plugin.'),
    readyColumn,
    column('Capacity', '.status.capacity', 'Capacity.'),
    column('Free', '.status.free', 'Free space.'),
    ageColumn,
    column('Order', '.spec.order', 'Lowest is tried first.', { type: 'integer', wide: true }),
    messageColumn,
  ],
  selectableFields: ['.spec.hypervisor'],
})

export type StoragePoolSpec = Read<typeof spec>
export type StoragePoolStatus = Read<typeof status>
export type StoragePool = BerthObject<'StoragePool', StoragePoolSpec, StoragePoolStatus>
export type StoragePoolManifest = BerthManifest<'StoragePool', Written<typeof spec>>
