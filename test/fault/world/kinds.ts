/** What the API server knows of Berth's kinds from their resource definitions: defaults, and the fence of Slot. */
import { readdirSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { SlotStatus } from '../../../controller/api/index.ts'
import { StatusError } from '../../../controller/kube/status.ts'

interface Schema {
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

const folder = new URL('../../../crds/', import.meta.url)

const schemas: ReadonlyMap<string, Schema> = new Map(
  readdirSync(folder).map((file) => {
    const { spec } = parse(readFileSync(new URL(file, folder), 'utf8'))
    return [spec.names.plural as string, spec.versions[0].schema.openAPIV3Schema as Schema]
  }),
)

/** Kinds with a schema have a status subresource, and an object of them has a generation. */
export const isCustom = (plural: string): boolean => schemas.has(plural)

/** The object with the defaults of its kind filled in. */
export const withDefaults = <T>(plural: string, object: T): T => fill(schemas.get(plural), object) as T

function fill(schema: Schema | undefined, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => fill(schema?.items, item))
  if (typeof value !== 'object' || value === null) return value
  const filled: Record<string, unknown> = { ...value }
  for (const [name, property] of Object.entries(schema?.properties ?? {})) {
    const given = filled[name] ?? structuredClone(property.default)
    if (given !== undefined) filled[name] = fill(property, given)
  }
  return filled
}

type Claim = Pick<SlotStatus, 'phase' | 'consumerRef'> | undefined

/** The rules of Slot's definition, by which its status is a lock and a one-way street. */
export function checkSlot(now: Claim, before: Claim): void {
  const refuse = (rule: string) => {
    throw new StatusError(422, 'Invalid', `Slot: ${rule}`)
  }
  const held = now?.consumerRef !== undefined
  const claimed = now?.phase === 'Bound' || now?.phase === 'Releasing'
  if (held !== claimed) refuse('consumerRef belongs to phases Bound and Releasing')
  if (before?.phase === 'Releasing' && now?.phase === 'Bound') refuse('there is no way back from Releasing')
  if (before?.consumerRef === undefined) return
  if (held && before.consumerRef.uid !== now?.consumerRef?.uid) refuse('its consumer cannot be replaced')
  if (!held && before.phase !== 'Releasing') refuse('only from Releasing is it given back')
}
