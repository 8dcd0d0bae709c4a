import { BerthError } from '../../errors/index.ts'
import type {
  HypervisorEvent,
  InventoryEntry,
  MachineObservation,
  MachineSpec,
  ObservedInterface,
  ObservedMachine,
  PauseReason,
  PowerState,
  StopReason,
  Tag,
} from '../../hypervisor/port.ts'
import { requireOwnName, requireUUID } from '../shared/instance-id.ts'
import type { Clock } from './clock.ts'
import type { Duration, Random } from './random.ts'
import type { Storage } from './storage.ts'

/** What the next start uses. */
export interface Definition {
  readonly cpus: number
  readonly memory: number
  /** Absent: not ours, or nobody's. */
  readonly tag?: Tag
  readonly parked: boolean
  readonly disks: MachineSpec['disks']
  readonly interfaces: MachineSpec['interfaces']
  /** Files that snapshots moved disks to, by name of the disk. */
  readonly moved: Readonly<Record<string, string>>
}

export interface FakeMachine {
  readonly id: string
  readonly hostName: string
  /** Absent: it runs without one, and vanishes when it stops. */
  definition: Definition | undefined
  /** What it runs with; absent while it is off. */
  live: Definition | undefined
  power: PowerState
  stopReason: StopReason
  /** Of the last time that it was paused. */
  pauseReason: PauseReason
  /** How often its guest has begun anew. */
  boots: number
  lastStart: 'Boot' | 'Resumption'
  /** The guest was told to shut down while it was held, and will hear it when it goes on. */
  asked: boolean
  /** Ends the work on its memory: the memory is saved, or is not. Absent: it is not being saved. */
  endSaving: ((saved: boolean) => void) | undefined
  /** Begin of this boot, by the host's clock. */
  startedAt: number
  /** Until then the host has not cleared away the last run. */
  releasedAt: number
  addresses: readonly ObservedInterface[] | undefined
  /** Its line of the inventory, until it changes. */
  entry: InventoryEntry | undefined
}

/** How guests behave. */
export interface Guests {
  /** From asking a guest to shut down until it is off. Absent: it does not listen. */
  readonly shutdownTime?: Duration
  /** From a start until the guest's addresses are known. Absent: they never are. */
  readonly bootTime?: number
}

export interface MachinesOptions {
  readonly clock: Clock
  readonly random: Random
  readonly storage: Storage
  readonly networks: ReadonlySet<string>
  readonly memory: number
  readonly architectures: readonly string[]
  readonly tell: (event: HypervisorEvent) => void
}

/** All but the characters of XML 1.0: most hosts keep their definitions in it. */
const unstorable = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u

/** The machines of a fake host, and what can be done to them. Each method is one step that nothing comes between. */
export class Machines {
  readonly all = new Map<string, FakeMachine>()
  guests: Guests = { shutdownTime: 0 }
  /** How long the host writes at a machine's memory when it is suspended. */
  saveTime: Duration = 0
  /** How long a machine that went off cannot be started again: the host has not cleared it away yet. */
  releaseDelay = 0
  /** Called whenever a machine has begun to run. */
  onStart: (machine: FakeMachine) => void = () => undefined
  readonly #options: MachinesOptions
  readonly #byName = new Map<string, string>()
  #usedMemory = 0

  constructor(options: MachinesOptions) {
    this.#options = options
  }

  get freeMemory(): number {
    return this.#options.memory - this.#usedMemory
  }

  /** Why a machine of that id is not ours; undefined: it is. */
  whyForeign({ id, hostName, definition, live }: FakeMachine): string | undefined {
    const tag = (definition ?? live)?.tag
    if (tag === undefined) return `machine '${hostName}' has the id ${id}, but no tag of Berth`
    if (tag.instanceID !== id)
      return `machine '${hostName}' has the id ${id}, but its tag is of instance '${tag.instanceID}'`
    return tag.released ? `machine '${hostName}' was released` : undefined
  }

