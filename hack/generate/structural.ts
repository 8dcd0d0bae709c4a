/**
 * From TypeBox's JSON schema to the structural subset that a CustomResourceDefinition takes. Strict: a keyword that is
 * not known here is refused, as is whatever lacks a description or a bound, since the API server would drop the first
 * silently and could not estimate the cost of CEL rules without the second.
 */

export interface StructuralSchema {
  readonly [keyword: string]: unknown
}

type Schema = Readonly<Record<string, unknown>>

export class SchemaError extends Error {
  override readonly name = 'SchemaError'
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`)
  }
}

const common = ['type', 'description', 'default', 'x-kubernetes-validations']

/** Keywords that may stand beside `common`, by kind of schema. */
const known = {
  string: ['minLength', 'maxLength', 'format'],
  enum: ['enum'],
  integer: ['format', 'minimum', 'maximum'],
  array: ['items', 'minItems', 'maxItems', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys'],
  object: ['properties', 'required', 'x-kubernetes-map-type'],
  map: ['patternProperties', 'maxProperties'],
} as const

type Sort = keyof typeof known

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function structural(schema: unknown, path: string): StructuralSchema {
  if (!isSchema(schema)) throw new SchemaError(path, 'is not a schema')
  const sort = sortOf(schema, path)
  const allowed = new Set<string>([...common, ...known[sort]])
  const unknown = Object.keys(schema).find((keyword) => !allowed.has(keyword))
  if (unknown !== undefined) throw new SchemaError(path, `keyword ${unknown} is not known for ${sort}`)
  if (typeof schema['description'] !== 'string' || schema['description'] === '') {
    throw new SchemaError(path, 'has no description')
  }
  return { ...schema, ...converters[sort](schema, path) }
}

function sortOf(schema: Schema, path: string): Sort {
  const { type } = schema
  if (type === 'string') return 'enum' in schema ? 'enum' : 'string'
  if (type === 'object') return 'patternProperties' in schema ? 'map' : 'object'
  if (type === 'integer' || type === 'array') return type
  throw new SchemaError(path, `type ${JSON.stringify(type)} is not known`)
}

const bounded = (schema: Schema, path: string, ...keywords: readonly string[]): void => {
  const missing = keywords.find((keyword) => typeof schema[keyword] !== 'number')
  if (missing !== undefined) throw new SchemaError(path, `has no ${missing}`)
}

type Converter = (schema: Schema, path: string) => StructuralSchema

const converters: Readonly<Record<Sort, Converter>> = {
  string(schema, path) {
    const { format } = schema
    if (format === 'date-time') return {}
    if (format !== undefined) throw new SchemaError(path, `format ${JSON.stringify(format)} is not known`)
    bounded(schema, path, 'maxLength')
    return {}
  },

  enum(schema, path) {
    const values = schema['enum']
    if (!Array.isArray(values) || values.length === 0 || !values.every((value) => typeof value === 'string')) {
      throw new SchemaError(path, 'enum must list strings')
    }
    return {}
  },

  integer(schema, path) {
    if (schema['format'] !== 'int32' && schema['format'] !== 'int64') {
      throw new SchemaError(path, 'format must be int32 or int64')
    }
    bounded(schema, path, 'minimum', 'maximum')
    return {}
  },

  array(schema, path) {
    bounded(schema, path, 'maxItems')
    const items = structural(schema['items'], `${path}[]`)
    const type = schema['x-kubernetes-list-type']
    if (type === 'map') checkKeys(schema, items, path)
    else if (type === 'set' && 'properties' in items) throw new SchemaError(path, 'a list of type set holds scalars')
    else if (type !== 'atomic' && type !== 'set') {
      throw new SchemaError(path, 'must be a list of type atomic, set or map')
    }
    return { items }
  },

  object(schema, path) {
    const declared = schema['properties']
    if (!isSchema(declared)) throw new SchemaError(path, 'has no properties')
    const properties = Object.fromEntries(
      Object.entries(declared).map(([name, property]) => [name, structural(property, `${path}.${name}`)]),
    )
    // What has a default is always there for a reader, and never asked of a writer.
    const required = requiredOf(schema).filter((name) => !('default' in (properties[name] ?? {})))
    return { properties, required: required.length > 0 ? required.toSorted() : undefined }
  },

  map(schema, path) {
    bounded(schema, path, 'maxProperties')
    const patterns = schema['patternProperties']
    const entries = isSchema(patterns) ? Object.entries(patterns) : []
    const [pattern, values] = entries[0] ?? []
    if (entries.length !== 1 || pattern !== '^.*$') {
      throw new SchemaError(path, 'patterns of keys are not supported: use a CEL rule')
    }
    // The values of a map share its description; kubectl explain shows none for them.
    return { patternProperties: undefined, additionalProperties: structural(values, `${path}{}`) }
  },
}

const requiredOf = (schema: StructuralSchema): readonly string[] => {
  const required = schema['required']
  return Array.isArray(required) ? required : []
}

/** Items of a map list are known by their keys, so each key must be there. */
function checkKeys(schema: Schema, items: StructuralSchema, path: string): void {
  const keys = schema['x-kubernetes-list-map-keys']
  if (!Array.isArray(keys) || keys.length === 0) throw new SchemaError(path, 'a list of type map needs keys')
  const properties = isSchema(items['properties']) ? items['properties'] : {}
  for (const key of keys) {
    const property = properties[key]
    if (!isSchema(property)) throw new SchemaError(path, `key ${key} is no field of the items`)
    if (!requiredOf(items).includes(key) && !('default' in property)) {
      throw new SchemaError(path, `key ${key} must be required or have a default`)
    }
  }
}
