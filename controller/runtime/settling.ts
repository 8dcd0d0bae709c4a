/**
 * The T rule: can a call for an instance still be on its way to its host? T (ms) is the longest deadline of a call plus
 * the host's own longest wait for a job. A call that was answered is over; one that was not may arrive until T after it
 * was sent; and an earlier leader's may arrive until T after this term began, where the object existed then.
 */
import type { Clock, Term } from './port.ts'

interface Calls {
  /** When the calls under way were sent, earliest first. */
  inFlight: number[]
  /** When the last call was sent whose end is unknown. */
  unresolved: number | undefined
}

export class Settling {
  readonly #clock: Clock
  readonly #term: Term
  readonly #calls = new Map<string, Calls>()

  constructor(clock: Clock, term: Term) {
    this.#clock = clock
    this.#term = term
  }

  /** Say so right before a call that may change something on a host is sent. */
  began(instanceID: string): void {
    const calls = this.#calls.get(instanceID) ?? { inFlight: [], unresolved: undefined }
    calls.inFlight.push(this.#clock.monotonic())
    this.#calls.set(instanceID, calls)
  }

  /** The call was answered, whether it did what it should or not. */
  resolved(instanceID: string): void {
    const calls = this.#calls.get(instanceID)
    // Of several the earliest: the answer to "since when" is then late rather than early.
    calls?.inFlight.shift()
    this.#dropEmpty(instanceID)
  }

  /** The call ended without an answer: its effect is unknown. */
  unresolved(instanceID: string): void {
    const calls = this.#calls.get(instanceID) ?? { inFlight: [], unresolved: undefined }
    calls.inFlight.pop()
    // From now, not from when it began: it may have waited for its turn, or be one of many that a step sends.
    calls.unresolved = this.#clock.monotonic()
    this.#calls.set(instanceID, calls)
  }

  settled(instanceID: string, uid: string, T: number): boolean {
    return this.waitFor(instanceID, uid, T) === 0
  }

  /** Milliseconds until it may be settled; 0 when it is. */
  waitFor(instanceID: string, uid: string, T: number): number {
    const now = this.#clock.monotonic()
    const calls = this.#calls.get(instanceID)
    if (calls !== undefined && calls.inFlight.length > 0) return T
    const ofCalls = calls?.unresolved === undefined ? 0 : calls.unresolved + T - now
    const ofTerm = this.#term.inherited(uid) ? T - this.#term.age() : 0
    return Math.max(0, ofCalls, ofTerm)
  }

  /** The object is gone, and settled. */
  forget(instanceID: string): void {
    const calls = this.#calls.get(instanceID)
    if (calls?.inFlight.length === 0) this.#calls.delete(instanceID)
  }

  #dropEmpty(instanceID: string): void {
    const calls = this.#calls.get(instanceID)
    if (calls?.inFlight.length === 0 && calls.unresolved === undefined) this.#calls.delete(instanceID)
  }
}
