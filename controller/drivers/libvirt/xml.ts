import { XMLParser } from 'fast-xml-parser'

/** An XML element. Text is that of all its text nodes together; libvirt's formats have no mixed content. */
export interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
  readonly text: string
}

/** Makes an element. Attributes and children that are undefined are left out. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  content: readonly (Element | undefined)[] | string | number = [],
): Element {
  const given = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, String(value)] as const],
  )
  return {
    name,
    attributes: Object.fromEntries(given),
    children: Array.isArray(content) ? content.filter((child) => child !== undefined) : [],
    text: Array.isArray(content) ? '' : String(content),
  }
}

// What XML 1.0 can hold at all, even as a reference; lone surrogates are not among it.
const notXml = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

/** Whether XML 1.0 can hold the text. */
export function isXmlText(text: string): boolean {
  return !notXml.test(text)
}

const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** Line ends and tabs become references too: a parser would turn them into spaces in an attribute. */
function escapeText(text: string): string {
  if (!isXmlText(text)) throw new RangeError('XML cannot hold the control characters or lone surrogates in a text')
  return text.replace(/[&<>"'\t\n\r]/g, (character) => references[character] ?? `&#${character.charCodeAt(0)};`)
}

/** Throws RangeError for text that XML cannot hold. */
export function formatXml(root: Element, indent = ''): string {
  const attributes = Object.entries(root.attributes)
    .map(([key, value]) => ` ${key}="${escapeText(value)}"`)
    .join('')
  const start = `${indent}<${root.name}${attributes}`
  if (root.children.length > 0) {
    const inside = root.children.map((child) => formatXml(child, `${indent}  `)).join('')
    return `${start}>\n${inside}${indent}</${root.name}>\n`
  }
  return root.text === '' ? `${start}/>\n` : `${start}>${escapeText(root.text)}</${root.name}>\n`
}

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  htmlEntities: true,
  // The default limits are for untrusted documents of a few kB; capabilities and big domains go beyond 1000 references.
  processEntities: { enabled: true, maxTotalExpansions: 1_000_000, maxExpandedLength: 64 * 2 ** 20 },
})

type OrderedNode = Readonly<Record<string, unknown>>

/** Throws SyntaxError for what is not XML. */
export function parseXml(xml: string): Element {
  let nodes: readonly OrderedNode[]
  try {
    nodes = parser.parse(xml, true) as readonly OrderedNode[]
  } catch (error) {
    throw new SyntaxError(`not readable as XML: ${error instanceof Error ? error.message : String(error)}`)
  }
  const roots = elements(nodes)
  const [root] = roots
  if (root === undefined || roots.length > 1) throw new SyntaxError('not readable as XML: no single root element')
  return root
}

function elements(nodes: readonly OrderedNode[]): Element[] {
  return nodes.flatMap((node) => {
    const name = Object.keys(node).find((key) => key !== ':@')
    if (name === undefined || name === '#text' || name.startsWith('?')) return []
    const content = node[name] as readonly OrderedNode[]
    const children = elements(content)
    return [
      {
        name,
        attributes: { ...(node[':@'] as Record<string, string> | undefined) },
        children,
        text: content.map((child) => (typeof child['#text'] === 'string' ? child['#text'] : '')).join(''),
      },
    ]
  })
}

/** The first child at the path, or undefined. */
export function find(parent: Element | undefined, ...path: readonly string[]): Element | undefined {
  return path.reduce<Element | undefined>((from, name) => from?.children.find((child) => child.name === name), parent)
}

export function findAll(parent: Element | undefined, name: string): readonly Element[] {
  return parent?.children.filter((child) => child.name === name) ?? []
}

/** Text of the child at the path without the space around it; empty when there is none. */
export function textOf(parent: Element | undefined, ...path: readonly string[]): string {
  return find(parent, ...path)?.text.trim() ?? ''
}

const units: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1e3,
  k: 2 ** 10,
  KiB: 2 ** 10,
  MB: 1e6,
  M: 2 ** 20,
  MiB: 2 ** 20,
  GB: 1e9,
  G: 2 ** 30,
  GiB: 2 ** 30,
  TB: 1e12,
  T: 2 ** 40,
  TiB: 2 ** 40,
}

/** A size with libvirt's `unit` attribute, in bytes. `defaultUnit` is the one that libvirt's format has there. */
export function sizeOf(sized: Element | undefined, defaultUnit: 'KiB' | 'bytes'): number {
  if (sized === undefined) return 0
  const unit = units[sized.attributes['unit'] ?? defaultUnit]
  const size = Number(sized.text.trim()) * (unit ?? Number.NaN)
  if (!Number.isSafeInteger(size)) throw new SyntaxError(`<${sized.name}> is not a size`)
  return size
}
