/**
 * Leader election on a Lease, as client-go does it, with what it leaves to luck made strict: whether another's lease
 * has expired is judged by when *we* saw it change, on the monotonic clock, never by its timestamps; and our own is
 * good for `renewDeadline` from the *start* of the last renewal that succeeded, checked on the way out of every
 * mutation, because a process that was stopped runs no timers. The monotonic clock stands still while the machine
 * sleeps: that time is counted by `sinceBoot`.
 *
 * Guarantee: while `guard.check()` returns, no other candidate with the same durations has taken the lease, unless its
 * clock runs faster than ours by leaseDuration/renewDeadline. Caveats: what was sent before may still arrive later; a
 * virtual machine that its host has paused has no clock that tells, until the next renewal.
 */
import type { Logger } from 'pino'
import { BerthError, isBerthError } from '../errors/index.ts'
import type { APIClient, Guard } from './client.ts'
import { type Clock, microTime, sleep } from './clock.ts'
import type { ReadObject } from './port.ts'
import { type Lease, leases } from './resources.ts'

export interface LeaseOptions {
  /** Unguarded, and on connections of its own, so that a busy process still renews. */
  readonly client: Pick<APIClient, 'get' | 'create' | 'replace'>
  readonly clock: Clock
  /** Milliseconds since the machine was started, its sleep included (CLOCK_BOOTTIME). Default: it never sleeps. */
  readonly sinceBoot?: () => number
  readonly log: Logger
  readonly namespace: string
  readonly name: string
  /** Of this process alone: the pod's name and something random. */
  readonly identity: string
  /** A candidate waits so long for a sign of life, ms. Default 15 s. */
  readonly leaseDuration?: number
  /** The leader gives up after so long without a successful renewal, ms. Default 10 s. */
  readonly renewDeadline?: number
  /** Between attempts, ms. Default 2 s. */
  readonly retryPeriod?: number
  readonly random?: () => number
}

const tooLate = 'The lease could not be renewed in time.'

/** A moment, by both clocks. */
interface Moment {
  readonly monotonic: number
  readonly sinceBoot: number
}

export class LeaderElector {
  readonly guard: Guard
  /** Aborted, with a BerthError, when the lease is lost: what is on its way ends, and so does the process. */
  readonly lost: AbortSignal
  readonly #lost = new AbortController()
  readonly #options: LeaseOptions
  readonly #leaseDuration: number
  readonly #renewDeadline: number
  readonly #retryPeriod: number
  readonly #random: () => number
  /** The last lease seen, and when we saw it change. */
  #seen: { readonly lease: ReadObject<Lease>; readonly at: number } | undefined
  /** When the last renewal that succeeded began. */
  #renewed: Moment | undefined
  #released = false
  #cancelExpiry: () => void = () => {}
  readonly #stopRenewing = new AbortController()
  #renewing: Promise<void> = Promise.resolve()

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#leaseDuration = options.leaseDuration ?? 15_000
    this.#renewDeadline = options.renewDeadline ?? 10_000
    this.#retryPeriod = options.retryPeriod ?? 2_000
    this.#random = options.random ?? Math.random
    if (this.#leaseDuration <= this.#renewDeadline || this.#renewDeadline <= this.#retryPeriod * 1.2) {
      throw new BerthError(
        'InvalidConfiguration',
        'Leader election needs leaseDuration > renewDeadline > 1.2 × retryPeriod.',
      )
    }
    this.lost = this.#lost.signal
    this.guard = { check: () => this.#check() }
  }

  get leading(): boolean {
    return !this.lost.aborted && !this.#released && this.#left() > 0
  }

