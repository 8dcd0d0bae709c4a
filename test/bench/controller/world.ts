/** What the controller is measured in: an API server and hosts in memory, in this process; the controller in another. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { slots, virtualMachines } from '../../../controller/api/index.ts'
import { FakeHypervisor } from '../../../controller/drivers/fake/index.ts'
import { systemClock } from '../../../controller/runtime/index.ts'
import { until } from '../../../hack/lab/wait.ts'
import { APIServer } from '../../fault/world/api-server.ts'
import { Life } from '../../fault/world/life.ts'
import { aHypervisor, aMachine, aNetwork, anImage, aPool, aSize, namespace } from '../../fault/world/objects.ts'
import { APIFront } from './api-front.ts'
import { Hosts } from './hosts.ts'
import type { Command, FromController, Settled, ToController, Took } from './messages.ts'

const GiB = 2 ** 30
const patience = { timeout: 900_000, every: 5 }
const program = fileURLToPath(new URL('process.ts', import.meta.url))

/** What they do takes no time: it is not the controller's. */
const guests = { bootTime: 0 }

export interface Size {
  readonly hosts: number
  readonly slotsPerHost: number
}

export class World {
  readonly #life = new Life(systemClock)
  readonly api = new APIServer(this.#life.clock)
  readonly hosts: Hosts
  readonly #front = new APIFront(this.api)
  readonly #size: Size
  #url = ''

  private constructor(size: Size) {
    this.#size = size
    // Timers of different lengths end out of order by the system's clock, and so would events: all are told at once.
    this.api.watchLag = 0
    const names = hostNames(size)
    const room = { cpus: size.slotsPerHost * 2, memory: size.slotsPerHost * 2 * GiB, pools: { default: 2 ** 50 } }
    this.hosts = new Hosts(
      new Map(
        names.map((name) => [
          `fake://${name}`,
          new FakeHypervisor({ clock: this.#life.clock, hostName: name, guests, ...room }),
        ]),
      ),
    )
    const manifests = [
      ...[aSize(), aNetwork(), anImage()],
      ...names.flatMap((name) => [aHypervisor(name, size.slotsPerHost), aPool(`${name}-default`, name)]),
    ]
    for (const { plural, object } of manifests) this.api.create(plural, object)
  }

  static async start(size: Size): Promise<World> {
    const world = new World(size)
    world.#url = await world.#front.start()
    return world
  }

  startController(): ControllerProcess {
    return new ControllerProcess(this.#url, this.hosts)
  }

  /** Every slot of every host can be claimed. */
  async furnished(): Promise<void> {
    const { hosts, slotsPerHost } = this.#size
    await until('slots are free', () => this.#freeSlots() === hosts * slotsPerHost, { ...patience, every: 20 })
  }

  createMachine(name: string): string {
    const { plural, object } = aMachine(name)
    return this.api.create(plural, object).metadata.uid
  }

  async running(names: readonly string[]): Promise<void> {
    const waiting = new Set(names)
    await until(
      'machines run',
      () => {
        for (const name of waiting) {
          if (!this.#isReady(name)) break
          waiting.delete(name)
        }
        return waiting.size === 0
      },
      patience,
    )
  }

  /** By `METHOD plural[/status]`. */
  get writes(): ReadonlyMap<string, number> {
    return new Map(this.#front.writes)
  }

  async stop(): Promise<void> {
    await this.#front.stop()
    this.#life.kill()
  }

  #freeSlots(): number {
    return this.api.list(slots).filter(({ status }) => status?.phase === 'Free').length
  }

  #isReady(name: string): boolean {
    const conditions = this.api.find(virtualMachines, { namespace, name })?.status?.conditions
    return conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  }
}

const hostNames = ({ hosts }: Size): string[] =>
  Array.from({ length: hosts }, (_, index) => `kvm${String(index + 1).padStart(3, '0')}`)

/** Also of its start, which begins with the making of this object. */
export class ControllerProcess {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #ended: Promise<unknown>
  #commands = 0

  constructor(url: string, hosts: Hosts) {
    this.#process = fork(program, [url], { serialization: 'advanced', execArgv: [], stdio: 'inherit' })
    hosts.serve(this.#process)
    this.#process.on('message', (message: FromController) => {
      if (message.type !== 'done' || !('value' in message.answer)) return
      this.#waiting.get(message.id)?.resolve(message.answer.value)
      this.#waiting.delete(message.id)
    })
    this.#ended = once(this.#process, 'exit').then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the controller has ended'))
    })
  }

  settle(quiet: number): Promise<Settled> {
    return this.#command({ name: 'settle', quiet }) as Promise<Settled>
  }

  time(command: Exclude<Command, { name: 'settle' }>): Promise<Took> {
    return this.#command(command) as Promise<Took>
  }

  async end(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    await this.#ended
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#ended
  }

  #command(command: Command): Promise<unknown> {
    const id = this.#commands++
    const message: ToController = { type: 'command', id, command }
    const answered = Promise.withResolvers<unknown>()
    this.#waiting.set(id, answered)
    this.#process.send(message)
    return answered.promise
  }
}
