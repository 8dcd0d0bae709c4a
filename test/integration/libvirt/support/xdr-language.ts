import type { Shape } from '../../../../node-libvirt/protocol/xdr.ts'

/** What a .x file (RFC 4506, section 6) describes. */
export interface Description {
  readonly constants: ReadonlyMap<string, number>
  /** The shape of a struct or typedef; undefined where there is none of that name. */
  shape(name: string): Shape | undefined
}

/** Limits that libvirt's files take from C headers: VIR_UUID_BUFLEN is public API; the others bound what we do not use. */
const fromHeaders: ReadonlyMap<string, number> = new Map([
  ['VIR_UUID_BUFLEN', 16],
  ['VIR_SECURITY_MODEL_BUFLEN', 257],
  ['VIR_SECURITY_LABEL_BUFLEN', 4097],
  ['VIR_SECURITY_DOI_BUFLEN', 257],
])

const basic: Readonly<Record<string, Shape>> = {
  int: { kind: 'int' },
  char: { kind: 'int' },
  short: { kind: 'int' },
  'unsigned int': { kind: 'uint' },
  'unsigned char': { kind: 'uint' },
  'unsigned short': { kind: 'uint' },
  unsigned: { kind: 'uint' },
  hyper: { kind: 'hyper' },
  'unsigned hyper': { kind: 'uhyper' },
}

type Body = readonly (readonly [name: string, declaration: string])[]

/** Reads constants, enumerations, structures and typedefs; unions, which we use none of, are left out. */
export const parseDescription = (source: string): Description => {
  const text = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^%.*$/gm, '')
  const constants = new Map(fromHeaders)
  const value = (word: string): number => {
    const number = constants.get(word) ?? Number(word)
    if (!Number.isInteger(number)) throw new Error(`not a number: ${word}`)
    return number
  }
  for (const [, name = '', word = ''] of text.matchAll(/\bconst\s+(\w+)\s*=\s*(\w+)\s*;/g)) {
    constants.set(name, value(word))
  }
  for (const [, body = ''] of text.matchAll(/\benum\s+\w+\s*\{([^}]*)\}/g)) {
    let next = 0
    for (const item of body.split(',').filter((part) => part.trim() !== '')) {
      const [name = '', word] = item.split('=').map((part) => part.trim())
      next = word === undefined ? next : value(word)
      constants.set(name, next++)
    }
  }

  const enums = new Set([...text.matchAll(/\benum\s+(\w+)\s*\{/g)].map(([, name]) => name))
  const structs = new Map<string, Body>()
  for (const [, name = '', body = ''] of text.matchAll(/\bstruct\s+(\w+)\s*\{([^}]*)\}/g)) {
    const declarations = body.split(';').filter((part) => part.trim() !== '')
    structs.set(
      name,
      declarations.map((declaration) => [nameOf(declaration), declaration]),
    )
  }
  const typedefs = new Map<string, string>()
  for (const [, declaration = ''] of text.matchAll(/\btypedef\s+([^;]*);/g)) {
    typedefs.set(nameOf(declaration), declaration)
  }

  const named = (name: string): Shape | undefined => {
    const body = structs.get(name)
    if (body !== undefined) {
      return { kind: 'struct', fields: body.map(([field, declaration]) => [field, declared(declaration)] as const) }
    }
    const typedef = typedefs.get(name)
    if (typedef !== undefined) return declared(typedef)
    return enums.has(name) ? { kind: 'int' } : basic[name]
  }

  /** `type *name<limit>`, `type name[length]` and so on. */
  const declared = (declaration: string): Shape => {
    const form = /^(?:struct\s+)?((?:unsigned\s+)?\w+?)\s+?(\*?)\s*(\w+)\s*(?:<(\w*)>|\[(\w+)\])?$/
    const match = form.exec(declaration.trim().replaceAll(/\s+/g, ' '))
    if (match === null) throw new Error(`cannot read: ${declaration}`)
    const [, type = '', star, , limit, length] = match
    if (type === 'string') return { kind: 'string', max: value(limit ?? '') }
    if (type === 'opaque' && length !== undefined) return { kind: 'opaque', length: value(length) }
    const of = named(type)
    if (of === undefined) throw new Error(`unknown type: ${declaration}`)
    if (star === '*') return { kind: 'optional', of }
    if (limit !== undefined) return { kind: 'array', of, max: value(limit) }
    if (length !== undefined) return { kind: 'vector', of, length: value(length) }
    return of
  }

  return { constants, shape: named }
}

const nameOf = (declaration: string): string => /(\w+)\s*(?:<\w*>|\[\w+\])?\s*$/.exec(declaration)?.[1] ?? ''
