import { type ErrorClass, type ErrorCode, errorTable } from './table.ts'

/**
 * An error with a code of the table. The message is for people and goes into conditions and Events:
 * it says what is wrong and how to mend it, and never holds a secret.
 */
export class BerthError extends Error {
  override readonly name = 'BerthError'
  readonly code: ErrorCode
  /** Look again after so many milliseconds at the latest, whatever the class; Conflict alone is retried by its own rule. */
  readonly retryAfter: number | undefined

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryAfter = options.retryAfter
  }

  get class(): ErrorClass {
    return errorTable[this.code].class
  }
}

export function isBerthError(error: unknown, code?: ErrorCode): error is BerthError {
  return error instanceof BerthError && (code === undefined || error.code === code)
}

/** Any thrown value as a BerthError; what has no code is a defect of ours. */
export function toBerthError(error: unknown): BerthError {
  if (error instanceof BerthError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new BerthError('InternalError', message, { cause: error })
}
