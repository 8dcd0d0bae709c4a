/**
 * The controller in its world: an API server and hosts in memory, and processes of the real controller (composition,
 * reconcilers, queues, manager, informers, client, leader election) that are started, killed and stopped. Time is
 * virtual and chance is seeded, so that every run of the same workload is the same.
 */
import { pino } from 'pino'
import { composeController, informersOf } from '../../../controller/composition.ts'
import type { Driver } from '../../../controller/hypervisor/port.ts'
import {
  APIClient,
  type EventRecord,
  LeaderElector,
  ListWatchInformer,
  leases,
  unguarded,
} from '../../../controller/kube/index.ts'
import { Metrics, VirtualClock } from '../../../controller/runtime/index.ts'
import { APIServer } from './api-server.ts'
import { seedChance } from './chance.ts'
import { type Effect, Effects, type Position } from './effects.ts'
import { Hosts } from './hosts.ts'
import { ImageStore } from './images.ts'
import { Life } from './life.ts'
import type { Manifest } from './objects.ts'
import { Safety } from './safety.ts'
import { WorldTransport } from './transport.ts'

export interface Fault {
  /** Number of the effect. */
  readonly effect: number
  readonly position: Position
  /** The process is not killed but stopped for so long, ms. */
  readonly stopFor?: number
}

export interface WorldOptions {
  readonly faults?: readonly Fault[]
  /** Killed so often, each time so many ms after the last; from the beginning, and again once everything is quiet. */
  readonly kills?: { readonly times: number; readonly every: number }
  /** Processes that take part in leader election; absent: one, without election. */
  readonly candidates?: number
  /** The way to hosts with times and faults of their own, instead of those of {@link World.hosts}. */
  readonly driver?: Driver
  /** Passes of one kind at once. */
  readonly workers?: number
}

/** A new process is started so long after the last one was killed, ms: within the T rule, so that it has to wait. */
const restartAfter = 1_000
/** A call that is late arrives so long after its process was killed, ms: less than T (30 s + 30 s). */
const lateBy = 20_000
export const lease = { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 } as const
const log = pino({ level: process.env['FAULT_LOG'] ?? 'silent' })

export class World {
  readonly clock = new VirtualClock()
  readonly api = new APIServer(this.clock)
  readonly effects: Effects
  readonly hosts: Hosts
  readonly images = new ImageStore(this.clock)
  readonly safety: Safety
  readonly events: EventRecord[] = []
  /** Faults that have come. */
  readonly came: Fault[] = []
  /** Called after each effect. */
  onEffect: () => void = () => {}
  readonly #faults: readonly Fault[]
  readonly #candidates: number
  readonly #driver: Driver | undefined
  readonly #workers: number
  readonly #kills: WorldOptions['kills']
  readonly #lives: Life[] = []

  constructor({ faults = [], candidates = 0, kills, driver, workers = 4 }: WorldOptions = {}) {
    this.#driver = driver
    this.#workers = workers
    seedChance(1)
    this.#kills = kills
    this.#faults = faults
    this.#candidates = candidates
    this.effects = new Effects(
      () => this.clock.monotonic(),
      (life) => this.#lives.indexOf(life) + 1,
      {
        reached: (effect, life, send) => this.#reached(effect, life, send),
        arrived: (effect) => {
          this.safety.check(effect)
          this.onEffect()
        },
        answered: (effect, life) => this.#answered(effect, life),
        ended: (effect, life) => this.#ended(effect, life),
      },
    )
    this.hosts = new Hosts(this.clock, this.effects)
    this.safety = new Safety(this.api, this.hosts)
  }

  create(...manifests: readonly Manifest[]): void {
    for (const { plural, object } of manifests) this.api.create(plural, object)
  }

