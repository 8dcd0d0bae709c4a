import { expect, test } from '@jest/globals'
import { BerthError } from '../errors/index.ts'
import { bare } from './stack.ts'

/** An error with a stack as it would be somewhere else. */
function thrown(message: string, ...calls: string[]): Error {
  const error = new TypeError(message)
  error.stack = [`TypeError: ${message}`, ...calls.map((call) => `    at ${call}`)].join('\n')
  return error
}

test('an error of ours: its class, and where it was thrown, from the root of the repository', () => {
  const [error] = bare(new RangeError('secret'))
  expect(error?.type).toBe('RangeError')
  expect(error?.frames.at(-1)).toMatchObject({ filename: 'controller/observability/stack.test.ts', in_app: true })
})

test('causes come first, with the code of a BerthError', () => {
  const error = new BerthError('InternalError', 'secret', { cause: new TypeError('secret') })
  expect(bare(error).map(({ type }) => type)).toEqual(['TypeError', 'BerthError InternalError'])
})

test('a circle of causes ends', () => {
  const error = new Error('x')
  error.cause = error
  expect(bare(error)).toHaveLength(5)
})

test.each([undefined, null, 'a string', { message: 'x' }])('what is no error (%j) says nothing', (value) => {
  expect(bare(value)).toEqual([])
})

test('libraries and Node are named without where they are; what is elsewhere is left out', () => {
  const error = thrown(
    'x',
    'async Client.send (file:///home/alice/app/node_modules/undici/lib/a.js:1:2)',
    'new Socket (node:net:3:4)',
    'file:///home/alice/elsewhere.ts:5:6',
    'eval (eval at run (/home/alice/x.js:1:1), <anonymous>:1:1)',
  )
  expect(bare(error)[0]?.frames).toEqual([
    { function: 'new Socket', filename: 'node:net', lineno: 3, colno: 4, in_app: false },
    { function: 'async Client.send', filename: 'node_modules/undici/lib/a.js', lineno: 1, colno: 2, in_app: false },
  ])
})

test('a message that looks like a stack is still a message', () => {
  const message = 'refused:\n    at secret (node:secret:1:1)\n    at alice (node:alice:2:2)'
  expect(bare(thrown(message, 'send (node:net:3:4)'))[0]?.frames.map(({ filename }) => filename)).toEqual(['node:net'])
})

test('a message that looks like a stack and was changed later tells nothing', () => {
  const error = thrown('refused:\n    at secret (node:secret:1:1)', 'send (node:net:3:4)')
  error.message = 'x'.repeat(5)
  expect(bare(error)[0]?.frames).toEqual([])
})

test('a class or a function with a strange name is not told', () => {
  class Strange extends Error {}
  Object.defineProperty(Strange, 'name', { value: 'vm "web" of alice' })
  expect(bare(new Strange('x'))[0]?.type).toBe('Error')
  expect(bare(thrown('x', 'get "web" of alice (node:net:3:4)'))[0]?.frames).toEqual([])
})
