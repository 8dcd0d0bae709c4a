import { BerthError } from '../../errors/index.ts'

/** The failure, to be tried again after so many ms at the latest: what a person mends on a host or in a Secret is told by no watch. */
export const retried = (failure: BerthError, after: number): BerthError =>
  failure.class === 'Terminal' && failure.retryAfter === undefined
    ? new BerthError(failure.code, failure.message, { cause: failure, retryAfter: after })
    : failure
