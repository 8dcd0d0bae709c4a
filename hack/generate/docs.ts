/** The tables of a kind's page in docs/kinds/: between two marks, so that what people write around them stays. */
import type { KindDefinition } from '../../controller/api/schema/kind.ts'
import type { crdOf } from './crd.ts'

type Crd = ReturnType<typeof crdOf>

/** What is read of a structural schema. */
interface Field {
  readonly type: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly format?: string
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly properties?: Readonly<Record<string, Field>>
  readonly additionalProperties?: Field
  readonly items?: Field
  readonly required?: readonly string[]
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string; readonly fieldPath?: string }[]
}

/** Path of a kind's page, below the root of the checkout. */
export const pageOf = ({ kind }: KindDefinition): string =>
  `docs/kinds/${kind.replace(/(?<=.)[A-Z]/g, '-$&').toLowerCase()}.md`

const sections = ['columns', 'spec', 'rules', 'status'] as const
type Section = (typeof sections)[number]

/** @throws Error where the page lacks the marks of a section that the kind has. */
export function fillPage(page: string, crd: Crd): string {
  const tables = tablesOf(crd)
  return sections.reduce((text, section) => {
    const table = tables[section]
    return table === undefined ? text : replaceSection(text, section, table, crd.spec.names.kind)
  }, page)
}

function replaceSection(page: string, section: Section, table: string, kind: string): string {
  const [begin, end] = [`<!-- generated: ${section} -->\n`, `<!-- end: ${section} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page of ${kind} has no marks for ${section}`)
  return `${page.slice(0, from + begin.length)}\n${table}\n${page.slice(to)}`
}

function tablesOf({ spec: { names, scope, versions } }: Crd): Readonly<Record<Section, string | undefined>> {
  const [version] = versions
  if (version === undefined) throw new Error(`${names.kind} has no version`)
  const root = version.schema.openAPIV3Schema as unknown as Field
  const { spec, status } = root.properties ?? {}
  const columns = version.additionalPrinterColumns
  const shown = columns.filter(({ priority }) => priority === undefined).map(({ name }) => name.toUpperCase())
  const wide = columns.filter(({ priority }) => priority !== undefined).map(({ name }) => name.toUpperCase())
  const selectable = (version.selectableFields ?? []).map(({ jsonPath }) => `\`${jsonPath.slice(1)}\``)
  const facts = [
    `${scope === 'Namespaced' ? 'Namespaced' : 'Cluster-scoped'}; \`${names.plural}\`, short \`${names.shortNames.join('`, `')}\`.`,
    `Columns: NAME, ${shown.join(', ')}${wide.length === 0 ? '' : `; wide: ${wide.join(', ')}`}.`,
    ...(selectable.length === 0 ? [] : [`Field selectors: ${selectable.join(', ')}.`]),
  ]
  return {
    columns: `${facts.join(' ')}\n`,
    spec: spec && table(spec, 'spec'),
    rules: rulesTable(root),
    status: status && table(status, 'status'),
  }
}

const table = (field: Field, path: string): string =>
  ['| field | type | default | meaning |', '|---|---|---|---|', ...rows(field, `${path}.`)].join('\n').concat('\n')

function rows(field: Field, prefix: string): readonly string[] {
  return Object.entries(field.properties ?? {}).flatMap(([name, property]) => {
    const path = `${prefix}${name}`
    const mark = field.required?.includes(name) ? ' *' : ''
    const given = property.default === undefined ? '' : `\`${JSON.stringify(property.default).replaceAll('"', '')}\``
    const meaning = (property.description ?? '').replace(/ Default: \S+[.]$/, '')
    return [
      `| \`${path}\`${mark} | ${typeOf(property)} | ${given} | ${escapeCell(meaning)} |`,
      ...rows(property.items ?? property, `${path}${property.items === undefined ? '' : '[]'}.`),
    ]
  })
}

function typeOf(field: Field): string {
  switch (field.type) {
    case 'string':
      if (field.enum !== undefined) return field.enum.map((value) => `\`${value}\``).join(' ')
      return field.format === 'date-time' ? 'time' : `string ≤ ${field.maxLength}`
    case 'integer':
      return field.maximum === Number.MAX_SAFE_INTEGER ? 'integer' : `integer ${field.minimum}…${field.maximum}`
    case 'array': {
      const keys = field['x-kubernetes-list-map-keys']
      const bounds = field.minItems === undefined ? `≤ ${field.maxItems}` : `${field.minItems}…${field.maxItems}`
      return `list ${keys === undefined ? '' : `by ${keys.join('+')} `}of ${itemOf(field.items)}, ${bounds}`
    }
    default:
      return field.additionalProperties === undefined
        ? 'object'
        : `map of ${itemOf(field.additionalProperties)}, ≤ ${field.maxProperties}`
  }
}

const itemOf = (field: Field | undefined): string => (field === undefined ? 'object' : typeOf(field))

const rulesTable = (root: Field): string =>
  ['| at | message |', '|---|---|', ...ruleRows(root, '')].join('\n').concat('\n')

function ruleRows(field: Field, path: string): readonly string[] {
  const here = (field['x-kubernetes-validations'] ?? []).map(({ message, fieldPath = '' }) => {
    const at = `${path}${fieldPath}`.replace(/^[.]/, '')
    return `| \`${at === '' ? '.' : at}\` | ${escapeCell(message)} |`
  })
  // What is refused within status is between the API server and the controller; fences stand at the root.
  const children = Object.entries(field.properties ?? {})
    .filter(([name]) => path !== '' || name !== 'status')
    .flatMap(([name, child]) => ruleRows(child, `${path}.${name}`))
  const items = field.items === undefined ? [] : ruleRows(field.items, `${path}[]`)
  return [...here, ...children, ...items]
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*')
