import { randomUUID } from 'node:crypto'
import type { ErrorCode } from '../../errors/index.ts'
import type {
  Capabilities,
  HostInformation,
  ObservedInterface,
  PauseReason,
  PowerState,
  StopReason,
  Tag,
} from '../../hypervisor/port.ts'
import type { CallPattern } from './calls.ts'
import type { Clock } from './clock.ts'
import { EventBus, type EventFaults } from './events.ts'
import type { FaultRule, Latencies } from './faults.ts'
import type { Hold } from './holds.ts'
import type { FakeInterface } from './interfaces.ts'
import { type FakeMachine, type Guests, Machines } from './machines.ts'
import { type Duration, Random } from './random.ts'
import { FakePool, Storage } from './storage.ts'
import { type JournalEntry, Traffic } from './traffic.ts'

const GiB = 2 ** 30

export interface FakeHypervisorOptions {
  readonly clock: Clock
  /** Of everything that looks random. */
  readonly seed?: number
  /** UUID; stays the same whoever connects. */
  readonly id?: string
  readonly hostName?: string
  readonly cpus?: number
  /** Bytes. */
  readonly memory?: number
  readonly capabilities?: Partial<Capabilities>
  /** Directory pools that are there, by name, with their sizes in bytes. */
  readonly pools?: Readonly<Record<string, number>>
  /** Names of networks and bridges that are there. */
  readonly networks?: readonly string[]
  readonly latencies?: Latencies
  readonly faults?: readonly FaultRule[]
  readonly eventFaults?: EventFaults
  readonly guests?: Guests
  /** After a machine went off, the host is busy with it for so long, ms: a start is refused until then. */
  readonly releaseDelay?: number
  /** How long the host writes at a machine's memory when it is suspended, ms. */
  readonly saveTime?: Duration
}

/** A session, as its host sees it. */
export interface Connected {
  cut(): void
}

const defaultCapabilities: Capabilities = {
  architectures: ['x86_64'],
  accelerators: ['KVM', 'QEMU'],
  modes: ['HVM'],
  firmware: ['BIOS'],
  storageTypes: ['Directory'],
  features: [
    'AntiSpoofing',
    'GrowDisk',
    'GuestAgent',
    'HotPlugCPU',
    'HotPlugDisk',
    'HotPlugMemory',
    'HotPlugNetwork',
    'LinkedClone',
    'Pause',
    'Suspend',
  ],
}

/** A host in memory: see `index.ts`. */
export class FakeHypervisor {
  readonly id: string
  readonly hostName: string
  readonly clock: Clock
  readonly storage = new Storage()
  readonly networks: Set<string>
  readonly machines: Machines
  readonly events: EventBus
  readonly traffic: Traffic
  readonly #cpus: number
  readonly #memory: number
  readonly #capabilities: Capabilities
  readonly #sessions = new Set<Connected>()
  #refusal: ErrorCode | undefined

  constructor(options: FakeHypervisorOptions) {
    const { clock, seed = 1, memory = 64 * GiB } = options
    const random = new Random(seed)
    this.clock = clock
    this.id = options.id ?? randomUUID()
    this.hostName = options.hostName ?? 'fake.example'
    this.#cpus = options.cpus ?? 16
    this.#memory = memory
    this.#capabilities = { ...defaultCapabilities, ...options.capabilities }
    this.networks = new Set(options.networks ?? ['default'])
    this.events = new EventBus(clock, random)
    this.traffic = new Traffic(clock, random)
    this.machines = new Machines({
      clock,
      random,
      // The rest is the host's own.
      memory: memory - memory / 64,
      storage: this.storage,
      networks: this.networks,
      capabilities: this.#capabilities,
      tell: (event) => this.events.publish(event),
    })
    for (const [name, size] of Object.entries(options.pools ?? { default: 100 * GiB })) this.addPool(name, size)
    this.traffic.latencies = options.latencies ?? {}
    this.traffic.faults.set(options.faults ?? [])
    this.events.faults = options.eventFaults ?? {}
    if (options.guests !== undefined) this.machines.guests = options.guests
    this.machines.releaseDelay = options.releaseDelay ?? 0
    this.machines.saveTime = options.saveTime ?? 0
  }

  get information(): HostInformation {
    return {
      id: this.id,
      hostName: this.hostName,
      version: 'fake 1.0',
      cpus: this.#cpus,
      memory: this.#memory,
      freeMemory: this.machines.freeMemory,
      capabilities: this.#capabilities,
    }
  }

  /** Every mutation that arrived, in order, with what came of it. */
  get journal(): readonly JournalEntry[] {
    return this.traffic.journal
  }

  // What goes wrong with calls and events.

  /** Takes matching calls out of the traffic: the test says when each takes effect, and when it is answered. */
  hold(pattern: CallPattern): Hold {
    return this.traffic.hold(pattern)
  }

  /** Instead of the rules that were there. */
  setFaults(rules: readonly FaultRule[]): void {
    this.traffic.faults.set(rules)
  }

  /** From now on nothing arrives and nothing is answered, until `resume`. Connections stay. */
  hang(): void {
    this.traffic.hang()
  }

  resume(): void {
    this.traffic.resume()
  }

