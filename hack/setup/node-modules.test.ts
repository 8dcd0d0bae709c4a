import { describe, expect, test } from '@jest/globals'
import { root } from './directories.mjs'
import { matches, npmCi } from './node-modules.mjs'

describe('node_modules is as the lock file says', () => {
  const locked = {
    '': { version: '0.1.0' },
    controller: { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/a-darwin-arm64': { version: '1.0.0', optional: true },
    'node_modules/@berth/controller': { link: true },
  }
  const installed = {
    controller: { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/@berth/controller': { link: true },
  }

  test('when all is there but what is for other platforms', () => {
    expect(matches(locked, installed)).toBe(true)
  })

  test('not when a package is absent, of another version, or no longer wanted', () => {
    const { 'node_modules/a': _, ...without } = installed
    expect(matches(locked, without)).toBe(false)
    expect(matches(locked, { ...installed, 'node_modules/a': { version: '1.0.1' } })).toBe(false)
    expect(matches(locked, { ...installed, 'node_modules/b': { version: '1.0.0' } })).toBe(false)
  })
})

describe('npm ci', () => {
  const bin = `${root}node_modules/.bin`

  test('runs by the npm that runs this', () => {
    const { command, args } = npmCi({ npm_execpath: '/opt/npm-cli.js', npm_node_execpath: '/opt/node', PATH: '' })
    expect([command, ...args]).toEqual(['/opt/node', '/opt/npm-cli.js', 'ci'])
  })

  test('never by the Node that it removes', () => {
    const { command, env } = npmCi({
      npm_execpath: '/opt/npm-cli.js',
      npm_node_execpath: `${bin}/node`,
      PATH: `${bin}:/usr/bin`,
    })
    expect(command).toBe('npm')
    expect(env['PATH']).toBe('/usr/bin')
  })
})
