import { expect, test } from '@jest/globals'
import { createLogger } from './logger.ts'

function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown> {
  let text = ''
  write(
    createLogger('info', {
      write(line) {
        text += line
      },
    }),
  )
  return text === '' ? {} : JSON.parse(text)
}

test('a line is JSON, with a time and a level that people read', () => {
  const line = logged((log) => log.info({ key: 'ns/a' }, 'hello'))
  expect(line).toEqual({ level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), key: 'ns/a', msg: 'hello' })
})

test('what is below the level is not written', () => {
  expect(logged((log) => log.debug('x'))).toEqual({})
})

test.each([
  { password: 'hunter2' },
  { secret: { data: { 'key.pem': 'hunter2' } } },
  { object: { data: { any: 'hunter2' } } },
  { request: { headers: { authorization: 'Bearer hunter2' } } },
  { spec: { userData: 'hunter2' } },
])('secrets are not written: %j', (fields) => {
  expect(JSON.stringify(logged((log) => log.info(fields, 'x')))).not.toContain('hunter2')
})

test('an error is written with what caused it', () => {
  const error = new Error('outer', { cause: new Error('inner') })
  expect(JSON.stringify(logged((log) => log.error({ err: error }, 'x')))).toContain('inner')
})