  /** Sessions are told that events were lost. */
  loseEvents(reason = 'events were lost'): void {
    this.events.tell({ type: 'Gap', reason })
  }

  // What happens to the host.

  /** All connections end. What has arrived goes on, and so do machines. */
  disconnect(): void {
    for (const session of this.#sessions) session.cut()
    this.events.dropListeners()
  }

  /** Nobody gets in any more: HypervisorUnreachable, or this code. Connections end. */
  refuseConnections(code: ErrorCode = 'HypervisorUnreachable'): void {
    this.#refusal = code
    this.disconnect()
  }

  acceptConnections(): void {
    this.#refusal = undefined
  }

  /**
   * The daemon begins anew: it forgets what it worked on, and why machines are off. Machines run on, those that were
   * being saved too.
   */
  restartDaemon(): void {
    this.traffic.drop()
    this.disconnect()
    for (const machine of this.machines.all.values()) {
      machine.stopReason = 'Unknown'
      this.machines.abandonSaving(machine)
    }
  }

  /** As by a power cut: machines are off, nobody knows why, and those without a definition are gone. */
  reboot(): void {
    this.restartDaemon()
    for (const machine of [...this.machines.all.values()]) this.machines.turnOff(machine, 'Unknown')
  }

  // What others do on the host, and guests inside it.

  addPool(name: string, capacity: number, { type = 'Directory', path = `/pools/${name}` } = {}): FakePool {
    const pool = new FakePool({ id: randomUUID(), name, path, type, capacity })
    this.storage.pools.set(name, pool)
    return pool
  }

  /** A machine without a tag, or with another's. */
  addForeign(hostName: string, { id = randomUUID(), running = false, memory = GiB, tag }: ForeignOptions = {}): string {
    const owner = tag === undefined ? {} : { tag }
    const definition = {
      cpus: 1,
      memory,
      maxCpus: 1,
      maxMemory: memory,
      parked: false,
      disks: [],
      interfaces: [],
      moved: {},
      ...owner,
    }
    this.machines.add(id, hostName, definition, running)
    return id
  }

  /** The guest, or someone on the host, ends it. */
  turnOff(id: string, reason: StopReason): void {
    this.machines.turnOff(this.machine(id), reason)
  }

  /** Somebody starts it on the host itself. */
  startByHand(id: string): void {
    this.machines.startByHand(this.machine(id))
  }

  /** Removes the machine, running or not, without a trace; its volumes stay. */
  removeMachine(id: string): void {
    this.machines.turnOff(this.machine(id), 'Outside')
    const machine = this.machines.all.get(id)
    if (machine !== undefined) this.machines.remove(machine)
  }

  /** Removes the definition of what runs: it vanishes when it stops. */
  makeTransient(id: string): void {
    this.machines.change(this.machine(id), { definition: undefined }, 'Undefined')
  }

  /** Stops its CPUs, or lets them go on. */
  setPower(id: string, power: Extract<PowerState, 'Running' | 'Paused'>, reason: PauseReason = 'Asked'): void {
    if (power === 'Paused') this.machines.hold(this.machine(id), reason)
    else this.machines.letGo(this.machine(id))
  }

  /** Saves its memory to a file; the next start goes on from there. */
  save(id: string): void {
    this.machines.save(this.machine(id))
  }

  discardSaved(id: string): void {
    this.machines.discardSaved(this.machine(id))
  }

  /** A snapshot as backup tools make it: its disks are other files from then on. */
  snapshotDisks(id: string): void {
    const machine = this.machine(id)
    const { definition } = machine
    if (definition === undefined) throw new Error(`machine ${id} has no definition`)
    const moved = Object.fromEntries(
      definition.disks.flatMap(({ name, volume }) => (name === undefined ? [] : [[name, `${volume}.snapshot`]])),
    )
    this.machines.change(machine, { definition: { ...definition, moved } }, 'Snapshot')
  }

  /** Someone gives the machine a disk that Berth knows nothing of. */
  attachForeignDisk(id: string, pool: string, volume: string): void {
    this.machines.attachForeignDisk(this.machine(id), pool, volume)
  }

  /** Somebody gives the machine an interface that Berth knows nothing of. */
  attachForeignInterface(id: string, foreign: FakeInterface): void {
    this.machines.attachForeignInterface(this.machine(id), foreign)
  }

  /** What the host knows of a running machine's addresses. */
  setAddresses(id: string, addresses: readonly ObservedInterface[]): void {
    this.machine(id).addresses = addresses
  }

  machine(id: string): FakeMachine {
    const machine = this.machines.all.get(id)
    if (machine === undefined) throw new Error(`there is no machine ${id}`)
    return machine
  }

  // For the driver.

  get refusal(): ErrorCode | undefined {
    return this.#refusal
  }

  attach(session: Connected): void {
    this.#sessions.add(session)
  }

  detach(session: Connected): void {
    this.#sessions.delete(session)
  }

  definePool(query: { readonly name: string; readonly path: string }): boolean {
    return this.storage.definePool(query, randomUUID(), 100 * GiB)
  }
}

export interface ForeignOptions {
  readonly id?: string
  readonly running?: boolean
  readonly memory?: number
  readonly tag?: Tag
}
