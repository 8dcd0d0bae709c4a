/** What Berth uses of xen-api 4.7.6, which comes without types. */
declare module 'xen-api' {
  import type { EventEmitter } from 'node:events'

  export interface XapiOptions {
    readonly url: string
    readonly auth: { readonly user: string; readonly password: string }
    readonly watchEvents?: false
    /** Milliseconds for a call of this method. The request itself goes on. */
    readonly callTimeout?: (method: string) => number
    readonly callConcurrency?: number
    readonly roCallRetryOptions?: { readonly tries: number }
    readonly syncStackTraces?: boolean
  }

  export class Xapi extends EventEmitter<{ sessionId: [string] }> {
    constructor(options: XapiOptions)
    readonly pool: { readonly uuid: string } | null
    /** Throws while it is not connected. */
    readonly sessionId: string
    connect(): Promise<void>
    disconnect(): Promise<void>
    call(method: string, ...args: readonly unknown[]): Promise<unknown>

    // Private, as their names say: see docs/decisions/0013-xapi-driver.md.
    _undiciDispatcher: { readonly constructor: unknown; close(): Promise<void>; destroy(): Promise<void> }
    readonly _url: { readonly protocol: string; readonly hostname: string; readonly port?: string }
    _setUrl(url: Xapi['_url']): void
  }
}
