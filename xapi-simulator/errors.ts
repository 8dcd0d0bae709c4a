/**
 * An error as XAPI gives it: a code and its parameters, all text.
 */
export class XapiError extends Error {
  override readonly name = 'XapiError'
  readonly code: string
  readonly parameters: readonly string[]

  constructor(code: string, ...parameters: string[]) {
    super([code, ...parameters].join(' '))
    this.code = code
    this.parameters = parameters
  }

  /** The code and the parameters in one list, as error_info and ErrorDescription have them. */
  get description(): string[] {
    return [this.code, ...this.parameters]
  }
}
