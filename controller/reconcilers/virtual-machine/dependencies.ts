import type { Hosts } from '../../hypervisor/hosts.ts'
import type { EventRecorder, KubeClient } from '../../kube/port.ts'
import type { Clock } from '../../runtime/port.ts'
import type { Settling } from '../../runtime/settling.ts'
import type { Caches } from '../shared/caches.ts'
import type { ClaimsUnderWay } from './claims.ts'

export interface Dependencies {
  readonly client: KubeClient
  readonly caches: Caches
  readonly hosts: Hosts
  readonly settling: Settling
  readonly recorder: EventRecorder
  readonly clock: Clock
  /** The longest that a host itself waits for a job, ms: part of the T rule. */
  readonly hostJobWait: number
  /** Uid of the kube-system namespace: which cluster a tag on a host belongs to. */
  readonly cluster: string
}

/**
 * When a guest was asked to shut down, by instance id. In memory only: after a crash a guest gets its full time again.
 */
export class ShutdownRequests {
  readonly #requests = new Map<string, { readonly first: number; last: number }>()

  asked(instanceID: string, now: number): void {
    const request = this.#requests.get(instanceID)
    if (request) request.last = now
    else this.#requests.set(instanceID, { first: now, last: now })
  }

  /** Milliseconds since it was asked first and last; undefined: not asked. */
  since(instanceID: string, now: number): { readonly first: number; readonly last: number } | undefined {
    const request = this.#requests.get(instanceID)
    return request && { first: now - request.first, last: now - request.last }
  }

  forget(instanceID: string): void {
    this.#requests.delete(instanceID)
  }
}

/** Delay before the next start, ms, by how often it was started lately: at once, then 10 s, doubled up to 300 s. */
const restartDelay = (starts: number): number => (starts < 2 ? 0 : Math.min(10_000 * 2 ** (starts - 2), 300_000))
/** A machine that ran so long, ms, is not in a loop. */
const forgottenAfter = 600_000

/** When machines were started, by instance id: one that goes off soon after each start is started ever later. */
export class StartAttempts {
  readonly #attempts = new Map<string, { readonly count: number; readonly last: number }>()

  started(instanceID: string, now: number): void {
    const before = this.#attempts.get(instanceID)
    const count = before && now - before.last < forgottenAfter ? before.count + 1 : 1
    this.#attempts.set(instanceID, { count, last: now })
  }

  /** Milliseconds until it may be started again; 0: now. */
  waitFor(instanceID: string, now: number): number {
    const attempt = this.#attempts.get(instanceID)
    return attempt ? Math.max(0, attempt.last + restartDelay(attempt.count) - now) : 0
  }

  /** It was stopped as declared, or is gone. */
  forget(instanceID: string): void {
    this.#attempts.delete(instanceID)
  }
}

/** What a reconciler remembers of machines between passes; all of it may be lost without harm. */
export interface Memory {
  readonly shutdowns: ShutdownRequests
  readonly starts: StartAttempts
  readonly claims: ClaimsUnderWay
}
