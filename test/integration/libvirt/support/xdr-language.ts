import type { Shape } from '../../../../node-libvirt/protocol/xdr.ts'

/** What a .x file (RFC 4506, section 6) describes. */
export interface Description {
  readonly constants: ReadonlyMap<string, number>
  /** The shape of a struct or typedef; undefined where there is none of that name. */
  shape(name: string): Shape | undefined
}

/** What libvirt's files take from C headers: UUIDs and typed parameters are public API; the rest we do not use. */
const fromHeaders: ReadonlyMap<string, number> = new Map([
  ['VIR_UUID_BUFLEN', 16],
  ['VIR_TYPED_PARAM_INT', 1],
  ['VIR_TYPED_PARAM_UINT', 2],
  ['VIR_TYPED_PARAM_LLONG', 3],
  ['VIR_TYPED_PARAM_ULLONG', 4],
  ['VIR_TYPED_PARAM_DOUBLE', 5],
  ['VIR_TYPED_PARAM_BOOLEAN', 6],
  ['VIR_TYPED_PARAM_STRING', 7],
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
  double: { kind: 'double' },
}

type Body = readonly (readonly [name: string, declaration: string])[]

/** Reads constants, enumerations, structures, unions and typedefs. */
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
  const unions = new Map<string, readonly (readonly [constant: string, declaration: string])[]>()
  for (const [, name = '', body = ''] of text.matchAll(/\bunion\s+(\w+)\s+switch\s*\([^)]*\)\s*\{([^}]*)\}/g)) {
    const cases = [...body.matchAll(/\bcase\s+(\w+)\s*:\s*([^;]*);/g)]
    unions.set(
      name,
      cases.map(([, constant = '', declaration = '']) => [constant, declaration]),
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
    const cases = unions.get(name)
    if (cases !== undefined) {
      return { kind: 'union', cases: cases.map(([constant, of]) => [value(constant), declared(of)] as const) }
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
    if (type === 'opaque' && limit !== undefined) return { kind: 'bytes', max: value(limit) }
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
