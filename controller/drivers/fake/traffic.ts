import { BerthError, type ErrorCode, toBerthError } from '../../errors/index.ts'
import { isMutation, type Mutation } from '../../hypervisor/wrap.ts'
import { type CallPattern, type FakeCall, never, subjectOf } from './calls.ts'
import { type Clock, pause } from './clock.ts'
import { type Fault, Faults, type Latencies, type Latency } from './faults.ts'
import { type HeldCall, Hold } from './holds.ts'
import type { Duration, Random } from './random.ts'

/** A mutation that arrived, and what came of it. */
export interface JournalEntry extends FakeCall {
  readonly method: Mutation
  /** When it took effect or was refused, by the host's clock. */
  readonly at: number
  readonly outcome: 'Changed' | 'Unchanged' | ErrorCode
}

/** What a call does at the host. Of mutations: whether it changed anything. */
export type Work<T> = (fault: Fault | undefined) => T | Promise<T>

/** The connection that a call comes by. */
export interface Wire {
  /** It ends: what waits for an answer learns of it. */
  cut(): void
}

/**
 * The way of calls to a fake host and back: latencies, faults, holds, the host's locks, and its journal. A call arrives,
 * is refused as busy while another one works on the same object, works, takes effect, and is answered.
 */
export class Traffic {
  readonly faults: Faults
  latencies: Latencies = {}
  /** Every mutation that arrived, in order. */
  readonly journal: JournalEntry[] = []
  readonly #clock: Clock
  readonly #random: Random
  readonly #holds: Hold[] = []
  readonly #jobs = new Set<string>()
  #hung: ReturnType<typeof Promise.withResolvers<void>> | undefined
  /** Grows whenever all that is on its way is lost. */
  #epoch = 0

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
    this.faults = new Faults(random)
  }

  hold(pattern: CallPattern): Hold {
    const hold = new Hold(pattern, (ended) => void this.#holds.splice(this.#holds.indexOf(ended), 1))
    this.#holds.push(hold)
    return hold
  }

  /** From now on nothing arrives and nothing is answered. */
  hang(): void {
    this.#hung ??= Promise.withResolvers<void>()
  }

  resume(): void {
    this.#hung?.resolve()
    this.#hung = undefined
  }

  /** Resolves when the host is not hung. */
  async responsive(): Promise<void> {
    while (this.#hung !== undefined) await this.#hung.promise
  }

  /** What is on its way never arrives, and what is worked on never takes effect. */
  drop(): void {
    this.#epoch++
    this.#jobs.clear()
  }

  /** Gives the result at once where nothing delays the call. */
  deliver<T>(call: FakeCall, wire: Wire, work: Work<T>): T | Promise<T> {
    const latency = this.latencies[call.method] ?? this.latencies.default
    if (latency !== undefined || this.faults.any || this.#holds.length > 0 || this.#hung !== undefined) {
      return this.#travel(call, wire, work, latency ?? {})
    }
    if (isMutation(call.method)) this.#requireIdle(call)
    return this.#perform(call, undefined, work)
  }

  async #travel<T>(call: FakeCall, wire: Wire, work: Work<T>, { toHost, atHost, toCaller }: Latency): Promise<T> {
    const held = this.#holdOf(call)
    const fault = this.faults.of(call)
    const pass = this.#checkpoint()
    if (fault?.type === 'Lost' || (await held?.arrival) === 'Lost') return never()
    await pass(this.#draw(toHost) + (fault?.type === 'Late' ? this.#draw(fault.by) : 0))
    if (fault?.type === 'Disconnected' && !fault.effect) {
      wire.cut()
      return never()
    }
    const outcome = await this.#work(call, fault, work, () =>
      pass(this.#draw(atHost) + (fault?.type === 'Slow' ? this.#draw(fault.by) : 0)),
    )
    if (fault?.type === 'Disconnected') wire.cut()
    if (fault?.type === 'Disconnected' || fault?.type === 'Unanswered') return never()
    await held?.done()
    await pass(this.#draw(toCaller))
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  /** What passes time on the way; what was dropped meanwhile never goes on. */
  #checkpoint(): (delay: number) => Promise<void> {
    const epoch = this.#epoch
    return async (delay) => {
      await pause(this.#clock, delay)
      await this.responsive()
      if (epoch !== this.#epoch) await never()
    }
  }

  /** The host's part: for its time, a mutation has the object for itself. */
  async #work<T>(
    call: FakeCall,
    fault: Fault | undefined,
    work: Work<T>,
    passTime: () => Promise<void>,
  ): Promise<{ readonly value: T } | { readonly error: unknown }> {
    const locks = isMutation(call.method) && call.method !== 'placeImage'
    try {
      if (locks) this.#requireIdle(call)
    } catch (error) {
      return { error }
    }
    if (locks) this.#jobs.add(subjectOf(call))
    await passTime()
    if (locks) this.#jobs.delete(subjectOf(call))
    try {
      return { value: await this.#perform(call, fault, work) }
    } catch (error) {
      return { error }
    }
  }

  #requireIdle(call: FakeCall): void {
    if (this.#jobs.size === 0 || !this.#jobs.has(subjectOf(call))) return
    throw new BerthError('HypervisorBusy', 'The hypervisor works on another operation on the same object.')
  }

  #perform<T>(call: FakeCall, fault: Fault | undefined, work: Work<T>): T | Promise<T> {
    const done = (value: T): T => {
      this.#note(call, value === true ? 'Changed' : 'Unchanged')
      return value
    }
    const refused = (error: unknown): never => {
      this.#note(call, toBerthError(error).code)
      throw error
    }
    try {
      if (fault?.type === 'Refused') throw new BerthError(fault.code, 'Refused by a fault that was asked for.')
      const result = work(fault)
      return result instanceof Promise ? result.then(done, refused) : done(result)
    } catch (error) {
      return refused(error)
    }
  }

  #note(call: FakeCall, outcome: JournalEntry['outcome']): void {
    const { method } = call
    if (isMutation(method)) this.journal.push({ ...call, method, at: this.#clock.monotonic(), outcome })
  }

  #holdOf(call: FakeCall): HeldCall | undefined {
    for (const hold of this.#holds) {
      const held = hold.take(call)
      if (held !== undefined) return held
    }
    return undefined
  }

  #draw(duration: Duration = 0): number {
    return this.#random.duration(duration)
  }
}
