/**
 * The messages that XAPI makes for a field of a class whose objects have references: a getter; for a writable field a
 * setter, and for a set or map what adds and removes one member. The data model lists them; they follow from the field.
 */
export function derivedMessages(
  className: string,
  field: string,
  type: string,
  writable: boolean,
): [name: string, message: DerivedMessage][] {
  const self: Parameter = [`${className} ref`, 'self']
  const messages: [string, DerivedMessage][] = [
    [`get_${field}`, { parameters: [self], result: type, accessor: { kind: 'get', field } }],
  ]
  if (!writable) return messages
  const add = (kind: Accessor['kind'], ...parameters: Parameter[]) =>
    messages.push([
      `${kind}_${field}`,
      { parameters: [self, ...parameters], result: 'void', accessor: { kind, field } },
    ])
  add('set', [type, 'value'])
  const map = /^\((.+?) -> (.+)\) map$/.exec(type)
  const set = /^(.+) set$/.exec(type)
  if (map) {
    add('add_to', [map[1] ?? '', 'key'], [map[2] ?? '', 'value'])
    add('remove_from', [map[1] ?? '', 'key'])
  } else if (set) {
    add('add', [set[1] ?? '', 'value'])
    add('remove', [set[1] ?? '', 'value'])
  }
  return messages
}

/** A parameter's type and name, as the data model says them. */
export type Parameter = readonly [type: string, name: string]

export interface Accessor {
  readonly kind: 'get' | 'set' | 'add' | 'remove' | 'add_to' | 'remove_from'
  readonly field: string
}

export interface DerivedMessage {
  /** Without the session, which comes first in every call. */
  readonly parameters: readonly Parameter[]
  readonly result: string
  readonly accessor: Accessor
}
