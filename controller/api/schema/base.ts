/**
 * The few building blocks that every schema is made of. Each asks for a description, and for the bounds that the API
 * server needs to estimate what CEL rules cost; whatever is not built of these, the generator refuses.
 */
import {
  type TArray,
  type TEnum,
  type TInteger,
  type TObject,
  type TOptional,
  type TProperties,
  type TRecord,
  type TSchema,
  type TString,
  Type,
} from 'typebox'
import type { Rule } from './cel.ts'
import type { Defaulted, Written } from './static.ts'

interface Ruled {
  readonly rules?: readonly Rule[]
}

const validations = ({ rules = [] }: Ruled) => (rules.length === 0 ? {} : { 'x-kubernetes-validations': rules })

/** Characters, not bytes. */
export const text = (
  description: string,
  { min, max, rules }: Ruled & { readonly min?: number; readonly max: number },
): TString =>
  Type.String({
    description,
    ...(min === undefined ? {} : { minLength: min }),
    maxLength: max,
    ...validations(rules === undefined ? {} : { rules }),
  })

/** RFC 3339, as metav1.Time. */
export const time = (description: string): TString => Type.String({ description, format: 'date-time' })

export const choice = <const Values extends string[]>(
  values: readonly [...Values],
  description: string,
): TEnum<Values> => Type.Enum(values, { type: 'string', description })

export const integer = (
  description: string,
  {
    min = 0,
    max,
    format = 'int32',
  }: { readonly min?: number; readonly max: number; readonly format?: 'int32' | 'int64' },
): TInteger => Type.Integer({ description, format, minimum: min, maximum: max })

interface ObjectOptions extends Ruled {
  /** One owner for the whole object under server-side apply. */
  readonly atomic?: boolean
}

export const object = <P extends TProperties>(
  properties: P,
  description: string,
  { atomic, ...ruled }: ObjectOptions = {},
): TObject<P> =>
  Type.Object(properties, {
    description,
    ...(atomic === true ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...validations(ruled),
  })

interface ListOptions extends Ruled {
  readonly min?: number
  readonly max: number
}

const list = <T extends TSchema>(
  items: T,
  description: string,
  type: object,
  { min, max, ...ruled }: ListOptions,
): TArray<T> =>
  Type.Array(items, {
    description,
    ...(min === undefined ? {} : { minItems: min }),
    maxItems: max,
    ...type,
    ...validations(ruled),
  })

/** A list that is replaced as a whole. */
export const atomicList = <T extends TSchema>(items: T, description: string, options: ListOptions): TArray<T> =>
  list(items, description, { 'x-kubernetes-list-type': 'atomic' }, options)

/** A list of scalars, none of them twice. */
export const set = <T extends TSchema>(items: T, description: string, options: ListOptions): TArray<T> =>
  list(items, description, { 'x-kubernetes-list-type': 'set' }, options)

/** A list whose items are known by the fields `keys`: two managers can each own items, and transition rules see them. */
export const mapList = <P extends TProperties>(
  keys: readonly (keyof P & string)[],
  items: TObject<P>,
  description: string,
  options: ListOptions,
): TArray<TObject<P>> =>
  list(items, description, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys }, options)

/** An object with keys of the user's choice. */
export const dictionary = <T extends TSchema>(
  values: T,
  description: string,
  { max, ...ruled }: Ruled & { readonly max: number },
): TRecord<'^.*$', T> =>
  Type.Record(Type.String(), values, {
    description,
    maxProperties: max,
    ...validations(ruled),
  }) as unknown as TRecord<'^.*$', T>

export const optional = <T extends TSchema>(schema: T): TOptional<T> => Type.Optional(schema) as TOptional<T>

/**
 * The API server stores the value where the field is absent. `kubectl explain` does not show defaults, so the
 * description says it too (but for objects, whose own fields say theirs).
 */
export const withDefault = <T extends TSchema>(schema: T, value: Written<T>): Defaulted<T> => {
  const { description = '' } = schema as { description?: string }
  const shown = typeof value === 'object' ? '' : ` Default: ${value}.`
  return Type.With(schema, {
    default: value,
    description: `${description}${shown}`,
  } as TSchema) as TSchema as Defaulted<T>
}
