/** A refusal of the API server in memory; the transport makes of it what it makes of a real one's answer. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly code: number
  readonly reason: string

  constructor(code: number, reason: string, message: string) {
    super(message)
    this.code = code
    this.reason = reason
  }
}

export const conflict = (message: string) => new StatusError(409, 'Conflict', message)
export const notFound = (message: string) => new StatusError(404, 'NotFound', message)
