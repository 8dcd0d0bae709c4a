import type { LookupFunction } from 'node:net'
import { type Clock, systemClock } from './clock.ts'
import type { DiskConverter } from './convert/raw-forms.ts'
import { defaultDenyAddresses } from './http/address-policy.ts'
import type { DiskInspector } from './inspect/inspect.ts'

/** What the service writes its log with; pino fits. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface Limits {
  /** Largest file that is fetched, bytes. Default 128 GiB. */
  readonly maximumSize: number
  /** Largest disk that an image may stand for, bytes. Default 16 TiB. */
  readonly maximumVirtualSize: number
  /** Bytes of the store's file system that are left free. Default 256 MiB. */
  readonly reservedSpace: number
  /** Fetches at the same time; others wait. Default 4. */
  readonly concurrentFetches: number
  /** Redirects that are followed for one request. Default 5. */
  readonly redirects: number
  /** Milliseconds for a server to accept the connection and send its headers. Default 30 000. */
  readonly responseTimeout: number
  /** Bytes a second that a server must send on average over `rateWindow`; slower is broken off and tried again. Default 1024. */
  readonly minimumRate: number
  /** Milliseconds. Default 30 000. */
  readonly rateWindow: number
}

export interface RetrySettings {
  /** Milliseconds before the first repetition; doubled each time. Default 1000. */
  readonly base: number
  /** Longest wait, milliseconds; a server's Retry-After counts up to this too. Default 300 000. */
  readonly maximum: number
}

export interface AddressPolicyOptions {
  /** Addresses that are never connected to, as CIDR, instead of `defaultDenyAddresses`. */
  readonly denyAddresses?: readonly string[]
  /** How names become addresses. Default: the system's resolver. */
  readonly lookup?: LookupFunction
}

export interface ImageServiceOptions {
  /** Where everything is kept; made when absent. One process at a time holds it. */
  readonly directory: string
  readonly log?: Log
  readonly clock?: Clock
  readonly limits?: Partial<Limits>
  readonly retry?: Partial<RetrySettings>
  readonly addressPolicy?: AddressPolicyOptions
  /** Reads the virtual size of a file whose header was found harmless. Default: `qemu-img info` in a limited child process. */
  readonly inspector?: DiskInspector
  /** Makes the raw form of a qcow2 file. Default: `qemu-img convert` in a limited child process. */
  readonly converter?: DiskConverter
}

export const defaultLimits: Limits = {
  maximumSize: 128 * 1024 ** 3,
  maximumVirtualSize: 16 * 1024 ** 4,
  reservedSpace: 256 * 1024 ** 2,
  concurrentFetches: 4,
  redirects: 5,
  responseTimeout: 30_000,
  minimumRate: 1024,
  rateWindow: 30_000,
}

export const defaultRetry: RetrySettings = { base: 1000, maximum: 300_000 }

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export interface Settings {
  readonly log: Log
  readonly clock: Clock
  readonly limits: Limits
  readonly retry: RetrySettings
  readonly denyAddresses: readonly string[]
  readonly lookup: LookupFunction | undefined
}

/** Fills in the defaults. Throws RangeError for a limit that cannot work. */
export function settingsOf(options: ImageServiceOptions): Settings {
  const limits = { ...defaultLimits, ...options.limits }
  const retry = { ...defaultRetry, ...options.retry }
  for (const [name, value] of Object.entries({ ...limits, ...retry })) {
    if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name} must be a number of at least 0`)
  }
  if (limits.concurrentFetches < 1) throw new RangeError('concurrentFetches must be at least 1')
  return {
    log: options.log ?? silent,
    clock: options.clock ?? systemClock,
    limits,
    retry,
    denyAddresses: options.addressPolicy?.denyAddresses ?? defaultDenyAddresses,
    lookup: options.addressPolicy?.lookup,
  }
}
