import type { Call } from '../../hypervisor/wrap.ts'

/** A call on its way to a fake host. */
export interface FakeCall {
  readonly method: Call
  readonly instanceID?: string
  readonly pool?: string
  /** Of the volume, or of the image by its digest. */
  readonly volume?: string
  /** Name of the disk. */
  readonly disk?: string
}

/** Which calls are meant; what is absent is any. */
export interface CallPattern {
  readonly method?: Call | readonly Call[]
  readonly instanceID?: string
  readonly pool?: string
}

export function matches({ method, instanceID, pool }: CallPattern, call: FakeCall): boolean {
  const methodFits =
    method === undefined || (Array.isArray(method) ? method.includes(call.method) : method === call.method)
  return (
    methodFits &&
    (instanceID === undefined || instanceID === call.instanceID) &&
    (pool === undefined || pool === call.pool)
  )
}

/** What the host locks while it works on the call: the machine with its volumes, an image, or a pool. */
export function subjectOf({ instanceID, pool, volume }: FakeCall): string {
  return instanceID ?? `${pool ?? ''}/${volume ?? ''}`
}

/** Never settles: the answer that is lost. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined)
