import type { BerthManifest, BerthObject } from '../object.ts'
import { bytes, leastMemory, mostCpus } from '../schema/amounts.ts'
import { integer, object, optional, text } from '../schema/base.ts'
import { ageColumn, column, defineKind } from '../schema/kind.ts'
import { room, roomRules } from '../schema/room.ts'
import type { Read, Written } from '../schema/static.ts'

const spec = object(
  {
    cpus: integer('Virtual CPUs.', { min: 1, max: mostCpus }),
    memory: bytes('Memory, for example 2Gi.', { min: leastMemory }),
    ...room,
    storage: optional(bytes('Size of the root disk. Absent: that of the image.', { min: '1Mi' })),
    description: optional(text('For people.', { max: 1024 })),
  },
  'How much. A change never touches a machine that exists: what was resolved is in its status.',
  { rules: roomRules },
)

export const virtualMachineSizeKind = defineKind({
  kind: 'VirtualMachineSize',
  plural: 'virtualmachinesizes',
  singular: 'virtualmachinesize',
  shortNames: ['bsize'],
  namespaced: false,
  description: 'VirtualMachineSize is a named amount of CPUs, memory and storage.',
  names: { max: 63, dots: true },
  spec,
  columns: [
    column('CPUs', '.spec.cpus', 'Virtual CPUs.', { type: 'integer' }),
    column('Memory', '.spec.memory', 'Memory.'),
    column('Storage', '.spec.storage', 'Size of the root disk.'),
    ageColumn,
    column('Description', '.spec.description', 'For people.', { wide: true }),
  ],
})

export type VirtualMachineSizeSpec = Read<typeof spec>
export type VirtualMachineSize = BerthObject<'VirtualMachineSize', VirtualMachineSizeSpec>
export type VirtualMachineSizeManifest = BerthManifest<'VirtualMachineSize', Written<typeof spec>>
