import type { TObject } from 'typebox'
import type { Rule } from './cel.ts'

export interface Column {
  readonly name: string
  readonly jsonPath: string
  readonly type: 'string' | 'integer' | 'date'
  readonly description: string
  /** Shown with `-o wide` only. */
  readonly wide?: boolean
}

/** Everything that a CustomResourceDefinition says about a kind. */
export interface KindDefinition<Spec extends TObject = TObject, Status extends TObject = TObject> {
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  readonly description: string
  readonly names: { readonly max: number; readonly dots: boolean }
  readonly spec: Spec
  readonly status?: Status
  /** Rules at the root, beside the one on the name: they see spec and status, old and new. */
  readonly rules?: readonly Rule[]
  /** Beside NAME. */
  readonly columns: readonly Column[]
  /** JSON paths of the fields that a field selector may name. */
  readonly selectableFields?: readonly string[]
}

export const defineKind = <Spec extends TObject, Status extends TObject>(
  definition: KindDefinition<Spec, Status>,
): KindDefinition<Spec, Status> => definition

export const column = (
  name: string,
  jsonPath: string,
  description: string,
  { type = 'string', wide = false }: { readonly type?: Column['type']; readonly wide?: boolean } = {},
): Column => ({ name, jsonPath, type, description, ...(wide ? { wide } : {}) })

export const readyColumn = column(
  'Ready',
  '.status.conditions[?(@.type=="Ready")].status',
  'Whether the declared state is reached.',
)
export const messageColumn = column(
  'Message',
  '.status.conditions[?(@.type=="Ready")].message',
  'Why it is, or is not, ready.',
  {
    wide: true,
  },
)
export const ageColumn = column('Age', '.metadata.creationTimestamp', 'Time since creation.', { type: 'date' })
