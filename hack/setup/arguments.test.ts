import { describe, expect, test } from '@jest/globals'
import { parseArguments, tasks, UsageError, usage } from './arguments.mjs'

describe('the command line of hack/run.mjs', () => {
  test('says how it is used when nothing or help is asked', () => {
    for (const argv of [[], ['help'], ['--help'], ['-h']]) expect(parseArguments(argv).task).toBe('help')
    for (const task of Object.keys(tasks)) expect(usage).toContain(task)
  })

  test('consent may stand anywhere, and is not passed on', () => {
    expect(parseArguments(['demo', '--keep', '--yes'])).toEqual({
      task: 'demo',
      yes: true,
      cache: false,
      rest: ['--keep'],
    })
    expect(parseArguments(['test', '-y']).yes).toBe(true)
    expect(parseArguments(['test']).yes).toBe(false)
  })

  test('a task keeps its own arguments in their order', () => {
    expect(parseArguments(['unit', '-t', 'a name', 'controller/']).rest).toEqual(['-t', 'a name', 'controller/'])
  })

  test('--cache is for clean alone', () => {
    expect(parseArguments(['clean']).cache).toBe(false)
    expect(parseArguments(['clean', '--cache']).cache).toBe(true)
    expect(() => parseArguments(['setup', '--cache'])).toThrow(UsageError)
    expect(parseArguments(['unit', '--cache'])).toMatchObject({ cache: false, rest: ['--cache'] })
  })

  test.each([[['bogus']], [['clean', '--cash']], [['setup', 'now']], [['constructor']]])('refuses %j', (argv) => {
    expect(() => parseArguments(argv)).toThrow(UsageError)
  })
})
