import type { ErrorCode } from '../../errors/index.ts'
import type { Call } from '../../hypervisor/wrap.ts'
import { type CallPattern, type FakeCall, matches } from './calls.ts'
import type { Duration, Random } from './random.ts'

/** What goes wrong with one call. */
export type Fault =
  /** The host says no, and nothing has happened. */
  | { readonly type: 'Refused'; readonly code: ErrorCode }
  /** It never arrives, and the caller learns nothing before its deadline. */
  | { readonly type: 'Lost' }
  /** It takes effect; the answer never comes. */
  | { readonly type: 'Unanswered' }
  /** It is on its way for so long before the host knows of it. */
  | { readonly type: 'Late'; readonly by: Duration }
  /** The host works on it for so long, and is busy for others with the same object meanwhile. */
  | { readonly type: 'Slow'; readonly by: Duration }
  /** The connection ends before the effect, or after it and before the answer. */
  | { readonly type: 'Disconnected'; readonly effect: boolean }
  /** The connection ends in the middle of an image, after this share of its bytes. */
  | { readonly type: 'TransferCut'; readonly share: number }

/** Faults as data. The first rule that applies to a call decides. */
export interface FaultRule extends CallPattern {
  readonly fault: Fault
  /** How many matching calls pass before. Absent: none. */
  readonly skip?: number
  /** For how many it applies. Absent: all that follow. */
  readonly times?: number
  /** How often it applies where it could, drawn by the host's seed. Absent: always. */
  readonly probability?: number
}

/** How long a call takes, ms. */
export interface Latency {
  readonly toHost?: Duration
  readonly atHost?: Duration
  readonly toCaller?: Duration
}

/** Latency of each method; of all others by `default`. */
export type Latencies = Readonly<Partial<Record<Call | 'default', Latency>>>

/** Which fault a call meets. */
export class Faults {
  readonly #random: Random
  #rules: { readonly rule: FaultRule; seen: number; applied: number }[] = []

  constructor(random: Random) {
    this.#random = random
  }

  get any(): boolean {
    return this.#rules.length > 0
  }

  set(rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule) => ({ rule, seen: 0, applied: 0 }))
  }

  of(call: FakeCall): Fault | undefined {
    for (const entry of this.#rules) {
      const { rule } = entry
      if (!matches(rule, call)) continue
      entry.seen++
      if (entry.seen <= (rule.skip ?? 0) || entry.applied >= (rule.times ?? Number.POSITIVE_INFINITY)) continue
      if (!this.#random.chance(rule.probability ?? 1)) continue
      entry.applied++
      return rule.fault
    }
    return undefined
  }
}
