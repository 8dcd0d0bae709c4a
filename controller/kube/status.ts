/** What the API server answers with when it refuses (metav1.Status), as BerthErrors. */
import { BerthError } from '../errors/index.ts'

/** The cause of a BerthError that comes from an HTTP answer. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  /** HTTP status. */
  readonly status: number
  /** metav1.Status.reason, as `AlreadyExists`. */
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(message)
    this.status = status
    this.reason = reason
  }
}

/** The HTTP status behind an error, if an answer of the API server is. */
export function httpStatus(error: unknown): number | undefined {
  if (error instanceof StatusError) return error.status
  return error instanceof Error && error.cause instanceof StatusError ? error.cause.status : undefined
}

/** Refusals by RBAC or policy end without any watch telling: look again after so long, in ms. */
const refusedRetry = 60_000
const longestMessage = 500

export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`

/**
 * An answer of 400 and above as an error. Only metav1.Status.message is quoted, and shortened: any other body may be
 * a proxy's page or hold what nobody should read in a condition.
 */
export function errorFromAnswer(status: number, body: string, retryAfter?: number): BerthError {
  const parsed = parseStatus(body)
  const message = shorten(parsed?.message || `The API server answered ${status}.`, longestMessage)
  const cause = new StatusError(status, parsed?.reason ?? '', message)
  const after = retryAfter === undefined ? {} : { retryAfter }
  if (status === 409) return new BerthError('Conflict', message, { cause })
  // 401: credentials rotate; 408, 410: the same request may pass when made anew.
  if (status >= 500 || status === 429 || status === 401 || status === 408 || status === 410) {
    return new BerthError('APIUnavailable', message, { cause, ...after })
  }
  return new BerthError('APIRefused', message, status === 403 ? { cause, retryAfter: refusedRetry } : { cause })
}

function parseStatus(body: string): { message?: string; reason?: string } | undefined {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value !== 'object' || value === null) return undefined
    const { kind, message, reason } = value as Record<string, unknown>
    if (kind !== 'Status') return undefined
    return {
      ...(typeof message === 'string' ? { message } : {}),
      ...(typeof reason === 'string' ? { reason } : {}),
    }
  } catch {
    return undefined
  }
}
