import { isDeepStrictEqual } from 'node:util'
import { XapiError } from '../errors.ts'
import type { Class, Message } from '../model/model.ts'
import { enumeration } from '../model/model.ts'
import { readValue, type Value } from '../model/types.ts'
import type { Call, Handler } from './call.ts'
import { matches } from './filter.ts'

/** What every class answers alike; undefined if the message is of another kind. */
export function genericHandler(owner: Class, message: Message): Handler | undefined {
  if (message.accessor) return accessor(message, message.accessor.kind, message.accessor.field)
  const { name } = owner
  const records = (call: Call) => call.pool.database.rows(name)
  switch (message.name) {
    case 'get_record':
      return ({ pool }, { self }) => pool.database.row(name, String(self)).fields
    case 'get_all':
      return (call) => records(call).map(({ reference }) => reference)
    case 'get_all_records':
      return (call) => Object.fromEntries(records(call).map(({ reference, fields }) => [reference, fields]))
    case 'get_all_records_where':
      return (call, { expr }) =>
        Object.fromEntries(
          records(call)
            .filter(({ fields }) => matches(String(expr), fields))
            .map(({ reference, fields }) => [reference, fields]),
        )
    case 'get_by_uuid':
      return (call, { uuid }) => {
        const row = records(call).find(({ fields }) => fields['uuid'] === uuid)
        if (row === undefined) throw new XapiError('UUID_INVALID', name, String(uuid))
        return row.reference
      }
    case 'get_by_name_label':
      return (call, { label }) =>
        records(call)
          .filter(({ fields }) => fields['name_label'] === label)
          .map(({ reference }) => reference)
    default:
      return undefined
  }
}

function accessor({ className }: Message, kind: string, field: string): Handler {
  const read = ({ pool }: Call, self: Value | undefined) => pool.database.row(className, String(self)).fields[field]
  const write = ({ pool }: Call, self: Value | undefined, value: Value | undefined) =>
    pool.database.update(className, String(self), { [field]: value } as object)
  const entries = (value: Value | undefined) => (value ?? {}) as Readonly<Record<string, Value>>
  const members = (value: Value | undefined) => (value ?? []) as readonly Value[]
  switch (kind) {
    case 'get':
      return (call, { self }) => read(call, self)
    case 'set':
      return (call, { self, value }) => write(call, self, value)
    case 'add':
      return (call, { self, value }) => {
        const present = members(read(call, self))
        if (!present.some((member) => isDeepStrictEqual(member, value))) write(call, self, [...present, value ?? ''])
      }
    case 'remove':
      return (call, { self, value }) =>
        write(
          call,
          self,
          members(read(call, self)).filter((member) => !isDeepStrictEqual(member, value)),
        )
    case 'add_to':
      return (call, { self, key, value }) => {
        const present = entries(read(call, self))
        if (Object.hasOwn(present, String(key))) {
          throw new XapiError('MAP_DUPLICATE_KEY', className, field, String(self), String(key))
        }
        write(call, self, Object.fromEntries([...Object.entries(present), [String(key), value ?? '']]))
      }
    default:
      return (call, { self, key }) =>
        write(
          call,
          self,
          Object.fromEntries(Object.entries(entries(read(call, self))).filter(([name]) => name !== key)),
        )
  }
}

/**
 * Reads the record that makes an object: fields that are not there have their defaults, what the server decides is
 * left out of what the client said.
 * @throws FIELD_TYPE_ERROR, or INTERNAL_ERROR for a field that must be there, as xapi has it
 */
export function readConstructorRecord({ fields }: Class, raw: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(
    [...fields.values()]
      .filter(({ qualifier }) => qualifier !== 'RO')
      .map(({ name, type, required, empty }) => {
        if (Object.hasOwn(raw, name)) return [name, readValue(type, raw[name], name, enumeration)]
        if (required) throw new XapiError('INTERNAL_ERROR', `Server_helpers.Dispatcher_FieldNotFound("${name}")`)
        return [name, empty]
      }),
  )
}
