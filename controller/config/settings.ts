/**
 * Every setting of the controller, once: its flag, its variable (BERTH_ and the flag in capitals), its key in the file
 * (the flag in camel case), what it takes and what it is without being set. A new setting is a new line here.
 */
import { isAbsolute, resolve } from 'node:path'
import { parseDuration } from '../api/duration.ts'
import { parseDSN } from '../observability/dsn.ts'

export interface Setting<T> {
  /** In help: what the flag takes. Absent: nothing, it is a switch. */
  readonly takes?: string
  readonly help: string
  /** As it would be written. Undefined: not set. */
  readonly default: string | undefined
  /** Its value is never quoted. */
  readonly secret?: true
  /** Throws an Error whose message goes after the setting's name. */
  readonly parse: (text: string) => T
}

const text = (value: string): string => {
  if (value === '') throw new Error('must not be empty')
  return value
}

/** Relative to where the process was started. */
const path = (value: string): string => (isAbsolute(text(value)) ? value : resolve(value))

const boolean = (value: string): boolean => {
  if (value !== 'true' && value !== 'false') throw new Error('must be true or false')
  return value === 'true'
}

const count = (value: string): number => {
  if (!/^[1-9]\d{0,3}$/.test(value)) throw new Error('must be a whole number from 1 to 9999')
  return Number(value)
}

const duration = (value: string): number => {
  try {
    const milliseconds = parseDuration(value)
    if (milliseconds > 0) return milliseconds
  } catch {
    // Said below.
  }
  throw new Error('must be a duration such as 15s, 2m or 1h30m')
}

const dnsLabel = (value: string): string => {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value)) throw new Error('must be the name of a namespace')
  return value
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`, `[::1]:port` or `:port`; port 0 is any that is free. */
const address = (value: string): Address => {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new Error('must be HOST:PORT or :PORT')
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port }
}

/** Without user, password, query and fragment. */
const httpURL = (value: string): string => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const plain = url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === ''
  if (!plain) throw new Error('must be http://HOST:PORT or https://HOST:PORT')
  return value
}

const dsn = (value: string): string => {
  parseDSN(value)
  return value
}

const oneOf =
  <T extends string>(...values: readonly T[]) =>
  (value: string): T => {
    const found = values.find((one) => one === value)
    if (found === undefined) throw new Error(`must be one of ${values.join(', ')}`)
    return found
  }

const setting = <T>(definition: Setting<T> & { readonly default: string }) => definition
const optional = <T>(definition: Omit<Setting<T>, 'default'>): Setting<T | undefined> => ({
  ...definition,
  default: undefined,
})

export const settings = {
  kubeconfig: optional({
    takes: 'FILE',
    help: 'how to reach the API server; else KUBECONFIG, the pod’s service account, ~/.kube/config',
    parse: path,
  }),
  context: optional({ takes: 'NAME', help: 'context of the kubeconfig; else its current one', parse: text }),
  namespace: setting({
    takes: 'NAME',
    help: 'Berth’s own namespace: the lease, and the Secrets of hypervisors',
    default: 'berth-system',
    parse: dnsLabel,
  }),
  imageStore: optional({ takes: 'DIR', help: 'folder of the image store', parse: path }),
  leaderElect: setting({
    help: 'work only while holding the lease; false where there is certainly one process',
    default: 'true',
    parse: boolean,
  }),
  leaseDuration: setting({
    takes: 'TIME',
    help: 'a standby waits so long for a sign of life of the leader',
    default: '15s',
    parse: duration,
  }),
  renewDeadline: setting({
    takes: 'TIME',
    help: 'the leader gives up after so long without renewing',
    default: '10s',
    parse: duration,
  }),
  retryPeriod: setting({ takes: 'TIME', help: 'time between looks at the lease', default: '2s', parse: duration }),
  hostJobWait: setting({
    takes: 'TIME',
    help: 'longest that a hypervisor itself waits for a job before it gives up (libvirt: 30 s); how late a call may come',
    default: '30s',
    parse: duration,
  }),
  workers: setting({
    takes: 'COUNT',
    help: 'objects of a kind worked on at once, a quarter of them on any one hypervisor',
    default: '16',
    parse: count,
  }),
  healthAddress: setting({
    takes: 'HOST:PORT',
    help: 'where /healthz, /readyz and /metrics are served; port 0 is any that is free',
    default: '0.0.0.0:8080',
    parse: address,
  }),
  sentryDsn: optional({
    takes: 'DSN',
    help: 'where defects are reported to (Sentry); nowhere unless set',
    secret: true,
    parse: dsn,
  }),
  sentryDsnFile: optional({ takes: 'FILE', help: 'a file that holds the DSN, instead of --sentry-dsn', parse: path }),
  otlpEndpoint: optional({
    takes: 'URL',
    help: 'where traces are sent to, by OTLP over HTTP, as http://collector:4318; nowhere unless set',
    parse: httpURL,
  }),
  logLevel: setting({
    takes: 'LEVEL',
    help: 'trace, debug, info, warn or error',
    default: 'info',
    parse: oneOf('trace', 'debug', 'info', 'warn', 'error'),
  }),
} as const satisfies Record<string, Setting<unknown>>

export type SettingName = keyof typeof settings

type ValueOf<S extends Setting<unknown>> = ReturnType<S['parse']>

/** Durations are in ms. */
export type Config = { readonly [K in SettingName]: ValueOf<(typeof settings)[K]> }
