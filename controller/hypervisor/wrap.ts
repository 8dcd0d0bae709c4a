import { BerthError, toBerthError } from '../errors/index.ts'
import { Limiter } from './limiter.ts'
import type { CallOptions, ImageContent, Session } from './port.ts'

/** The methods that read: they change nothing on the host. */
export const reads = [
  'refresh',
  'observe',
  'list',
  'interfaces',
  'networkExists',
  'pool',
  'placedImage',
] as const satisfies readonly (keyof Session)[]

/** The methods that have an effect on the host: all of them, and nothing else. */
export const mutations = [
  'createDisk',
  'define',
  'start',
  'pause',
  'unpause',
  'suspend',
  'resize',
  'discardMemory',
  'park',
  'attachInterface',
  'detachInterface',
  'shutdown',
  'powerOff',
  'undefine',
  'attachDisk',
  'detachDisk',
  'growDisk',
  'release',
  'deleteVolume',
  'definePool',
  'placeImage',
  'removeImage',
] as const satisfies readonly (keyof Session)[]

export type Read = (typeof reads)[number]
export type Mutation = (typeof mutations)[number]
export type Call = Read | Mutation

type Arguments = readonly unknown[]

/** Stands around a call: does it by `call`, with the same arguments or others, or does not. */
export type Around = (method: Call, args: Arguments, call: (args: Arguments) => Promise<unknown>) => Promise<unknown>

const isRead = (name: string | symbol): name is Read => (reads as readonly (string | symbol)[]).includes(name)
export const isMutation = (name: string | symbol): name is Mutation =>
  (mutations as readonly (string | symbol)[]).includes(name)

/** The same session with `around` about each call. Everything else (events, close …) goes straight through. */
export function intercepted(session: Session, around: Around): Session {
  const wrapped = new Map<string | symbol, unknown>()
  return new Proxy(session, {
    get(target, name) {
      // Against the target itself: its private fields are not the proxy's.
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const known = wrapped.get(name)
      if (known !== undefined) return known
      const method = (args: Arguments): unknown => Reflect.apply(value, target, args)
      const made =
        isRead(name) || isMutation(name)
          ? async (...args: Arguments) => around(name, args, (given) => method(given) as Promise<unknown>)
          : (...args: Arguments) => method(args)
      wrapped.set(name, made)
      return made
    },
  })
}

/** The lease's guard (controller/runtime): throws once another may lead. */
export interface Guard {
  check(): void
}

/** How many arguments each mutation has; the options are the last. */
const arity: { readonly [M in Mutation]: Required<Parameters<Session[M]>>['length'] } = {
  createDisk: 2,
  define: 2,
  start: 2,
  pause: 2,
  unpause: 2,
  suspend: 2,
  resize: 3,
  discardMemory: 2,
  park: 2,
  attachInterface: 3,
  detachInterface: 3,
  shutdown: 2,
  powerOff: 2,
  undefine: 2,
  attachDisk: 3,
  detachDisk: 3,
  growDisk: 5,
  release: 2,
  deleteVolume: 4,
  definePool: 2,
  placeImage: 4,
  removeImage: 3,
}

/**
 * Checks the guard on the way out of each mutation, and before each request that it makes of the host: a process may be
 * stopped between two of them. Placing an image takes long: there it is checked again before each part is sent, at the
 * end of the content, and right before the marker is written: the host's confirmation of the content lies between.
 */
export function guarded(session: Session, guard: Guard): Session {
  return intercepted(session, async (method, args, call) => {
    if (!isMutation(method)) return call(args)
    guard.check()
    const given = [...args]
    const last = arity[method] - 1
    const options = args[last] as CallOptions | undefined
    const beforeSend = () => {
      options?.beforeSend?.()
      guard.check()
    }
    given[last] = { ...options, beforeSend }
    if (method === 'placeImage') given[1] = guardedContent(args[1] as ImageContent, guard)
    return call(given)
  })
}

function guardedContent(content: ImageContent, guard: Guard): ImageContent {
  return {
    ...content,
    async *open() {
      for await (const part of content.open()) {
        guard.check()
        yield part
      }
      guard.check()
    },
    beforeMarker() {
      content.beforeMarker?.()
      guard.check()
    },
  }
}

/**
 * At most so many mutations at a time; the others wait in order. Transfers of images have a queue of their own with the
 * same limit, so that a few long ones do not hold up every start. Reads do not wait. A call whose signal is aborted
 * while it waits was never sent: HypervisorBusy.
 */
export function limited(session: Session, concurrentOperations: number): Session {
  const operations = new Limiter(concurrentOperations)
  const transfers = new Limiter(concurrentOperations)
  return intercepted(session, async (method, args, call) => {
    if (!isMutation(method)) return call(args)
    const limiter = method === 'placeImage' ? transfers : operations
    const release = await limiter.acquire(signalOf(args))
    if (release === undefined) {
      throw new BerthError('HypervisorBusy', 'Too many operations at a time on this hypervisor: this one was not sent.')
    }
    try {
      return await call(args)
    } finally {
      release()
    }
  })
}

/** Options are the last argument of every call, and the only one with a signal. */
function signalOf(args: Arguments): AbortSignal | undefined {
  const last = args.at(-1)
  if (typeof last !== 'object' || last === null || !('signal' in last)) return undefined
  return (last as CallOptions).signal
}

/** A call that has ended. `seconds` are by the monotonic clock; `outcome` is `Success` or the error's code. */
export interface ObservedCall {
  readonly method: Call
  readonly seconds: number
  readonly outcome: string
}

/** Tells the hook of each call when it has ended. */
export function observed(session: Session, hook: (call: ObservedCall) => void): Session {
  return intercepted(session, async (method, args, call) => {
    const begun = performance.now()
    const tell = (outcome: string) => hook({ method, seconds: (performance.now() - begun) / 1000, outcome })
    try {
      const result = await call(args)
      tell('Success')
      return result
    } catch (error) {
      tell(toBerthError(error).code)
      throw error
    }
  })
}
