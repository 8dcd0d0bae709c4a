import { dataModel } from './data-model.ts'
import { type Accessor, derivedMessages, type Parameter } from './derived.ts'
import { parameterDefaults } from './parameter-defaults.ts'
import { emptyValue, parseType, type Type, type Value } from './types.ts'

export type ClassName = keyof typeof dataModel

/** The TypeScript type of a type of the data model. Values of maps are text, as all maps that matter here have it. */
type Typed<T extends string> = T extends `${string} set`
  ? T extends 'int set'
    ? readonly number[]
    : readonly string[]
  : T extends `${string} map`
    ? Readonly<Record<string, string>>
    : T extends 'int' | 'float'
      ? number
      : T extends 'bool'
        ? boolean
        : T extends `${infer C extends ClassName} record`
          ? RecordOf<C>
          : string

/** A record of a class, as the data model has its fields. */
export type RecordOf<C extends ClassName> = {
  readonly [F in keyof (typeof dataModel)[C]['fields']]: (typeof dataModel)[C]['fields'][F] extends readonly [
    infer T extends string,
    ...unknown[],
  ]
    ? Typed<T>
    : never
}

/** What a message is given, by the names of its parameters, without the session. */
export type ArgumentsOf<
  C extends ClassName,
  M extends keyof (typeof dataModel)[C]['messages'],
> = (typeof dataModel)[C]['messages'][M] extends { readonly parameters: infer P extends readonly Parameter[] }
  ? { readonly [Q in P[number] as Q[1]]: Typed<Q[0]> }
  : never

export interface Field {
  readonly name: string
  readonly type: Type
  /** `constructor`: given when the object is made, and not changed by a plain setter. */
  readonly qualifier: 'RW' | 'RO' | 'constructor'
  readonly empty: Value
  /** A field that may be said when the object is made, and must be, since the data model has no default for it. */
  readonly required: boolean
}

export interface Message {
  readonly className: ClassName
  readonly name: string
  /** Without the session. */
  readonly parameters: readonly { readonly name: string; readonly type: Type; readonly default?: Value }[]
  readonly result: Type
  /** Whether a session comes first. */
  readonly session: boolean
  readonly removed: boolean
  /** Set when the message reads or writes one field and does no more. */
  readonly accessor?: Accessor
}

export interface Class {
  readonly name: ClassName
  readonly fields: ReadonlyMap<string, Field>
  readonly messages: ReadonlyMap<string, Message>
}

interface ClassTable {
  readonly accessors: boolean
  readonly fields: Readonly<Record<string, readonly [string, string, string?]>>
  readonly messages: Readonly<
    Record<
      string,
      {
        readonly parameters: readonly Parameter[]
        readonly result: string
        readonly session?: boolean
        readonly removed?: boolean
      }
    >
  >
  readonly enums: Readonly<Record<string, readonly string[]>>
}

const tables: Readonly<Record<string, ClassTable>> = dataModel

/** All classes of XAPI by name, with all their messages. */
export const classes: ReadonlyMap<ClassName, Class> = new Map(
  Object.entries(tables).map(([name, table]) => [name as ClassName, readClass(name as ClassName, table)]),
)

const enumerations: ReadonlyMap<string, readonly string[]> = new Map(
  Object.values(tables).flatMap(({ enums }) => Object.entries(enums)),
)

/** The values of an enumeration; none if there is no such. */
export function enumeration(name: string): readonly string[] {
  return enumerations.get(name) ?? []
}

export function classOf(name: ClassName): Class {
  const found = classes.get(name)
  if (found === undefined) throw new Error(`There is no class ${name}.`)
  return found
}

function readClass(className: ClassName, table: ClassTable): Class {
  const fields = Object.entries(table.fields).map(([name, [type, qualifier, written]]): [string, Field] => [
    name,
    {
      name,
      type: parseType(type),
      qualifier: qualifier as Field['qualifier'],
      empty: emptyValue(parseType(type), written),
      required: qualifier !== 'RO' && written === undefined,
    },
  ])
  const derived = table.accessors
    ? Object.entries(table.fields).flatMap(([name, [type, qualifier]]) =>
        derivedMessages(className, name, type, qualifier === 'RW'),
      )
    : []
  const messages = [
    ...derived.map(([name, message]) => readMessage(className, name, message)),
    ...Object.entries(table.messages).map(([name, message]) => readMessage(className, name, message)),
  ]
  if (table.messages['get_all_records'] !== undefined) {
    // The data model leaves it out, though every class that has get_all_records answers it.
    messages.push(
      readMessage(className, 'get_all_records_where', {
        parameters: [['string', 'expr']],
        result: `(${className} ref -> ${className} record) map`,
      }),
    )
  }
  return { name: className, fields: new Map(fields), messages: new Map(messages.map((entry) => [entry.name, entry])) }
}

function readMessage(
  className: ClassName,
  name: string,
  message: ClassTable['messages'][string] & { readonly accessor?: Accessor },
): Message {
  const defaults = parameterDefaults[`${className}.${name}`] ?? {}
  return {
    className,
    name,
    parameters: message.parameters.map(([type, name]) => {
      const fallback = defaults[name]
      return { name, type: parseType(type), ...(fallback === undefined ? {} : { default: fallback }) }
    }),
    result: parseType(message.result),
    session: message.session !== false,
    removed: message.removed === true,
    ...(message.accessor === undefined ? {} : { accessor: message.accessor }),
  }
}
