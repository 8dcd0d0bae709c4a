import type { dataModel } from '../model/data-model.ts'
import type { ArgumentsOf, ClassName } from '../model/model.ts'
import type { Value } from '../model/types.ts'
import type { Member, Pool } from '../state/pool.ts'

/** A message on its way: whose it is and what carries it out. */
export interface Call {
  readonly pool: Pool
  /** The member that was asked. */
  readonly member: Member
  /** The session's reference; empty for messages that need none. */
  readonly session: string
  /** The task's reference, under which the work is shown in `current_operations`. */
  readonly task: string
  /** Takes the time that the message is set to take. @throws TASK_CANCELLED */
  readonly work: () => Promise<void>
}

/** What carries out the messages of a class, by their names. */
export type Handlers<C extends ClassName> = {
  readonly [M in keyof (typeof dataModel)[C]['messages']]?: (
    call: Call,
    given: ArgumentsOf<C, M>,
  ) => Value | undefined | Promise<Value | undefined>
}

export type Handler = (call: Call, given: Readonly<Record<string, Value>>) => unknown
