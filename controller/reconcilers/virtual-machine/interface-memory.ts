/** What was tried on interfaces lately, by instance id: in memory only, so that after a crash it is tried once more. */
import type { InterfaceAttempt } from './interface-model.ts'

interface Attempt extends InterfaceAttempt {
  /** What the host was told, or nothing. */
  readonly what: string
  readonly time: number
}

/** What the host refused, ms. */
const retriedAfter = 60_000
/** A guest that keeps an interface, ms: it is asked again so often. */
const askedAgainAfter = 30_000
/** What a host is told of with its answer is seen by then, ms. */
const seenAfter = 5_000

const pauseAfter = ({ work, problem }: Attempt): number =>
  problem ? retriedAfter : work === 'DetachInterface' ? askedAgainAfter : seenAfter

export class InterfaceAttempts {
  readonly #attempts = new Map<string, readonly Attempt[]>()

  tried(instanceID: string, attempt: InterfaceAttempt, what: unknown, time: number): void {
    const others = this.#of(instanceID).filter(({ macAddress }) => macAddress !== attempt.macAddress)
    this.#attempts.set(instanceID, [...others, { ...attempt, what: JSON.stringify(what) ?? '', time }])
  }

  /** What is not to be tried again yet; `what` tells what it would be told now, by MAC address: something else is tried at once. */
  held(instanceID: string, what: (macAddress: string) => unknown, now: number): readonly InterfaceAttempt[] {
    return this.#of(instanceID).filter(
      (attempt) =>
        now - attempt.time < pauseAfter(attempt) && attempt.what === (JSON.stringify(what(attempt.macAddress)) ?? ''),
    )
  }

  /** Milliseconds until something is worth a try again; undefined: nothing waits for that. */
  lookIn(instanceID: string, now: number): number | undefined {
    const waits = this.#of(instanceID)
      .map((attempt) => attempt.time + pauseAfter(attempt) - now)
      .filter((wait) => wait > 0)
    return waits.length === 0 ? undefined : Math.min(...waits) + 10
  }

  forget(instanceID: string): void {
    this.#attempts.delete(instanceID)
  }

  #of(instanceID: string): readonly Attempt[] {
    return this.#attempts.get(instanceID) ?? []
  }
}
