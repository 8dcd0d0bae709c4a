import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ConfigError, HelpRequested, loadConfig } from './config.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const load = (argv: string[] = [], env: Record<string, string> = {}) => loadConfig({ argv, env })
const file = (content: string): string => {
  const path = join(folder, `${Math.random()}.yaml`)
  writeFileSync(path, content)
  return path
}

describe('precedence', () => {
  test('without anything set, the defaults', () => {
    expect(load()).toEqual({
      kubeconfig: undefined,
      context: undefined,
      namespace: 'berth-system',
      imageStore: undefined,
      leaderElect: true,
      leaseDuration: 15_000,
      renewDeadline: 10_000,
      retryPeriod: 2_000,
      hostJobWait: 30_000,
      workers: 16,
      healthAddress: { host: '0.0.0.0', port: 8080 },
      sentryDsn: undefined,
      sentryDsnFile: undefined,
      otlpEndpoint: undefined,
      logLevel: 'info',
    })
  })

  test('the file counts more than defaults, the environment more than the file, flags most', () => {
    const path = file('workers: 2\nlogLevel: debug\nnamespace: from-file\nleaderElect: false\n')
    const env = { BERTH_CONFIG: path, BERTH_LOG_LEVEL: 'warn', BERTH_NAMESPACE: 'from-env' }
    expect(load(['--namespace', 'from-flag'], env)).toMatchObject({
      workers: 2,
      logLevel: 'warn',
      namespace: 'from-flag',
      leaderElect: false,
    })
  })

  test('a variable that is empty is not set', () => {
    expect(load([], { BERTH_WORKERS: '' }).workers).toBe(16)
  })

  test('the result can not be changed', () => {
    const config = load()
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.healthAddress)).toBe(true)
  })
})

test.each([
  ['--leader-elect', true],
  ['--leader-elect=true', true],
  ['--leader-elect=false', false],
])('a switch: %s', (flag, value) => {
  expect(load([flag]).leaderElect).toBe(value)
})

test.each([
  [':0', { host: '0.0.0.0', port: 0 }],
  ['127.0.0.1:9000', { host: '127.0.0.1', port: 9000 }],
  ['[::1]:9000', { host: '::1', port: 9000 }],
])('address %s', (text, address) => {
  expect(load(['--health-address', text]).healthAddress).toEqual(address)
})

describe('a wrong value is refused by the name under which it was given', () => {
  test.each<[string[], Record<string, string>, RegExp]>([
    [['--workers', 'many'], {}, /^--workers must be a whole number .* not "many"/],
    [['--workers', '0'], {}, /^--workers/],
    [['--lease-duration', '15'], {}, /^--lease-duration must be a duration/],
    [['--health-address', '8080'], {}, /^--health-address/],
    [['--health-address', ':70000'], {}, /^--health-address/],
    [['--leader-elect', 'maybe'], {}, /^--leader-elect must be true or false/],
    [['--log-level', 'loud'], {}, /^--log-level must be one of/],
    [['--namespace', 'No Such'], {}, /^--namespace/],
    [['--kubeconfig', ''], {}, /^--kubeconfig must not be empty/],
    [[], { BERTH_WORKERS: '-1' }, /^BERTH_WORKERS/],
    [['--lease-duration', '5s'], {}, /--lease-duration must be longer than --renew-deadline/],
    [['--renew-deadline', '2s'], {}, /--renew-deadline must be longer than/],
    [['--otlp-endpoint', 'collector:4317'], {}, /^--otlp-endpoint must be http/],
    [['--otlp-endpoint', 'http://user:pw@collector'], {}, /^--otlp-endpoint must be http/],
    [[], { BERTH_SENTRY_DSN: 'https://sentry.example' }, /^BERTH_SENTRY_DSN must be a DSN/],
    [['--sentry-dsn', 'https://k@h/1', '--sentry-dsn-file', '/x'], {}, /exclude each other/],
    [['--no-such'], {}, /--no-such/],
    [['stray'], {}, /"stray" is not expected/],
    [['--config', '/no/such/file'], {}, /^--config \/no\/such\/file cannot be read/],
  ])('%j %j', (argv, env, message) => {
    expect(() => load(argv, env)).toThrow(ConfigError)
    expect(() => load(argv, env)).toThrow(message)
  })

  test('a secret one without quoting it', () => {
    expect(() => load([], { BERTH_SENTRY_DSN: 'hunter2' })).not.toThrow(/hunter2/)
    expect(() => load([], { BERTH_SENTRY_DSN: 'hunter2' })).toThrow(ConfigError)
  })

  test.each([
    ['wrokers: 3', /unknown setting "wrokers"/],
    ['workers: none', /^workers in .* must be a whole number/],
    ['workers: [1]', /^workers in .* must be a single value/],
    ['- workers', /must hold settings/],
    ['workers: "', /cannot be read/],
  ])('in a file: %s', (content, message) => {
    expect(() => load(['--config', file(content)])).toThrow(message)
  })
})

test('help names every flag, with its default', () => {
  let help = ''
  try {
    load(['--help'])
  } catch (error) {
    expect(error).toBeInstanceOf(HelpRequested)
    help = (error as Error).message
  }
  expect(help).toContain('--renew-deadline')
  expect(help).toContain('10s')
})
