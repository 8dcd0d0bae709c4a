import { describe, expect, test } from '@jest/globals'
import { type TSchema, Type } from 'typebox'
import {
  choice,
  dictionary,
  integer,
  mapList,
  object,
  optional,
  set,
  text,
  time,
  withDefault,
} from '../../controller/api/schema/base.ts'
import { rule } from '../../controller/api/schema/cel.ts'
import { structural } from './structural.ts'

const described = { description: 'd' }

describe('what is refused, since the API server would drop it, refuse it, or not know its cost', () => {
  test.each<[string, TSchema, string]>([
    ['a keyword that nobody knows', Type.String({ ...described, maxLength: 1, 'x-berth': 1 }), 'keyword x-berth'],
    ['pattern', Type.String({ ...described, maxLength: 1, pattern: '^a$' }), 'keyword pattern'],
    ['a union', Type.Union([Type.String(), Type.Integer()], described), 'type undefined'],
    ['an intersection', Type.Intersect([Type.Object({}), Type.Object({})], described), 'type undefined'],
    ['a literal', Type.Literal('a', described), 'keyword const'],
    ['null', Type.Null(described), 'type "null"'],
    ['anything', Type.Any(described), 'type undefined'],
    ['a boolean: two values never grow', Type.Boolean(described), 'type "boolean"'],
    ['a number', Type.Number(described), 'type "number"'],
    ['a tuple', Type.Tuple([Type.String()], { ...described, maxItems: 1 }), 'keyword'],
    ['uniqueItems', Type.Array(text('d', { max: 1 }), { ...described, maxItems: 1, uniqueItems: true }), 'uniqueItems'],
    ['nullable', Type.String({ ...described, maxLength: 1, nullable: true }), 'keyword nullable'],
    ['additionalProperties', Type.Object({}, { ...described, additionalProperties: false }), 'additionalProperties'],
    ['format duration', Type.String({ ...described, maxLength: 9, format: 'duration' }), 'format "duration"'],
    ['no description', Type.String({ maxLength: 1 }), 'has no description'],
    ['a string without a bound', Type.String(described), 'has no maxLength'],
    ['an integer without a bound', Type.Integer({ ...described, format: 'int32', minimum: 0 }), 'has no maximum'],
    ['an integer without a format', Type.Integer({ ...described, minimum: 0, maximum: 1 }), 'int32 or int64'],
    ['an enum of numbers', Type.Enum([1, 2], { ...described, type: 'string' }), 'enum must list strings'],
    [
      'a list without a bound',
      Type.Array(text('d', { max: 1 }), { ...described, 'x-kubernetes-list-type': 'atomic' }),
      'has no maxItems',
    ],
    [
      'a list without a type',
      Type.Array(text('d', { max: 1 }), { ...described, maxItems: 1 }),
      'type atomic, set or map',
    ],
    ['a set of objects', set(object({}, 'd'), 'd', { max: 1 }), 'a list of type set holds scalars'],
    ['a map without a bound', Type.Record(Type.String(), text('d', { max: 1 }), described), 'has no maxProperties'],
    [
      'a map with a pattern for keys',
      Type.Record(Type.String({ pattern: '^a' }), text('d', { max: 1 }), { ...described, maxProperties: 1 }),
      'patterns of keys',
    ],
    [
      'a key of a list that may be absent',
      mapList(['name'], object({ name: optional(text('d', { max: 1 })) }, 'd'), 'd', { max: 1 }),
      'key name must be required or have a default',
    ],
  ])('%s', (_, schema, problem) => {
    expect(() => structural(schema, 'Kind.spec')).toThrow(problem)
  })

  test('the message says where', () => {
    const schema = object(
      { disks: mapList(['name'], object({ name: Type.String(described) }, 'd'), 'd', { max: 1 }) },
      'd',
    )
    expect(() => structural(schema, 'Kind.spec')).toThrow('Kind.spec.disks[].name: has no maxLength')
  })

  test('what stands below a map is looked at too', () => {
    expect(() => structural(dictionary(Type.String(described), 'd', { max: 1 }), 'Kind.spec.labels')).toThrow(
      'Kind.spec.labels{}: has no maxLength',
    )
  })
})

describe('what comes out', () => {
  test('a field with a default is not required, and its description says the default', () => {
    const schema = object({ a: withDefault(choice(['X', 'Y'], 'Which.'), 'X'), b: text('B.', { max: 1 }) }, 'd')
    expect(structural(schema, 'spec')).toMatchObject({
      required: ['b'],
      properties: { a: { type: 'string', enum: ['X', 'Y'], default: 'X', description: 'Which. Default: X.' } },
    })
  })

  test('a default of an object is not spelt out: its own fields say theirs', () => {
    const schema = withDefault(object({ a: withDefault(integer('A.', { max: 9 }), 4) }, 'Limits.'), {})
    expect(structural(schema, 'spec')).toMatchObject({ default: {}, description: 'Limits.' })
  })

  test('a map has additionalProperties, which is the only way that a CRD knows', () => {
    const { patternProperties, additionalProperties } = structural(
      dictionary(text('V.', { max: 3 }), 'd', { max: 2 }),
      's',
    )
    expect(patternProperties).toBeUndefined()
    expect(additionalProperties).toEqual({ type: 'string', maxLength: 3, description: 'V.' })
  })

  test('rules and times pass as they are', () => {
    const rules = [rule('self.a != self.b', 'must differ', '.a')]
    const schema = object({ a: time('A.'), b: time('B.') }, 'd', { rules, atomic: true })
    expect(structural(schema, 'spec')).toMatchObject({
      'x-kubernetes-validations': rules,
      'x-kubernetes-map-type': 'atomic',
      properties: { a: { type: 'string', format: 'date-time' } },
    })
  })
})
