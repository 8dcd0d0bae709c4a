import type { BerthManifest, BerthObject } from '../object.ts'
import { bytes, leastMemory, mostCpus } from '../schema/amounts.ts'
import { choice, integer, object, optional, text, time } from '../schema/base.ts'
import { immutable, rule } from '../schema/cel.ts'
import { commonStatus } from '../schema/conditions.ts'
import { ageColumn, column, defineKind, messageColumn } from '../schema/kind.ts'
import { label } from '../schema/names.ts'
import { scheduling, type taint, taints } from '../schema/scheduling.ts'
import type { Read, Written } from '../schema/static.ts'

const spec = object(
  {
    hypervisor: label('Hypervisor.'),
    cpus: integer('CPUs that a machine may have here.', { min: 1, max: mostCpus }),
    memory: bytes('Memory that a machine may have here.', { min: leastMemory }),
    taints: optional(taints()),
    scheduling: scheduling(),
  },
  'What fits in, and what is kept out.',
  { rules: [immutable('hypervisor')] },
)

const consumerRef = object(
  {
    namespace: text('Namespace.', { min: 1, max: 63 }),
    name: text('VirtualMachine.', { min: 1, max: 63 }),
    uid: text('Uid: the claim is for this very object.', { min: 1, max: 64 }),
    since: time('When it was claimed.'),
  },
  'The claim: the one machine that holds the slot.',
)

const status = object(
  {
    phase: optional(
      choice(
        ['Free', 'Bound', 'Releasing', 'Unavailable'],
        'Free can be claimed; Bound is held by a machine; Releasing is being given back, with no way back to Bound; Unavailable is not held, and cannot be claimed now.',
      ),
    ),
    consumerRef: optional(consumerRef),
    ...commonStatus(['Occupied']),
  },
  'Who holds it. Written by Berth alone.',
)

const held = (object: 'self' | 'oldSelf') => `(has(${object}.status) && has(${object}.status.consumerRef))`
const inPhase = (object: 'self' | 'oldSelf', ...phases: readonly string[]) =>
  `(has(${object}.status) && has(${object}.status.phase) && ${object}.status.phase in [${phases.map((phase) => `'${phase}'`).join(', ')}])`

/**
 * The claim is a one-way street, Free → Bound → Releasing → Free. These rules are a second fence behind the controller's
 * compare-and-swaps. They stand at the root, so that a status that is removed as a whole cannot pass by them.
 */
const fence = [
  rule(
    `!${held('oldSelf')} || !${held('self')} || oldSelf.status.consumerRef.uid == self.status.consumerRef.uid`,
    'a claimed slot must be released before another machine claims it',
    '.status.consumerRef',
  ),
  rule(
    `!${held('oldSelf')} || ${held('self')} || ${inPhase('oldSelf', 'Releasing')}`,
    'a slot is released only from Releasing',
    '.status.consumerRef',
  ),
  rule(
    `!${inPhase('oldSelf', 'Releasing')} || !${inPhase('self', 'Bound')}`,
    'a slot that is being released cannot be bound again',
    '.status.phase',
  ),
  rule(
    `${held('self')} == ${inPhase('self', 'Bound', 'Releasing')}`,
    'consumerRef belongs to phases Bound and Releasing, and to no other',
    '.status.phase',
  ),
]

export const slotKind = defineKind({
  kind: 'Slot',
  plural: 'slots',
  singular: 'slot',
  shortNames: ['bslot'],
  namespaced: false,
  description: 'Slot is the ability to run one machine.',
  names: { max: 63, dots: false },
  spec,
  status,
  rules: fence,
  columns: [
    column('Hypervisor', '.spec.hypervisor', 'Hypervisor that it is on.'),
    column('Phase', '.status.phase', 'Whether it is held.'),
    column('Consumer', '.status.consumerRef.name', 'VirtualMachine that holds it.'),
    column('CPUs', '.spec.cpus', 'CPUs that fit in.', { type: 'integer' }),
    column('Memory', '.spec.memory', 'Memory that fits in.'),
    ageColumn,
    column('Namespace', '.status.consumerRef.namespace', 'Namespace of the VirtualMachine.', { wide: true }),
    messageColumn,
  ],
  selectableFields: ['.spec.hypervisor', '.status.phase'],
})

export type SlotSpec = Read<typeof spec>
export type SlotStatus = Read<typeof status>
export type SlotPhase = NonNullable<SlotStatus['phase']>
export type ConsumerRef = Read<typeof consumerRef>
export type Taint = Read<typeof taint>
export type Slot = BerthObject<'Slot', SlotSpec, SlotStatus>
export type SlotManifest = BerthManifest<'Slot', Written<typeof spec>>
