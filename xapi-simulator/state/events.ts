import { XapiError } from '../errors.ts'
import { type ClassName, classes } from '../model/model.ts'
import type { Value } from '../model/types.ts'
import type { Database } from './database.ts'

export interface EventBatch {
  readonly token: string
  readonly events: readonly {
    readonly id: string
    readonly timestamp: string
    readonly class: string
    readonly operation: 'add' | 'mod' | 'del'
    readonly ref: string
    readonly snapshot?: Value
  }[]
  readonly valid_ref_counts: Readonly<Record<string, number>>
}

/** Classes whose objects make no events. */
const silent: ReadonlySet<ClassName> = new Set(['session', 'event', 'user', 'auth'])

/** What a client wants to hear of: `*`, a class in any case, or `class/reference`. */
function subscribes(subscriptions: readonly string[], className: ClassName, reference: string): boolean {
  const name = className.toLowerCase()
  return subscriptions.some((subscription) => {
    if (subscription === '*') return true
    const [wanted = '', only] = subscription.split('/')
    return wanted.toLowerCase() === name && (only === undefined || only === reference)
  })
}

/** A token as xapi writes it: the generation of the database, and that of messages, of which there are none here. */
export function eventToken(generation: number): string {
  return `${String(generation).padStart(20, '0')},${'0'.repeat(20)}`
}

/** @throws EVENT_FROM_TOKEN_PARSE_FAILURE */
export function readToken(token: string): number {
  if (token === '') return 0
  const [, generation] = /^(\d+),\d+$/.exec(token) ?? []
  if (generation === undefined) throw new XapiError('EVENT_FROM_TOKEN_PARSE_FAILURE', token)
  return Number(generation)
}

/**
 * What happened after a token: one event an object, with the object as it is now; nothing of an object that came and
 * went since. Additions come first, then changes, then deletions.
 * @throws EVENTS_LOST for a token from before what is remembered
 */
export function eventsSince(database: Database, subscriptions: readonly string[], since: number): EventBatch {
  if (since > 0 && since < database.oldestToken) throw new XapiError('EVENTS_LOST')
  const live = [...classes.keys()]
    .filter((className) => !silent.has(className))
    .flatMap((className) =>
      database
        .rows(className)
        .filter((row) => row.modified > since && subscribes(subscriptions, className, row.reference))
        .map((row) => ({ className, row })),
    )
    .toSorted((a, b) => a.row.modified - b.row.modified)
  const event = (operation: 'add' | 'mod' | 'del', className: ClassName, ref: string, id: number) => ({
    id: String(id),
    timestamp: '0.0',
    class: className.toLowerCase(),
    operation,
    ref,
  })
  const added = live.filter(({ row }) => row.created > since)
  const changed = live.filter(({ row }) => row.created <= since)
  const deleted = database.deleted.filter(
    ({ className, reference, created, deleted }) =>
      deleted > since && created <= since && !silent.has(className) && subscribes(subscriptions, className, reference),
  )
  return {
    token: eventToken(database.generation),
    events: [
      ...added.map(({ className, row }) => ({
        ...event('add', className, row.reference, row.created),
        snapshot: row.fields,
      })),
      ...changed.map(({ className, row }) => ({
        ...event('mod', className, row.reference, row.modified),
        snapshot: row.fields,
      })),
      ...deleted.map(({ className, reference, deleted }) => event('del', className, reference, deleted)),
    ],
    valid_ref_counts: Object.fromEntries(
      [...classes.keys()].map((className) => [className.toLowerCase(), database.rows(className).length]),
    ),
  }
}
