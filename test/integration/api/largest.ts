/** The largest object that a schema lets in, made from the schema itself: what CEL rules cost must be bearable there. */

export interface Schema {
  readonly type: string
  readonly enum?: readonly string[]
  readonly format?: string
  readonly maxLength?: number
  readonly maximum?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly additionalProperties?: Schema
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[]
}

/** Path (`spec.slots[].size`) → what stands there instead; undefined leaves the field out. */
export type Choices = Readonly<Record<string, unknown>>

export function largest(schema: Schema, path: string, choices: Choices, index = 0): unknown {
  if (path in choices) {
    const choice = choices[path]
    return typeof choice === 'function' ? choice(index) : choice
  }
  switch (schema.type) {
    case 'string':
      return largestString(schema, index)
    case 'integer':
      return schema.maximum
    case 'array':
      return Array.from({ length: schema.maxItems ?? 0 }, (_, i) =>
        largest(schema.items as Schema, `${path}[]`, choices, i),
      )
    default:
      return Object.fromEntries(schema.additionalProperties ? mapEntries(schema) : fields(schema, path, choices, index))
  }
}

const fields = (schema: Schema, path: string, choices: Choices, index: number): [string, unknown][] =>
  Object.entries(schema.properties ?? {})
    .map(([name, field]): [string, unknown] => [name, largest(field, `${path}.${name}`, choices, index)])
    .filter(([, value]) => value !== undefined)

const mapEntries = ({ maxProperties = 0, additionalProperties }: Schema): [string, unknown][] =>
  Object.entries(largestLabels(maxProperties)).map(([key], i) => [
    key,
    largestString(additionalProperties as Schema, i),
  ])

/** So many labels, each as long as a label can be. */
export const largestLabels = (count: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`${numbered(253, i)}/${numbered(63, i)}`, numbered(63, i)]),
  )

function largestString(schema: Schema, index: number): string {
  if (schema.enum !== undefined) return schema.enum[index % schema.enum.length] ?? ''
  if (schema.format === 'date-time') return '2026-01-01T00:00:00Z'
  const message = schema['x-kubernetes-validations']?.map((rule) => rule.message).join(' ') ?? ''
  const length = schema.maxLength ?? 0
  if (message.includes('amount of bytes')) return `1.${'0'.repeat(length - 4)}Ti`
  if (message.includes('duration')) return `${'30.000s'.padStart(10, '0')}`
  if (message.includes('absolute path')) return `/${'a'.repeat(length - 1)}`
  if (message.includes('MAC address')) return `52:54:00:00:00:${index.toString(16).padStart(2, '0')}`
  if (message.includes('host name')) return Array.from({ length: 4 }, () => 'a'.repeat(62)).join('.')
  return numbered(length, index)
}

/** As long as allowed, different for each index, and good as a name. */
const numbered = (length: number, index: number): string => `a${String(index).padStart(length - 1, '0')}`
