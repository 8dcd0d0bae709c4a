import { XapiError } from '../errors.ts'
import { classes, classOf, enumeration, type Message } from '../model/model.ts'
import { parseType, readValue, type Type, type Value } from '../model/types.ts'
import { newReference } from '../state/database.ts'
import type { Member, Pool } from '../state/pool.ts'
import { encodeXml } from '../wire/xml-rpc.ts'
import type { Call } from './call.ts'
import { readConstructorRecord } from './generic.ts'
import { handlerOf } from './handlers.ts'
import { finishTask, makeTask } from './task.ts'

/** The outcome of a message, with its type, by which it is written. */
export interface Reply {
  readonly type: Type
  readonly value: Value
}

const messages: ReadonlyMap<string, Message> = new Map(
  [...classes.values()].flatMap((entry) =>
    [...entry.messages.values()].map((message) => [`${entry.name}.${message.name}`, message] as const),
  ),
)

/** Messages by the other form of their names, for languages in which `event.from` cannot be written. */
const underscored: ReadonlyMap<string, Message> = new Map(
  [...messages].map(([name, message]) => [name.replace('.', '_'), message]),
)

/**
 * Carries out a message, as a member of a pool gets it.
 * @throws XapiError
 */
export async function dispatch(
  pool: Pool,
  member: Member,
  method: string,
  parameters: readonly unknown[],
): Promise<Reply> {
  if (method === 'system.listMethods') return { type: parseType('string set'), value: [...messages.keys()] }
  const [, prefix, name = ''] = /^((?:Internal)?Async\.)?(.*)$/s.exec(method) ?? []
  const message = messages.get(name) ?? (prefix === undefined ? underscored.get(name) : undefined)
  // What a class answers of its records alone has no asynchronous form.
  if (message === undefined || (prefix !== undefined && isGeneric(message))) {
    throw new XapiError('MESSAGE_METHOD_UNKNOWN', method)
  }
  const { session, given } = readParameters(message, name, parameters)
  if (message.session) checkSession(pool, member, session)
  if (message.removed) throw new XapiError('MESSAGE_REMOVED')
  const handler = handlerOf(message)
  if (handler === undefined) throw new XapiError('NOT_IMPLEMENTED', name)
  const carryOut = async (task: string) => {
    const call: Call = { pool, member, session, task, work: () => work(pool, task, name) }
    return ((await handler(call, given)) ?? '') as Value
  }
  if (prefix === undefined) return { type: message.result, value: await carryOut(newReference()) }

  const task = makeTask(pool, method, member.host)
  carryOut(task)
    .then((value) =>
      finishTask(pool, task, { result: message.result.kind === 'void' ? '' : encodeXml(message.result, value) }),
    )
    .catch((error: unknown) => finishTask(pool, task, { error: asXapiError(error) }))
  return { type: parseType('task ref'), value: task }
}

/** Any failure as XAPI tells it. */
export function asXapiError(error: unknown): XapiError {
  if (error instanceof XapiError) return error
  return new XapiError('INTERNAL_ERROR', error instanceof Error ? error.message : String(error))
}

/** What is answered from the records alone. */
function isGeneric({ accessor, name }: Message): boolean {
  return accessor !== undefined || /^get_(record|all|all_records|all_records_where|by_uuid|by_name_label)$/.test(name)
}

function readParameters(message: Message, name: string, sent: readonly unknown[]) {
  const given = message.session ? sent.slice(1) : sent
  const required = message.parameters.filter((parameter) => parameter.default === undefined).length
  // Of optional parameters xapi takes those that are there, and overlooks any more.
  const enough = required < message.parameters.length ? given.length >= required : given.length === required
  if (!enough || (message.session && sent.length === 0)) {
    const received = sent.length - (message.session ? 1 : 0)
    throw new XapiError('MESSAGE_PARAMETER_COUNT_MISMATCH', name, String(required), String(received))
  }
  const session = message.session ? readValue(parseType('session ref'), sent[0], 'session_id', enumeration) : ''
  const values = message.parameters.map((parameter, index) => {
    const value = index < given.length ? given[index] : parameter.default
    const read = readValue(parameter.type, value, parameter.name, enumeration)
    const makes = message.name === 'create' && parameter.type.kind === 'record'
    return [
      parameter.name,
      makes ? readConstructorRecord(classOf(message.className), read as Readonly<Record<string, Value>>) : read,
    ]
  })
  return { session: String(session), given: Object.fromEntries(values) as Readonly<Record<string, Value>> }
}

/** @throws SESSION_INVALID; HOST_IS_SLAVE for a session that is known, at a host that is not the master */
function checkSession(pool: Pool, member: Member, session: string): void {
  if (!sessionIsValid(pool, session)) throw new XapiError('SESSION_INVALID', session)
  if (pool.self[1].master !== member.host) throw new XapiError('HOST_IS_SLAVE', pool.masterAddress)
}

/** Whether a session is known and was used lately, as it is now. One that was not is gone. */
export function sessionIsValid({ database, lastActive, options }: Pool, session: string): boolean {
  if (database.find('session', session) === undefined) return false
  const time = options.clock.now()
  if (time - (lastActive.get(session) ?? time) > options.sessionTimeout) {
    database.remove('session', session)
    return false
  }
  lastActive.set(session, time)
  return true
}

/** How many times a task tells of its progress. */
const steps = 4

/** Lets the time pass that a message is set to take. @throws TASK_CANCELLED */
async function work(pool: Pool, task: string, name: string): Promise<void> {
  const duration = pool.durations.get(name) ?? 0
  for (let step = 1; step <= steps && duration > 0; step++) {
    await new Promise<void>((resolve, reject) => {
      const callOff = pool.options.clock.after(duration / steps, () => {
        pool.cancellations.delete(task)
        resolve()
      })
      pool.cancellations.set(task, () => {
        pool.cancellations.delete(task)
        callOff()
        reject(new XapiError('TASK_CANCELLED', task))
      })
    })
    if (step < steps && pool.database.find('task', task)) {
      pool.database.update('task', task, { progress: step / steps })
    }
  }
}
