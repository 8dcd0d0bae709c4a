import { expect, test } from '@jest/globals'
import { XapiError } from '../errors.ts'
import { parseType } from '../model/types.ts'
import { encodeXml, readXmlCall, writeXmlFailure } from './xml-rpc.ts'

const read = (value: string) =>
  readXmlCall(
    `<?xml version="1.0"?>\n<methodCall>\n <methodName>VM.start</methodName>\n <params><param>\n${value}\n</param></params></methodCall>`,
  ).parameters[0]

test.each([
  ['<value>bare </value>', 'bare '],
  ['<value><string> kept </string></value>', ' kept '],
  ['<value><string></string></value>', ''],
  ['<value/>', ''],
  ['<value>&lt;&amp;lt;&#10;&#xe4;&quot;</value>', '<&lt;\nä"'],
  ['<value><![CDATA[<raw>]]></value>', '<raw>'],
  ['<value><i4>-3</i4></value>', -3],
  ['<value>\n<int>3</int>\n</value>', 3],
  ['<value><double>0.5</double></value>', 0.5],
  ['<value><boolean>1</boolean></value>', true],
  ['<value><boolean>0</boolean></value>', false],
  ['<value><dateTime.iso8601>20260101T00:00:00Z</dateTime.iso8601></value>', '20260101T00:00:00Z'],
  ['<value><array><data/></array></value>', []],
  ['<value><array><data><value>a</value>\n<value>b</value></data></array></value>', ['a', 'b']],
  ['<value><struct/></value>', {}],
  ['<value><struct><member><name>k</name><value>v</value></member></struct></value>', { k: 'v' }],
])('%s is read', (value, expected) => {
  expect(read(value)).toEqual(expected)
})

test('a member named __proto__ is a member', () => {
  const value = read('<value><struct><member><name>__proto__</name><value>v</value></member></struct></value>')
  expect(Object.entries(value as object)).toEqual([['__proto__', 'v']])
})

test.each(['', '<x/>', '<methodCall/>', '<methodCall><methodName/></methodCall>', '{"jsonrpc":"2.0"}'])(
  '%p is no call',
  (body) => {
    expect(() => readXmlCall(body)).toThrow(SyntaxError)
  },
)

test('what is written reads as it was', () => {
  const type = parseType('(string -> string) map')
  const value = { 'a<b': '&amp; "quoted" \r\n end ', empty: '' }
  expect(read(encodeXml(type, value))).toEqual(value)
  const failure = writeXmlFailure(new XapiError('OPERATION_BLOCKED', 'OpaqueRef:1', '<why>'))
  expect(failure).toContain('<value>&lt;why&gt;</value>')
})
