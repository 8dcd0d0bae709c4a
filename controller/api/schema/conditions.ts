import { choice, integer, mapList, object, optional, text, time } from './base.ts'
import type { Read } from './static.ts'

/** metav1.Condition with bounds. `observedGeneration` is always written: kubectl wait compares it. */
export const condition = object(
  {
    type: text('What it is about.', { min: 1, max: 64 }),
    status: choice(['True', 'False', 'Unknown'], 'Whether it holds.'),
    reason: text('Why, in one word.', { min: 1, max: 128 }),
    message: text('Why, for people.', { max: 4096 }),
    observedGeneration: integer('metadata.generation that this was computed from.', {
      max: Number.MAX_SAFE_INTEGER,
      format: 'int64',
    }),
    lastTransitionTime: time('When the status of this condition last changed.'),
  },
  'One aspect of the state.',
)

/** What every status has. `types` are the conditions of the kind beside Ready, Reconciling and Stalled. */
export const commonStatus = (types: readonly string[] = []) => ({
  observedGeneration: optional(
    integer('metadata.generation that this status is about.', { max: Number.MAX_SAFE_INTEGER, format: 'int64' }),
  ),
  conditions: optional(
    mapList(
      ['type'],
      condition,
      `What is so, and why: ${['Ready', ...types].join(', ')}; Reconciling or Stalled while so.`,
      { max: 32 },
    ),
  ),
})

export type Condition = Read<typeof condition>