  /** Undefined: absent. Rejects with ForeignObject what bears the id and is not ours. */
  own(instanceID: string): FakeMachine | undefined {
    const machine = this.all.get(requireUUID(instanceID))
    const foreign = machine && this.whyForeign(machine)
    if (foreign !== undefined) throw new BerthError('ForeignObject', `Not touched: ${foreign}.`)
    return machine
  }

  observe(instanceID: string): Omit<MachineObservation, 'volumes' | 'pools'> {
    const machine = this.all.get(requireUUID(instanceID))
    if (machine === undefined) return {}
    const foreign = this.whyForeign(machine)
    const tag = (machine.definition ?? machine.live)?.tag
    if (foreign === undefined) return { machine: this.#seen(machine) }
    return tag?.released && tag.instanceID === instanceID ? { foreign, released: this.#seen(machine) } : { foreign }
  }

  #seen(machine: FakeMachine): ObservedMachine {
    const { id, hostName, definition, live, power, stopReason, pauseReason } = machine
    const known = definition ?? live
    const running = live ?? definition
    if (known?.tag === undefined || running === undefined) throw new Error(`machine '${hostName}' has no tag`)
    return {
      tag: known.tag,
      id,
      hostName,
      power,
      ...(power === 'Stopped' ? { stopReason } : {}),
      ...(power === 'Paused' ? { pauseReason } : {}),
      parked: isParked(machine),
      transient: definition === undefined,
      cpus: running.cpus,
      memory: running.memory,
    }
  }

  list(): InventoryEntry[] {
    return [...this.all.values()].map((machine) => {
      machine.entry ??= entryOf(machine)
      return machine.entry
    })
  }

  interfaces(instanceID: string): readonly ObservedInterface[] {
    const machine = this.own(instanceID)
    if (machine?.live === undefined) return []
    if (machine.addresses !== undefined) return machine.addresses
    const { bootTime } = this.guests
    const booted = bootTime !== undefined && this.#options.clock.monotonic() >= machine.startedAt + bootTime
    return machine.live.interfaces.map(({ macAddress }) => ({
      macAddress,
      addresses: booted ? [{ address: addressOf(macAddress), prefix: 8, source: 'Lease' as const }] : [],
    }))
  }

  /** @returns whether it changed anything; so do all that follow. */
  define(spec: MachineSpec): boolean {
    const { tag, seed, disks } = spec
    const { storage, architectures } = this.#options
    requireOwnName(tag.instanceID, seed.volume)
    if (Object.values(tag).some((value) => unstorable.test(String(value)))) {
      throw new BerthError(
        'InvalidConfiguration',
        'The machine cannot be defined: the tag has characters that no host stores.',
      )
    }
    if (!architectures.includes(spec.architecture)) {
      throw new BerthError(
        'ArchitectureMismatch',
        `The hypervisor offers ${architectures.join(', ')}, not ${spec.architecture}.`,
      )
    }
    for (const { name, pool, volume } of disks) storage.requireVolume(name, pool, volume)
    const before = this.own(tag.instanceID)
    const moved = disks.find(({ name }) => before?.definition?.moved[name] !== undefined)
    if (moved !== undefined) {
      throw new BerthError(
        'Drifted',
        `Disk '${moved.name}' is another file than the volume that Berth made: a snapshot was made on the host.`,
      )
    }
    const seedPool = storage.active(seed.pool)
    let changed = false
    // What is in a guest's memory, saved or not, has to fit what it reads.
    if (seed.files !== undefined && (before === undefined || before.power === 'Stopped')) {
      changed = seedPool.writeSeed(seed.volume, seed.files)
    }
    storage.requireVolume('seed', seed.pool, seed.volume)
    const { cpus, memory, interfaces } = spec
    const definition: Definition = { cpus, memory, tag, parked: false, disks, interfaces, moved: {} }
    return this.#redefine(before ?? this.#add(tag.instanceID, this.#freeName(spec)), definition) || changed
  }

  /** `paused`: it is held from the first moment on. A saved memory is gone on from. */
  start(instanceID: string, paused = false): boolean {
    const machine = this.own(instanceID)
    const definition = machine?.definition
    if (machine?.live !== undefined) {
      this.#requireNotSaving(machine)
      return false
    }
    if (machine === undefined || definition === undefined) {
      throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} is defined.`)
    }
    this.#requireStartable(machine, definition)
    this.#run(machine, definition, paused)
    return true
  }

  /** As people do, whoever's it is. */
  startByHand(machine: FakeMachine): void {
    if (machine.definition === undefined) throw new Error(`machine '${machine.hostName}' is not defined`)
    this.#requireStartable(machine, machine.definition)
    this.#run(machine, machine.definition, false)
  }

  pause(instanceID: string): boolean {
    const machine = this.#running(instanceID)
    if (machine.power === 'Paused') return false
    this.hold(machine, 'Asked')
    return true
  }

  unpause(instanceID: string): boolean {
    const machine = this.#running(instanceID)
    if (machine.power === 'Running') return false
    this.letGo(machine)
    return true
  }

  /** Until the memory is saved the machine is held, and its host busy with it. */
  suspend(instanceID: string): boolean | Promise<boolean> {
    const suspended = this.own(instanceID)
    if (suspended?.power === 'Suspended') return false
    const machine = this.#running(instanceID)
    if (machine.definition === undefined) {
      throw new BerthError('HypervisorRefused', `Machine '${machine.hostName}' is not defined: it has no next start.`)
    }
    // As XAPI does.
    if (machine.power === 'Paused')
      throw new BerthError('HypervisorRefused', `Machine '${machine.hostName}' is paused.`)
    const delay = this.#options.random.duration(this.saveTime)
    if (delay > 0) return this.#saveIn(machine, delay)
    this.save(machine)
    return true
  }

  discardMemory(instanceID: string): boolean {
    const machine = this.own(instanceID)
    if (machine?.power !== 'Suspended') return false
    this.discardSaved(machine)
    return true
  }

  park(instanceID: string): boolean {
    const machine = this.own(instanceID)
    if (machine === undefined) return false
    const known = machine.definition ?? machine.live
    if (known === undefined || isParked(machine)) return false
    // A saved state starts with the definition that is inside it.
    if (machine.power === 'Suspended') {
      throw new BerthError(
        'HypervisorRefused',
        `Machine '${machine.hostName}' has a saved state, which would start in spite of parking.`,
      )
    }
    return this.#redefine(machine, { ...known, parked: true })
  }

  shutdown(instanceID: string): boolean {
    const machine = this.own(instanceID)
    const { shutdownTime } = this.guests
    if (machine?.live === undefined || machine.power === 'Paused' || shutdownTime === undefined) return false
    const delay = this.#options.random.duration(shutdownTime)
    const { boots } = machine
    const end = () => {
      if (machine.boots !== boots || machine.power === 'Stopped') return
      if (machine.power === 'Running') this.turnOff(machine, 'Guest')
      else machine.asked = true
    }
    if (delay <= 0) end()
    else this.#options.clock.after(delay, end)
    return true
  }

  powerOff(instanceID: string): boolean {
    const machine = this.own(instanceID)
    if (machine?.live === undefined) return false
    this.turnOff(machine, 'Outside')
    return true
  }

  undefine(instanceID: string): boolean {
    const machine = this.own(instanceID)
    if (machine === undefined) return false
    if (machine.live !== undefined) {
      throw new BerthError(
        'HypervisorRefused',
        `Machine '${machine.hostName}' runs: it is not undefined before it is off.`,
      )
    }
    this.remove(machine)
    return true
  }

  release(instanceID: string): boolean {
    const machine = this.all.get(requireUUID(instanceID))
    const known = machine?.definition ?? machine?.live
    if (!known?.tag?.released || known.tag.instanceID !== instanceID) this.own(instanceID)
    if (machine === undefined || known?.tag === undefined || (known.tag.released && !known.parked)) return false
    const slot = machine.live === undefined ? '' : known.tag.slot
    return this.#redefine(machine, { ...known, parked: false, tag: { ...known.tag, slot, released: true } })
  }

  deleteVolume(instanceID: string, pool: string, volume: string): boolean {
    requireOwnName(instanceID, volume)
    const found = this.#options.storage.active(pool)
    const machine = this.own(instanceID)
    if (machine?.live !== undefined) {
      throw new BerthError('InUse', `Volume '${volume}' is kept: machine '${machine.hostName}' runs.`)
    }
    return found.remove(volume)
  }

  /** A machine of someone else's, or one that came here by other ways. */
  add(id: string, hostName: string, definition: Definition, running: boolean): void {
    const machine = this.#add(id, hostName)
    this.#redefine(machine, definition)
    if (running) this.#run(machine, definition, false)
  }

  /** It goes off by itself, or was cut off. */
  turnOff(machine: FakeMachine, stopReason: StopReason): void {
    if (machine.live === undefined) return
    this.#usedMemory -= machine.live.memory
    machine.live = undefined
    machine.endSaving?.(false)
    machine.releasedAt = this.#options.clock.monotonic() + this.releaseDelay
    Object.assign(machine, { power: 'Stopped', stopReason })
    this.#changed(machine, 'Stopped')
    if (machine.definition === undefined) this.remove(machine)
  }

  remove(machine: FakeMachine): void {
    this.all.delete(machine.id)
    this.#byName.delete(machine.hostName)
    this.#changed(machine, 'Undefined')
  }

  /** Someone changes something about it on the host. */
  change(
    machine: FakeMachine,
    changes: Partial<Pick<FakeMachine, 'definition' | 'power' | 'stopReason' | 'pauseReason'>>,
    detail: string,
  ): void {
    Object.assign(machine, changes)
    this.#changed(machine, detail)
  }

  /** The memory of a run goes into a file; the next start goes on from it. */
  save(machine: FakeMachine): void {
    if (machine.live !== undefined) this.#usedMemory -= machine.live.memory
    machine.live = undefined
    machine.power = 'Suspended'
    this.#changed(machine, 'Saved')
  }

  discardSaved(machine: FakeMachine): void {
    this.change(machine, { power: 'Stopped', stopReason: 'Outside' }, 'Stopped')
  }

  hold(machine: FakeMachine, pauseReason: PauseReason): void {
    this.change(machine, { power: 'Paused', pauseReason }, 'Paused')
  }

  /** What the guest was told meanwhile, it hears now. */
  letGo(machine: FakeMachine): void {
    this.change(machine, { power: 'Running' }, 'Running')
    if (machine.asked) this.turnOff(machine, 'Guest')
  }

  /** The host has forgotten what it was about: a machine whose memory it was saving goes on. */
  abandonSaving(machine: FakeMachine): void {
    if (machine.endSaving === undefined) return
    machine.endSaving = undefined
    this.letGo(machine)
  }

  #saveIn(machine: FakeMachine, delay: number): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>()
    const end = (saved: boolean) => {
      if (machine.endSaving !== end) return
      machine.endSaving = undefined
      if (!saved) {
        reject(new BerthError('HypervisorRefused', `Machine '${machine.hostName}' went off before it was saved.`))
        return
      }
      this.save(machine)
      resolve(true)
    }
    this.hold(machine, 'Job')
    machine.endSaving = end
    this.#options.clock.after(delay, () => end(true))
    return promise
  }

  /** Refuses what is absent, off, or being saved. */
  #running(instanceID: string): FakeMachine {
    const machine = this.own(instanceID)
    if (machine?.live === undefined) {
      throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} runs.`)
    }
    this.#requireNotSaving(machine)
    return machine
  }

  #requireNotSaving({ hostName, endSaving }: FakeMachine): void {
    if (endSaving === undefined) return
    throw new BerthError('HypervisorBusy', `The memory of machine '${hostName}' is being saved.`)
  }

  #requireStartable(machine: FakeMachine, definition: Definition): void {
    const { clock, storage, networks } = this.#options
    const refuse = (code: 'HypervisorBusy' | 'HypervisorRefused' | 'NetworkNotFound', why: string): never => {
      if (code !== 'HypervisorBusy') machine.stopReason = 'Failed'
      throw new BerthError(code, `Machine '${machine.hostName}' does not start: ${why}.`)
    }
    if (definition.parked) refuse('HypervisorRefused', 'it is parked')
    if (clock.monotonic() < machine.releasedAt) refuse('HypervisorBusy', 'its last run is not cleared away yet')
    for (const { name, pool, volume } of definition.disks) {
      if (storage.pools.get(pool)?.volumes.has(volume) !== true)
        refuse('HypervisorRefused', `disk '${name}' is not there`)
    }
    for (const { attachment } of definition.interfaces) {
      const missing = Object.values(attachment).find((name) => !networks.has(name))
      if (missing !== undefined) refuse('NetworkNotFound', `network '${missing}' is not there`)
    }
    if (definition.memory > this.freeMemory) refuse('HypervisorRefused', 'there is not enough memory')
  }

  #run(machine: FakeMachine, definition: Definition, paused: boolean): void {
    this.#usedMemory += definition.memory
    machine.live = { ...definition }
    machine.lastStart = machine.power === 'Suspended' ? 'Resumption' : 'Boot'
    if (machine.lastStart === 'Boot') {
      machine.boots++
      machine.asked = false
      machine.startedAt = this.#options.clock.monotonic()
    }
    Object.assign(machine, paused ? { power: 'Paused', pauseReason: 'Asked' } : { power: 'Running' })
    this.#changed(machine, 'Started')
    this.onStart(machine)
    if (!paused && machine.asked) this.turnOff(machine, 'Guest')
  }

  #redefine(machine: FakeMachine, definition: Definition): boolean {
    if (JSON.stringify(machine.definition) === JSON.stringify(definition)) return false
    machine.definition = definition
    this.#changed(machine, 'Defined')
    return true
  }

  #add(id: string, hostName: string): FakeMachine {
    const machine: FakeMachine = {
      id,
      hostName,
      definition: undefined,
      live: undefined,
      power: 'Stopped',
      stopReason: 'Unknown',
      pauseReason: 'Asked',
      boots: 0,
      lastStart: 'Boot',
      asked: false,
      endSaving: undefined,
      startedAt: 0,
      releasedAt: Number.NEGATIVE_INFINITY,
      addresses: undefined,
      entry: undefined,
    }
    this.all.set(id, machine)
    this.#byName.set(hostName, id)
    return machine
  }

  /** A name that another machine has is made unique by the id. */
  #freeName({ hostName, tag: { instanceID } }: MachineSpec): string {
    const candidates = [hostName, `${hostName}_${instanceID.slice(0, 8)}`, `${hostName}_${instanceID}`]
    const free = candidates.find((name) => !this.#byName.has(name))
    if (free !== undefined) return free
    throw new BerthError('ForeignObject', `Other machines have the names ${candidates.join(', ')}.`)
  }

  #changed(machine: FakeMachine, detail: string): void {
    machine.entry = undefined
    const instanceID = (machine.definition ?? machine.live)?.tag?.instanceID
    this.#options.tell({ type: 'Machine', id: machine.id, ...(instanceID === undefined ? {} : { instanceID }), detail })
  }
}

/** Whether the host refuses a start. */
export function isParked({ definition, power }: FakeMachine): boolean {
  return definition?.parked === true && power !== 'Suspended'
}

function entryOf(machine: FakeMachine): InventoryEntry {
  const { id, hostName, definition, live, power } = machine
  const { tag, memory } = definition ?? live ?? {}
  const own = tag?.instanceID === id ? { tag } : {}
  return { id, hostName, ...own, power, parked: isParked(machine), ...(memory === undefined ? {} : { memory }) }
}

/** Of the network 10.0.0.0/8; by the MAC address, so that it is the same in every run. */
function addressOf(macAddress: string): string {
  return [
    '10',
    ...macAddress
      .split(':')
      .slice(-3)
      .map((byte) => String(Number.parseInt(byte, 16))),
  ].join('.')
}
