import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { element, formatXml, parseXml, sizeOf } from './xml.ts'

/** Any text that XML 1.0 can hold. */
const xmlText = fc
  .string({ unit: 'binary' })
  .map((text) => text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '?'))

describe('XML', () => {
  test('whatever is written as attribute or text reads back equal', () => {
    fc.assert(
      fc.property(xmlText, xmlText, (attribute, text) => {
        const { attributes, children } = parseXml(formatXml(element('a', { x: attribute }, [element('b', {}, text)])))
        expect(attributes).toEqual({ x: attribute })
        expect(children[0]?.text).toBe(text)
      }),
    )
  })

  test('text cannot break out of its place', () => {
    const hostile = `"/><devices/><x y='&lt;&amp;]]><!-- -->`
    const root = parseXml(formatXml(element('a', { x: hostile }, hostile)))
    expect(root).toEqual({ name: 'a', attributes: { x: hostile }, children: [], text: hostile })
  })

  test.each(['\u0000', '\u001b', '\ud800', '\ufffe'])('what XML cannot hold (%j) is refused, not changed', (text) => {
    expect(() => formatXml(element('a', {}, text))).toThrow(RangeError)
  })

  test.each(['', 'no xml', '<a>', '<a/><b/>', '<a b=1/>'])('%j is no document', (text) => {
    expect(() => parseXml(text)).toThrow(SyntaxError)
  })

  test('a document with very many references is read: capabilities and large domains have them', () => {
    const root = parseXml(`<a>${'<b c="&lt;&#10;"/>'.repeat(5_000)}</a>`)
    expect(root.children).toHaveLength(5_000)
    expect(root.children.at(-1)?.attributes).toEqual({ c: '<\n' })
  })

  test('an entity of the document’s own is not expanded without end', () => {
    const bomb = `<!DOCTYPE a [<!ENTITY x "${'y'.repeat(9_000)}">]><a>${'&x;'.repeat(100_000)}</a>`
    expect(() => parseXml(bomb)).toThrow(SyntaxError)
  })

  test('sizes have libvirt’s units', () => {
    expect(sizeOf(parseXml('<memory unit="MiB">2</memory>'), 'KiB')).toBe(2 ** 21)
    expect(sizeOf(parseXml('<memory>2</memory>'), 'KiB')).toBe(2048)
    expect(sizeOf(parseXml('<capacity unit="bytes">7</capacity>'), 'KiB')).toBe(7)
    expect(() => sizeOf(parseXml('<memory unit="ell">2</memory>'), 'KiB')).toThrow(SyntaxError)
    expect(() => sizeOf(parseXml('<memory>much</memory>'), 'KiB')).toThrow(SyntaxError)
  })
})
