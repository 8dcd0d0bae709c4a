import { readFileSync } from 'node:fs'
import { Command, CommanderError, Option } from 'commander'
import { parse as parseYAML } from 'yaml'
import { type Config, type Setting, type SettingName, settings } from './settings.ts'

/** The command line, the environment or the file is wrong (exit code 2); the message says which setting, and why. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Help or the version was asked for: print `message` and end with exit code 0. */
export class HelpRequested extends Error {
  override readonly name = 'HelpRequested'
}

export interface ConfigSources {
  /** Without the program's own name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version?: string
}

type Given = Readonly<Record<string, unknown>>

/** A flag counts more than a variable, and that more than the file. The result is frozen. */
export function loadConfig({ argv, env, version }: ConfigSources): Config {
  const flags = readFlags(argv, version)
  const file = flags['config'] ?? env['BERTH_CONFIG']
  const inFile = typeof file === 'string' && file !== '' ? readFile(file) : {}
  const config: Record<string, unknown> = {}
  for (const [name, setting] of entries()) {
    const sources: readonly (readonly [string, unknown])[] = [
      [flagOf(name), flags[name]],
      [variableOf(name), env[variableOf(name)] || undefined],
      [`${name} in ${String(file)}`, inFile[name]],
      [flagOf(name), setting.default],
    ]
    const [source, value] = sources.find(([, value]) => value !== undefined) ?? ['', undefined]
    config[name] = value === undefined ? undefined : Object.freeze(parse(source, setting, value))
  }
  return check(Object.freeze(config) as Config)
}

function parse(source: string, setting: Setting<unknown>, value: unknown): unknown {
  try {
    if (typeof value === 'object') throw new Error('must be a single value')
    return setting.parse(String(value))
  } catch (error) {
    const given = setting.secret ? '' : `, not "${String(value)}"`
    throw new ConfigError(`${source} ${(error as Error).message}${given}.`)
  }
}

/** What no setting can say alone. */
function check(config: Config): Config {
  const { leaseDuration, renewDeadline, retryPeriod } = config
  if (leaseDuration <= renewDeadline) throw new ConfigError('--lease-duration must be longer than --renew-deadline.')
  if (renewDeadline <= retryPeriod * 1.2) {
    throw new ConfigError('--renew-deadline must be longer than 1.2 times --retry-period.')
  }
  if (config.sentryDsn !== undefined && config.sentryDsnFile !== undefined) {
    throw new ConfigError('--sentry-dsn and --sentry-dsn-file exclude each other.')
  }
  return config
}

function readFlags(argv: readonly string[], version: string | undefined): Given {
  let output = ''
  const command = new Command('berth-controller')
    .description('Makes virtual machines of Kubernetes objects.')
    .allowExcessArguments()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        output += text
      },
      writeErr: () => {},
    })
  if (version !== undefined) command.version(version)
  for (const [name, setting] of entries()) {
    const value = setting.takes === undefined ? '[true|false]' : `<${setting.takes}>`
    // Defaults are applied after the environment and the file, so that commander may not know them.
    const help = setting.default === undefined ? setting.help : `${setting.help} (default: ${setting.default})`
    const option = new Option(`${flagOf(name)} ${value}`, help)
    command.addOption(setting.takes === undefined ? option.preset('true') : option)
  }
  command.addOption(new Option('--config <FILE>', 'a YAML file with the settings by their names in camel case'))
  try {
    command.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) throw new HelpRequested(output)
    throw new ConfigError(error.message.replace(/^error: /, ''))
  }
  if (command.args.length > 0) throw new ConfigError(`"${command.args[0]}" is not expected: settings begin with --.`)
  return command.opts()
}

function readFile(file: string): Given {
  let content: unknown
  try {
    content = parseYAML(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new ConfigError(`--config ${file} cannot be read: ${(error as Error).message}`)
  }
  if (content === null) return {}
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ConfigError(`--config ${file} must hold settings as "name: value".`)
  }
  for (const name of Object.keys(content)) {
    if (!(name in settings)) throw new ConfigError(`--config ${file} has an unknown setting "${name}".`)
  }
  return content as Given
}

const entries = () => Object.entries(settings) as [SettingName, Setting<unknown>][]
const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
const variableOf = (name: string): string => `BERTH_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
