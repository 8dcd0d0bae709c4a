import { XMLParser } from 'fast-xml-parser'
import type { XapiError } from '../errors.ts'
import { type ClassName, classes } from '../model/model.ts'
import { isObject, parseType, type Type, type Value } from '../model/types.ts'

/** A call as a client sent it, not yet read by the types of its message. */
export interface RemoteCall {
  readonly method: string
  readonly parameters: readonly unknown[]
}

interface Node {
  readonly [name: string]: string | readonly Node[]
}

const parser = new XMLParser({
  preserveOrder: true,
  parseTagValue: false,
  trimValues: false,
  ignoreAttributes: true,
  // Among these are the numeric ones, such as `&#10;`.
  htmlEntities: true,
})

/** @throws SyntaxError for what is not a call of XML-RPC */
export function readXmlCall(body: string): RemoteCall {
  const call = child(parser.parse(body), 'methodCall')
  const parameters = child(call ?? [], 'params') ?? []
  const method = text(child(call ?? [], 'methodName'))
  if (call === undefined || method === '') throw new SyntaxError('Not a call of XML-RPC.')
  return {
    method: method.trim(),
    parameters: children(parameters, 'param').map((parameter) => readXmlValue(child(parameter, 'value') ?? [])),
  }
}

function readXmlValue(nodes: readonly Node[]): unknown {
  const element = nodes.find((node) => !('#text' in node))
  if (element === undefined) return text(nodes)
  const [name = '', content = []] = Object.entries(element)[0] ?? []
  const inner = typeof content === 'string' ? [] : content
  switch (name) {
    case 'string':
    case 'dateTime.iso8601':
      return text(inner)
    case 'i4':
    case 'int':
    case 'i8':
    case 'double':
      return Number(text(inner))
    case 'boolean':
      return text(inner).trim() === '1'
    case 'nil':
      return null
    case 'array':
      return children(child(inner, 'data') ?? [], 'value').map(readXmlValue)
    case 'struct':
      return Object.fromEntries(
        children(inner, 'member').map((member) => [
          text(child(member, 'name')),
          readXmlValue(child(member, 'value') ?? []),
        ]),
      )
    default:
      throw new SyntaxError(`There is no type ${name} in XML-RPC.`)
  }
}

function children(nodes: readonly Node[], name: string): (readonly Node[])[] {
  return nodes.flatMap((node) => {
    const content = node[name]
    return content === undefined || typeof content === 'string' ? [] : [content]
  })
}

function child(nodes: readonly Node[], name: string): readonly Node[] | undefined {
  return children(nodes, name)[0]
}

function text(nodes: readonly Node[] | undefined): string {
  return (nodes ?? []).map((node) => (typeof node['#text'] === 'string' ? node['#text'] : '')).join('')
}

/** Writes a value as XAPI does: integers as text, references as text. The element `value` is around it. */
export function encodeXml(type: Type, value: Value): string {
  return `<value>${content(type, value)}</value>`
}

function content(type: Type, value: Value): string {
  switch (type.kind) {
    case 'float':
      return `<double>${value}</double>`
    case 'bool':
      return `<boolean>${value ? 1 : 0}</boolean>`
    case 'datetime':
      return `<dateTime.iso8601>${escapeText(String(value))}</dateTime.iso8601>`
    case 'set':
      return array(Array.isArray(value) ? value : [], () => type.member)
    case 'map':
      return struct(value, () => type.value)
    case 'record': {
      const fields = classes.get(type.className as ClassName)?.fields
      return struct(value, (name) => fields?.get(name)?.type ?? { kind: 'string' })
    }
    case 'other':
      return untyped(value)
    default:
      return escapeText(String(value))
  }
}

/** A batch of events, whose snapshots are records of the classes that the events name. */
function untyped(value: Value): string {
  if (Array.isArray(value)) return array(value, () => ({ kind: 'other' }))
  if (isObject(value)) {
    const named = [...classes.keys()].find((className) => className.toLowerCase() === value['class'])
    const types: Readonly<Record<string, Type>> = named === undefined ? {} : { snapshot: parseType(`${named} record`) }
    return struct(value as Value, (name) => types[name] ?? { kind: 'other' })
  }
  return typeof value === 'boolean' ? `<boolean>${value ? 1 : 0}</boolean>` : escapeText(String(value))
}

function array(members: readonly Value[], typeOf: () => Type): string {
  return `<array><data>${members.map((member) => encodeXml(typeOf(), member)).join('')}</data></array>`
}

function struct(value: Value, typeOf: (name: string) => Type): string {
  const members = isObject(value) ? (Object.entries(value) as [string, Value][]) : []
  const written = members.map(
    ([name, member]) => `<member><name>${escapeText(name)}</name>${encodeXml(typeOf(name), member)}</member>`,
  )
  return `<struct>${written.join('')}</struct>`
}

function escapeText(value: string): string {
  return value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/\r/g, '&#13;')
}

/** The answer to a call: a struct with its status and its value. */
export function writeXmlReply(type: Type, value: Value): string {
  return response(
    `<struct>${member('Status', '<value>Success</value>')}${member('Value', encodeXml(type, value))}</struct>`,
  )
}

export function writeXmlFailure(error: XapiError): string {
  const description = encodeXml(parseType('string set'), error.description)
  return response(
    `<struct>${member('Status', '<value>Failure</value>')}${member('ErrorDescription', description)}</struct>`,
  )
}

/** The answer to system.listMethods, which has no status around it. */
export function writeXmlPlain(type: Type, value: Value): string {
  return response(content(type, value))
}

function member(name: string, value: string): string {
  return `<member><name>${name}</name>${value}</member>`
}

function response(value: string): string {
  return `<?xml version="1.0"?><methodResponse><params><param><value>${value}</value></param></params></methodResponse>`
}