  /** As many processes as there are to be. */
  start(): void {
    for (let candidate = 0; candidate < Math.max(1, this.#candidates); candidate++) this.#startProcess()
  }

  /** The process that was started last. */
  get life(): Life {
    const life = this.#lives.at(-1)
    if (!life) throw new Error('nothing was started')
    return life
  }

  /** SIGKILL; a new process follows. */
  kill(life: Life): void {
    if (life.dead) return
    life.kill()
    this.clock.after(restartAfter, () => this.#startProcess())
  }

  /** A process that does not stay up: see {@link WorldOptions.kills}. Returns how long it goes on, ms. */
  killAgainAndAgain(): number {
    const { times, every } = this.#kills ?? { times: 0, every: 0 }
    for (let time = 1; time <= times; time++) {
      this.clock.after(time * every, () => {
        this.came.push({ effect: 0, position: 'before' })
        this.kill(this.life)
      })
    }
    return times * every
  }

  end(): void {
    for (const life of this.#lives) life.kill()
  }

  #startProcess(): void {
    const life = new Life(this.clock)
    this.#lives.push(life)
    const { clock } = life
    const transport = new WorldTransport(this.api, life, this.effects)
    const elector = this.#candidates > 0 ? this.#electorOf(life) : undefined
    const guard = elector?.guard ?? unguarded
    const { manager } = composeController({
      client: new APIClient(transport, guard),
      informers: informersOf(
        (resource, indices = {}) => new ListWatchInformer({ transport, resource, clock, log, indices }),
      ),
      driver: this.#driver ?? this.hosts.driver(life),
      service: this.images.service(life),
      recorder: { record: (event) => void (life.sends && this.events.push(event)) },
      guard,
      clock,
      log,
      metrics: new Metrics(),
      settings: { namespace: 'berth-system', cluster: 'cluster-uid', hostJobWait: 30_000, workers: this.#workers },
      ...(elector === undefined ? {} : { elector }),
    })
    // A process that ends by itself is started again, as a pod is.
    manager.run(new AbortController().signal).then(
      () => this.kill(life),
      () => this.kill(life),
    )
  }

  #electorOf(life: Life): LeaderElector {
    return new LeaderElector({
      client: new APIClient(new WorldTransport(this.api, life), unguarded),
      clock: life.clock,
      log,
      namespace: 'berth-system',
      name: 'berth-controller',
      identity: this.#identityOf(life),
      ...lease,
    })
  }

  #identityOf = (life: Life): string => `process-${this.#lives.indexOf(life) + 1}`

  /** Whether another holds the lease. */
  #isPast(life: Life): boolean {
    const found = this.api.find(leases, { namespace: 'berth-system', name: 'berth-controller' })
    return found?.spec?.holderIdentity !== this.#identityOf(life)
  }

  #faultAt({ number, moment }: Effect, ...wanted: readonly Position[]): Fault | undefined {
    return this.#faults.find(
      ({ effect, position }) =>
        effect === number && number > 0 && wanted.includes(position) && (moment === undefined || position === 'before'),
    )
  }

  #reached(effect: Effect, life: Life, send: () => Promise<unknown>): boolean {
    if (this.#candidates > 0 && this.#isPast(life)) this.safety.refuse(effect, 'sent by a process that leads no more')
    const fault = this.#faultAt(effect, 'before', 'late')
    if (!fault) return true
    this.came.push(fault)
    if (fault.position === 'late') this.clock.after(lateBy, () => void send().catch(() => {}))
    this.kill(life)
    return false
  }

  #answered(effect: Effect, life: Life): boolean {
    const fault = this.#faultAt(effect, 'after-effect')
    if (!fault) return true
    this.came.push(fault)
    if (fault.stopFor === undefined) {
      this.kill(life)
      return false
    }
    life.stop()
    this.clock.after(fault.stopFor, () => life.continue())
    return true
  }

  #ended(effect: Effect, life: Life): void {
    const fault = this.#faultAt(effect, 'after-answer')
    if (!fault) return
    this.came.push(fault)
    life.mute()
    // Once what the answer woke has run to its next wait.
    setImmediate(() => this.kill(life))
  }
}
