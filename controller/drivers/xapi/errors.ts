import { BerthError, type ErrorCode } from '../../errors/index.ts'

/** What XAPI answers instead of a result. Errors of xen-api have this shape, failed tasks are given it. */
export interface XapiFailure {
  readonly code: string
  readonly params: readonly string[]
}

export function isXapiFailure(error: unknown, ...codes: readonly string[]): error is XapiFailure {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('params' in error)) return false
  return Array.isArray(error.params) && (codes.length === 0 || codes.includes(String(error.code)))
}

/** Whether a call could have changed something: only then its loss is ambiguous. */
export type Effect = 'Read' | 'Mutation'

const codes: ReadonlyMap<string, ErrorCode> = new Map(
  Object.entries({
    SESSION_AUTHENTICATION_FAILED: 'CredentialsInvalid',
    RBAC_PERMISSION_DENIED: 'CredentialsInvalid',
    PERMISSION_DENIED: 'CredentialsInvalid',
    USER_IS_NOT_LOCAL_SUPERUSER: 'CredentialsInvalid',
    // Another host is the master by now, or the session ended: a new session finds out.
    SESSION_INVALID: 'HypervisorUnreachable',
    HOST_IS_SLAVE: 'HypervisorUnreachable',
    HOST_OFFLINE: 'HypervisorUnreachable',
    HOST_STILL_BOOTING: 'HypervisorUnreachable',
    HOST_HAS_NO_MANAGEMENT_IP: 'HypervisorUnreachable',
    OTHER_OPERATION_IN_PROGRESS: 'HypervisorBusy',
    TOO_MANY_PENDING_TASKS: 'HypervisorBusy',
    VDI_IN_USE: 'HypervisorBusy',
    SR_OPERATION_NOT_SUPPORTED: 'HypervisorRefused',
    // Of two who made the same thing at once.
    DEVICE_ALREADY_EXISTS: 'HypervisorBusy',
    MAP_DUPLICATE_KEY: 'HypervisorBusy',
    // What was seen a moment ago is gone, or in another state: someone else is at work on it.
    HANDLE_INVALID: 'HypervisorBusy',
    VDI_MISSING: 'HypervisorBusy',
    VM_BAD_POWER_STATE: 'HypervisorBusy',
    VM_NON_SUSPENDABLE: 'NotSupported',
    VM_LACKS_FEATURE: 'NotSupported',
    VM_LACKS_FEATURE_SUSPEND: 'NotSupported',
    VM_MISSING_PV_DRIVERS: 'NotSupported',
    VM_OLD_PV_DRIVERS: 'NotSupported',
    SR_FULL: 'StorageFull',
    SR_BACKEND_FAILURE_44: 'StorageFull',
    VDI_TOO_SMALL: 'SmallerThanImage',
    SR_NO_PBDS: 'PoolInactive',
    SR_NOT_ATTACHED: 'PoolInactive',
    PBD_NOT_ATTACHED: 'PoolInactive',
  } satisfies Record<string, ErrorCode>),
)

/** Their first parameter is a secret: the session's reference. */
const secretive = ['SESSION_INVALID']

/** What XAPI said of a call, as an error of the table. XAPI's own words stay in the message. */
export function mapFailure(failure: XapiFailure): BerthError {
  const params = secretive.includes(failure.code) ? [] : failure.params.map(String)
  const code = codes.get(failure.code) ?? 'HypervisorRefused'
  const words = [failure.code, ...params.filter((param) => param !== '')].join(' ')
  return new BerthError(code, `XAPI: ${words}`, { cause: { code: failure.code, params } })
}

/** Whether an error is XAPI's own answer, of one of these codes. */
export const failedWith = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof BerthError && isXapiFailure(error.cause, ...codes)

/** Before any byte of the call was sent. */
const notSent: readonly string[] = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]

/** Anything that a call ended with. The error of xen-api is no cause: it bears the call's arguments. */
export function mapError(error: unknown, effect: Effect): BerthError {
  if (error instanceof BerthError) return error
  if (isXapiFailure(error)) return mapFailure(error)
  const {
    name,
    message,
    code = '',
  } = error as { readonly name?: string; readonly message?: string; readonly code?: string }
  if (name === 'TimeoutError') {
    return lost(effect, 'CallTimedOut', 'HypervisorUnreachable', `The pool did not answer in time: ${message}`)
  }
  if (name === 'AbortError') {
    return lost(effect, 'CallTimedOut', 'TemporaryFailure', `The pool was not waited for: ${message}`)
  }
  const words = `No connection to the pool: ${message}`
  if (notSent.includes(code)) return new BerthError('HypervisorUnreachable', words)
  return lost(effect, 'ConnectionLost', 'HypervisorUnreachable', words)
}

function lost(effect: Effect, ambiguous: ErrorCode, harmless: ErrorCode, words: string): BerthError {
  return new BerthError(effect === 'Mutation' ? ambiguous : harmless, words)
}
