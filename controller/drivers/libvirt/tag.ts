import type { Tag } from '../../hypervisor/port.ts'
import { type Element, element, find } from './xml.ts'

/** Namespace of our element in a domain's `<metadata>`; libvirt keeps one element for each namespace. */
export const tagNamespace = 'https://berth.dev/libvirt/v1'

/** Of our element's name, where it is written; any is read. */
export const tagPrefix = 'berth'
const schema = 1
const fields = ['cluster', 'namespace', 'name', 'uid', 'instanceID', 'owner', 'slot'] as const

/** What a domain's metadata say of whose it is. `reason`: it looks like ours, but this version cannot tell. */
export type TagReading = { readonly tag: Tag } | { readonly tag?: undefined; readonly reason?: string }

/** Our element: the tag as attributes; `details` are its children, named without prefix. */
export function tagElement(tag: Tag, details: readonly Element[] = []): Element {
  const attributes = {
    ...Object.fromEntries(fields.map((field) => [field, tag[field]])),
    ...(tag.released ? { released: 'true' } : {}),
  }
  return element(
    `${tagPrefix}:machine`,
    { [`xmlns:${tagPrefix}`]: tagNamespace, schema: tag.schema, ...attributes },
    details.map((detail) => ({ ...detail, name: `${tagPrefix}:${detail.name}` })),
  )
}

/** Our element of a domain, with names without prefix, whatever prefix the writer chose. */
export function findTagElement(domain: Element): Element | undefined {
  for (const candidate of find(domain, 'metadata')?.children ?? []) {
    const colon = candidate.name.indexOf(':')
    const own = colon === -1 ? 'xmlns' : `xmlns:${candidate.name.slice(0, colon)}`
    if (candidate.attributes[own] !== tagNamespace) continue
    const local = candidate.name.slice(colon + 1)
    const details = candidate.children.map((child) => ({
      ...child,
      name: child.name.slice(child.name.indexOf(':') + 1),
    }))
    if (local === 'machine') return { ...candidate, name: local, children: details }
  }
  return undefined
}

/** Our element of a domain with these details instead of those of that name, without prefixes: as libvirt takes metadata. */
export function withDetails(domain: Element, name: string, details: readonly Element[]): Element | undefined {
  const found = findTagElement(domain)
  if (found === undefined) return undefined
  const attributes = Object.entries(found.attributes).filter(([key]) => !key.startsWith('xmlns'))
  const others = found.children.filter((child) => child.name !== name)
  return { ...found, attributes: Object.fromEntries(attributes), children: [...details, ...others] }
}

/** Reads the tag of a domain. One without it, or with a schema that is not ours, is not ours. */
export function readTag(domain: Element): TagReading {
  const found = findTagElement(domain)
  if (found === undefined) return {}
  if (found.attributes['schema'] !== String(schema)) {
    return { reason: `its tag has schema '${found.attributes['schema'] ?? ''}', which this version does not know` }
  }
  const values = fields.map((field) => [field, found.attributes[field]] as const)
  const missing = values.filter(([, value]) => value === undefined).map(([field]) => field)
  if (missing.length > 0) return { reason: `its tag lacks ${missing.join(', ')}` }
  const released = found.attributes['released'] === undefined ? {} : { released: true as const }
  return { tag: { schema, ...(Object.fromEntries(values) as Omit<Tag, 'schema' | 'released'>), ...released } }
}
