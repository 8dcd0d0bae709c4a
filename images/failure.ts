import type { ImageFailure } from './port.ts'

/** Whatever goes wrong with an image. The message is for people: it says what is wrong and the mend, and holds no secret. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
  readonly failure: ImageFailure
  /** For TemporaryFailure: not before so many milliseconds (a server's Retry-After). */
  readonly retryAfter: number | undefined
  /** For StoreFull: bytes that must become free before another try makes sense. */
  readonly needed: number | undefined

  constructor(
    failure: ImageFailure,
    message: string,
    options: { cause?: unknown; retryAfter?: number | undefined; needed?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.failure = failure
    this.retryAfter = options.retryAfter
    this.needed = options.needed
  }
}

export function temporary(message: string, options: { cause?: unknown; retryAfter?: number | undefined } = {}) {
  return new ImageError('TemporaryFailure', message, options)
}

/** A system or library error's code, such as ENOENT; by shape, because errors may come from another realm. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function messageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string') {
    return error.message
  }
  return String(error)
}

const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Any thrown value as an ImageError. What nobody foresaw passes for temporary: it is logged, and tried again. */
export function toImageError(error: unknown): ImageError {
  if (error instanceof ImageError) return error
  const code = codeOf(error)
  if (code !== undefined && full.has(code)) {
    return new ImageError('StoreFull', `the image store has no room (${code}): enlarge it, or delete images`, {
      cause: error,
    })
  }
  return temporary(`the image could not be stored: ${code ?? messageOf(error)}`, { cause: error })
}
