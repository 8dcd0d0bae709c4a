import { XapiError } from '../errors.ts'

/** A value as XAPI's types know it: ints and floats are numbers, sets arrays, maps and records objects. */
export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value }

export type Type =
  | { readonly kind: 'string' | 'int' | 'float' | 'bool' | 'datetime' | 'void' | 'other' }
  | { readonly kind: 'enum'; readonly name: string }
  | { readonly kind: 'ref' | 'record'; readonly className: string }
  | { readonly kind: 'set'; readonly member: Type }
  | { readonly kind: 'map'; readonly key: Type; readonly value: Type }

/** The null reference. */
export const nullReference = 'OpaqueRef:NULL'

const parsed = new Map<string, Type>()

/** Reads a type of the data model, such as `(string -> enum vm_operations) map`. */
export function parseType(text: string): Type {
  let type = parsed.get(text)
  if (type === undefined) {
    type = parse(text)
    parsed.set(text, type)
  }
  return type
}

function parse(text: string): Type {
  const map = /^\((.+?) -> (.+)\) map$/.exec(text)
  if (map) return { kind: 'map', key: parseType(map[1] ?? ''), value: parseType(map[2] ?? '') }
  const [, inner, suffix] = /^(.+) (set|ref|record)$/.exec(text) ?? []
  if (inner !== undefined && suffix === 'set') return { kind: 'set', member: parseType(inner) }
  if (inner !== undefined && (suffix === 'ref' || suffix === 'record')) return { kind: suffix, className: inner }
  if (text.startsWith('enum ')) return { kind: 'enum', name: text.slice('enum '.length) }
  switch (text) {
    case 'string':
    case 'int':
    case 'float':
    case 'bool':
    case 'datetime':
    case 'void':
      return { kind: text }
    default:
      // Types of a few results: options, event batches.
      return { kind: 'other' }
  }
}

/**
 * What a client sent, as a value of the type. Numbers may come as text, as they do over XML-RPC.
 * @throws FIELD_TYPE_ERROR with the name of the field or parameter
 */
export function readValue(
  type: Type,
  raw: unknown,
  name: string,
  enumerations: (name: string) => readonly string[],
): Value {
  const wrong = () => new XapiError('FIELD_TYPE_ERROR', name)
  switch (type.kind) {
    case 'string':
      if (typeof raw !== 'string') throw wrong()
      return raw
    case 'ref':
      if (typeof raw !== 'string') throw wrong()
      // Clients say both for "none".
      return raw === '' || raw === 'NULL' ? nullReference : raw
    case 'datetime': {
      if (typeof raw !== 'string' || !/^\d{4}-?\d\d-?\d\dT\d\d:?\d\d:?\d\d(\.\d+)?Z?$/.test(raw)) throw wrong()
      return raw
    }
    case 'int': {
      const number = typeof raw === 'string' && /^-?\d+$/.test(raw) ? Number(raw) : raw
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw wrong()
      return number
    }
    case 'float': {
      const number = typeof raw === 'string' && raw !== '' ? Number(raw) : raw
      if (typeof number !== 'number' || Number.isNaN(number)) throw wrong()
      return number
    }
    case 'bool':
      if (typeof raw !== 'boolean') throw wrong()
      return raw
    case 'enum':
      if (typeof raw !== 'string' || !enumerations(type.name).includes(raw)) throw wrong()
      return raw
    case 'set':
      if (!Array.isArray(raw)) throw wrong()
      return raw.map((member) => readValue(type.member, member, name, enumerations))
    case 'map':
      if (!isObject(raw)) throw wrong()
      return Object.fromEntries(
        Object.entries(raw).map(([key, value]) => [
          String(readValue(type.key, key, name, enumerations)),
          readValue(type.value, value, name, enumerations),
        ]),
      )
    case 'record':
      // Its fields are read by who knows the class.
      if (!isObject(raw)) throw wrong()
      return raw as Value
    default:
      throw wrong()
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value that a field has when nothing was said: the data model's default, else the empty value of its type. */
export function emptyValue(type: Type, written?: string): Value {
  switch (type.kind) {
    case 'string':
      return written?.replace(/^"(.*)"$/, '$1') ?? ''
    case 'int':
    case 'float':
      return Number(written ?? 0)
    case 'bool':
      return written === 'true'
    case 'datetime':
      return written ?? '19700101T00:00:00Z'
    case 'ref':
      return nullReference
    case 'enum':
      return written ?? ''
    case 'set':
      return [...(written?.matchAll(/[^{}; ]+/g) ?? [])].map(([member]) => emptyValue(type.member, member))
    case 'map':
      return Object.fromEntries(
        [...(written?.matchAll(/"([^"]*)" -> "([^"]*)"/g) ?? [])].map(([, key, value]) => [key, value ?? '']),
      )
    default:
      return ''
  }
}
