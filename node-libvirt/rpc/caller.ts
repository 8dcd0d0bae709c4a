import type { Duplex, Readable, Writable } from 'node:stream'
import type { Arguments, ProcedureName, Result } from '../protocol/procedures.ts'

/** Options of every call. */
export interface CallOptions {
  /** Deadline in milliseconds, from the call to its answer; the connection's `callTimeout` unless given. */
  readonly timeout?: number | undefined
  /** Ends the wait. What was sent may still take effect: see `effectUnknown` of the error. */
  readonly signal?: AbortSignal | undefined
  /** Called right before the call is sent: it may have waited for its turn. What it throws ends the call, unsent. */
  readonly beforeSend?: (() => void) | undefined
}

export interface StreamOptions extends CallOptions {
  /** Longest time in milliseconds that the server may make no progress while we wait for it; 60 s unless given. */
  readonly idleTimeout?: number | undefined
}

/** What objects (domains, pools, …) need of the connection that they came from. */
export interface Caller {
  call<N extends ProcedureName>(name: N, args: Arguments<N>, options?: CallOptions): Promise<Result<N>>
  /** A call whose arguments' stream follows it. */
  upload<N extends ProcedureName>(name: N, args: Arguments<N>, options?: StreamOptions): Promise<Writable>
  download<N extends ProcedureName>(name: N, args: Arguments<N>, options?: StreamOptions): Promise<Readable>
  /** A call whose stream goes both ways. */
  interact<N extends ProcedureName>(name: N, args: Arguments<N>, options?: StreamOptions): Promise<Duplex>
  /** A download, together with the call's answer. */
  downloadWith<N extends ProcedureName>(
    name: N,
    args: Arguments<N>,
    options?: StreamOptions,
  ): Promise<{ readonly result: Result<N>; readonly stream: Readable }>
}
