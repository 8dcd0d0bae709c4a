import { nonnullString } from './types.ts'
import {
  array,
  type Codec,
  counter,
  type Discriminated,
  double,
  hyper,
  int,
  mapped,
  struct,
  uint,
  union,
  XdrError,
} from './xdr.ts'

/**
 * Named values of several types (virTypedParameter). 64-bit ones are `bigint` when read unsigned, as counters are.
 * When written, a `number` is an unsigned 32-bit integer, and a `bigint` an unsigned one of 64 bits: which of them a
 * name wants is said where libvirt documents the name.
 */
export type TypedParameters = Readonly<Record<string, number | bigint | boolean | string>>

/** `VIR_TYPED_PARAM_…` */
const Type = { INT: 1, UINT: 2, LLONG: 3, ULLONG: 4, DOUBLE: 5, BOOLEAN: 6, STRING: 7 } as const

const value = union([
  [Type.INT, int as Codec<unknown>],
  [Type.UINT, uint as Codec<unknown>],
  [Type.LLONG, hyper as Codec<unknown>],
  [Type.ULLONG, counter as Codec<unknown>],
  [Type.DOUBLE, double as Codec<unknown>],
  [Type.BOOLEAN, int as Codec<unknown>],
  [Type.STRING, nonnullString as Codec<unknown>],
])

const toValue = ({ type, value }: Discriminated) =>
  type === Type.BOOLEAN ? value !== 0 : (value as number | bigint | string)

const fromValue = (value: number | bigint | boolean | string): Discriminated => {
  switch (typeof value) {
    case 'number':
      return { type: Type.UINT, value }
    case 'bigint':
      return { type: Type.ULLONG, value }
    case 'boolean':
      return { type: Type.BOOLEAN, value: value ? 1 : 0 }
    case 'string':
      return { type: Type.STRING, value }
    default:
      throw new XdrError(`a parameter is a ${typeof value}`)
  }
}

/** At most `max` of them; of two with the same name, the later one counts. */
export const typedParameters = (max: number): Codec<TypedParameters> =>
  mapped(
    array(struct({ field: nonnullString, value }), max),
    (list) => Object.fromEntries(list.map(({ field, value }) => [field, toValue(value)])),
    (parameters) => Object.entries(parameters).map(([field, value]) => ({ field, value: fromValue(value) })),
  )
