/** Static types of the schemas: one definition says what the API server accepts and what TypeScript sees. */
import type { Static, TArray, TObject, TProperties, TRecord, TSchema } from 'typebox'

/** Carries the default that the API server fills in. */
export type Defaulted<T extends TSchema> = T & { default: unknown }

type IsOptional<T, Mode> = T extends { '~optional': true }
  ? true
  : Mode extends 'Written'
    ? T extends { default: unknown }
      ? true
      : false
    : false

type Flat<T> = { [K in keyof T]: T[K] }

type Properties<P extends TProperties, Mode> = Flat<
  { readonly [K in keyof P as IsOptional<P[K], Mode> extends true ? never : K]: Shape<P[K], Mode> } & {
    readonly [K in keyof P as IsOptional<P[K], Mode> extends true ? K : never]?: Shape<P[K], Mode>
  }
>

type Shape<T extends TSchema, Mode> =
  T extends TObject<infer P>
    ? Properties<P, Mode>
    : T extends TArray<infer Item>
      ? readonly Shape<Item, Mode>[]
      : T extends TRecord<string, infer Value>
        ? Readonly<Record<string, Shape<Value, Mode>>>
        : Static<T>

/** As the API server returns it: fields with a default are there. */
export type Read<T extends TSchema> = Shape<T, 'Read'>

/** As someone writes it: fields with a default may be left out. */
export type Written<T extends TSchema> = Shape<T, 'Written'>
