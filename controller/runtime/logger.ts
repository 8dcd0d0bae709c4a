import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino'

/** Names whose values are never logged, wherever they are two levels deep. */
const secretNames = [
  'authorization',
  'password',
  'passphrase',
  'token',
  'secret',
  'data',
  'stringData',
  'userData',
  'privateKey',
  'key.pem',
  'ca.key',
]
const paths = secretNames.flatMap((name) => {
  const member = /^\w+$/.test(name) ? `.${name}` : `["${name}"]`
  return [member.replace(/^\./, ''), `*${member}`, `*.*${member}`]
})

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
export const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error']

/** JSON, a line a message, to standard output; times in ISO 8601. */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths, censor: '[redacted]' },
    serializers: { err: stdSerializers.errWithCause },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