  /** Waits for the lease; then keeps it in the background until it is lost or released. False: aborted before. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, log, identity } = this.#options
    while (!signal.aborted) {
      try {
        if (await this.#attempt(signal)) {
          log.info({ identity }, 'became leader')
          this.#renewing = this.#renew()
          return true
        }
      } catch (error) {
        if (!signal.aborted && !isBerthError(error, 'Conflict')) log.warn({ err: error }, 'asking for the lease failed')
      }
      await sleep(clock, this.#retryPeriod * (1 + this.#random() / 5), signal)
    }
    return false
  }

  /** Gives the lease up, so that another need not wait. Call it when nothing more is done under it. */
  async release(): Promise<void> {
    const { client, clock, log } = this.#options
    if (this.#renewed === undefined || this.lost.aborted || this.#released) return
    this.#released = true
    this.#cancelExpiry()
    this.#stopRenewing.abort()
    await this.#renewing
    const lease = this.#seen?.lease
    if (lease === undefined || this.#left() <= 0) return
    const { holderIdentity: _, ...spec } = lease.spec ?? {}
    try {
      const released = { ...lease, spec: { ...spec, leaseDurationSeconds: 1, renewTime: microTime(clock.now()) } }
      await client.replace(leases, released, { deadline: this.#requestTimeout() })
      log.info('released the lease')
    } catch (error) {
      log.warn({ err: error }, 'releasing the lease failed; it will expire')
    }
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#options
    const signal = this.#stopRenewing.signal
    while (!signal.aborted) {
      await sleep(clock, this.#retryPeriod, signal)
      if (signal.aborted) return
      // After a stop of the whole process this may run before the timer that tells of the loss.
      if (!this.leading) return this.#lose(tooLate)
      try {
        if (!(await this.#attempt(signal))) return this.#lose('Another process has taken the lease.')
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, 'renewing the lease failed')
      }
    }
  }

  /** One look, and one write where the lease is ours or free. True: it is ours as of when the attempt began. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    const { client, clock, namespace, name, identity } = this.#options
    const started = this.#moment()
    const request = { signal, deadline: this.#requestTimeout() }
    const lease = await client.get(leases, { namespace, name }, request)
    const time = microTime(clock.now())
    const ours = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseDuration / 1000),
      renewTime: time,
    }
    if (lease === undefined) {
      // Deleted by hand: whoever held it may write until then.
      if (this.#renewed === undefined && this.#seen !== undefined && !this.#isFree(this.#seen)) return false
      const { apiVersion, kind } = leases
      const spec = { ...ours, acquireTime: time, leaseTransitions: 0 }
      return this.#won(
        await client.create(leases, { apiVersion, kind, metadata: { namespace, name }, spec }, request),
        started,
      )
    }
    if (this.#seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion) {
      this.#seen = { lease, at: this.#now() }
    }
    const held = lease.spec?.holderIdentity === identity
    if (!held && !this.#isFree(this.#seen ?? { lease, at: this.#now() })) return false
    // Ours once, and another's since: our term is over even if that one has let go again.
    if (!held && this.#renewed !== undefined) return false
    const transitions = lease.spec?.leaseTransitions ?? 0
    const spec = held
      ? { ...lease.spec, ...ours }
      : { ...lease.spec, ...ours, acquireTime: time, leaseTransitions: transitions + 1 }
    return this.#won(await client.replace(leases, { ...lease, spec }, request), started)
  }

  #won(lease: ReadObject<Lease>, started: Moment): boolean {
    this.#seen = { lease, at: this.#now() }
    this.#renewed = started
    this.#cancelExpiry()
    // The loss is told when it happens, though a renewal may hang at that time.
    this.#cancelExpiry = this.#options.clock.after(this.#left(), () => this.#lose(tooLate))
    return true
  }

  #isFree({ lease, at }: { readonly lease: ReadObject<Lease>; readonly at: number }): boolean {
    if (!lease.spec?.holderIdentity) return true
    const theirs = (lease.spec.leaseDurationSeconds ?? 0) * 1000
    return this.#now() - at >= Math.max(theirs, this.#leaseDuration)
  }

  #check(): void {
    if (this.leading) return
    if (this.#renewed !== undefined && !this.#released) this.#lose(tooLate)
    throw new BerthError('NotLeader', 'This process does not hold the lease.')
  }

  #lose(reason: string): void {
    if (this.lost.aborted || this.#released) return
    this.#cancelExpiry()
    this.#stopRenewing.abort()
    const error = new BerthError('NotLeader', reason)
    this.#options.log.error({ err: error }, 'lost the lease')
    this.#lost.abort(error)
  }

  /** Below renewDeadline, so that one request that hangs does not cost the lease. */
  #requestTimeout(): number {
    return this.#renewDeadline / 2
  }

  /** Until our term ends, ms, by the clock that has gone further. */
  #left(): number {
    if (this.#renewed === undefined) return 0
    const { monotonic, sinceBoot } = this.#moment()
    return this.#renewDeadline - Math.max(monotonic - this.#renewed.monotonic, sinceBoot - this.#renewed.sinceBoot)
  }

  #moment(): Moment {
    return { monotonic: this.#now(), sinceBoot: this.#options.sinceBoot?.() ?? 0 }
  }

  #now(): number {
    return this.#options.clock.monotonic()
  }
}
