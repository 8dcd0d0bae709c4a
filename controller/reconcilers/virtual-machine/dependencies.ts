import { isDeepStrictEqual } from 'node:util'
import type { Hosts } from '../../hypervisor/hosts.ts'
import type { LiveSize, MachineSpec } from '../../hypervisor/port.ts'
import type { EventRecorder, KubeClient } from '../../kube/port.ts'
import type { Clock } from '../../runtime/port.ts'
import type { Settling } from '../../runtime/settling.ts'
import type { Caches } from '../shared/caches.ts'
import type { ClaimsUnderWay } from './claims.ts'
import type { DiskAttempts } from './disk-memory.ts'
import { isUsable } from './disks.ts'
import type { InterfaceAttempts } from './interface-memory.ts'
import type { InterfaceFacts } from './interface-model.ts'
import type { Observed } from './model.ts'
import type { ResolvedSize } from './size.ts'

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

interface Stop {
  readonly generation: number
  readonly first: number
  readonly asked?: number
}

/**
 * When the stop of a machine began, and when its guest was asked last, by instance id. A change of the spec begins it
 * anew: the guest is asked again. In memory only: after a crash it gets its full time again.
 */
export class Stops {
  readonly #stops = new Map<string, Stop>()

  /** A step towards the question was taken: what comes before it has its time, too. */
  began(instanceID: string, generation: number, now: number): void {
    if (this.#stops.get(instanceID)?.generation !== generation) this.#stops.set(instanceID, { generation, first: now })
  }

  asked(instanceID: string, generation: number, now: number): void {
    this.began(instanceID, generation, now)
    this.#stops.set(instanceID, { generation, first: now, ...this.#stops.get(instanceID), asked: now })
  }

  /** Milliseconds since it began and since it was asked (infinity: not yet); undefined: it did not begin. */
  since(
    instanceID: string,
    generation: number,
    now: number,
  ): { readonly first: number; readonly last: number } | undefined {
    const stop = this.#stops.get(instanceID)
    if (stop?.generation !== generation) return undefined
    return { first: now - stop.first, last: stop.asked === undefined ? Number.POSITIVE_INFINITY : now - stop.asked }
  }

  forget(instanceID: string): void {
    this.#stops.delete(instanceID)
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

  /** The start that was counted last did not come about. */
  undo(instanceID: string): void {
    const attempt = this.#attempts.get(instanceID)
    if (attempt && attempt.count > 1) this.#attempts.set(instanceID, { ...attempt, count: attempt.count - 1 })
    else this.#attempts.delete(instanceID)
  }

  /** Milliseconds until it may be started again; 0: now. */
  waitFor(instanceID: string, now: number): number {
    const attempt = this.#attempts.get(instanceID)
    return attempt ? Math.max(0, attempt.last + restartDelay(attempt.count) - now) : 0
  }

  /** How often it was started lately. */
  count(instanceID: string): number {
    return this.#attempts.get(instanceID)?.count ?? 0
  }

  /** It was stopped as declared, or is gone. */
  forget(instanceID: string): void {
    this.#attempts.delete(instanceID)
  }
}

/** What a definition can be found to lack. */
export interface Hardware extends Pick<MachineSpec, 'cpus' | 'memory' | 'maxCpus' | 'maxMemory'> {
  /** Names of disks. */
  readonly disks: readonly string[]
  readonly interfaces: readonly InterfaceFacts[]
}

/** What a definition would have now. */
export const hardwareOf = (
  size: ResolvedSize,
  { disks = [], interfaces = [] }: Pick<Observed, 'disks' | 'interfaces'>,
): Hardware => ({ ...size, disks: disks.filter(isUsable).map(({ name }) => name), interfaces })

/**
 * With what machines were defined last, by instance id. A host that makes something else of it is not told again and
 * again.
 */
export class Definitions {
  readonly #hardware = new Map<string, string>()

  defined(instanceID: string, hardware: Hardware): void {
    this.#hardware.set(instanceID, keyOf(hardware))
  }

  isDefined(instanceID: string, hardware: Hardware): boolean {
    return this.#hardware.get(instanceID) === keyOf(hardware)
  }

  forget(instanceID: string): void {
    this.#hardware.delete(instanceID)
  }
}

const keyOf = ({ cpus, memory, maxCpus, maxMemory, disks, interfaces }: Hardware): string =>
  JSON.stringify([cpus, memory, maxCpus, maxMemory, disks, interfaces])

/** What hosts have refused to give to machines that run, by instance id: they are not asked for it again and again. */
export class Resizes {
  readonly #refused = new Map<string, LiveSize>()

  refused(instanceID: string, size: LiveSize): void {
    this.#refused.set(instanceID, size)
  }

  isRefused(instanceID: string, size: LiveSize): boolean {
    return isDeepStrictEqual(this.#refused.get(instanceID), size)
  }

  forget(instanceID: string): void {
    this.#refused.delete(instanceID)
  }
}

/** What a reconciler remembers of machines between passes; all of it may be lost without harm. */
export interface Memory {
  readonly shutdowns: Stops
  readonly starts: StartAttempts
  readonly definitions: Definitions
  readonly resizes: Resizes
  readonly disks: DiskAttempts
  readonly interfaces: InterfaceAttempts
  readonly claims: ClaimsUnderWay
}
