import { BerthError } from '../../errors/index.ts'
import type {
  Capabilities,
  DiskSpec,
  HypervisorEvent,
  InterfaceSpec,
  InventoryEntry,
  LiveSize,
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
import { type FakeDisk, isSame, observedDisks, placeDisks } from './disks.ts'
import {
  type FakeInterface,
  observedInterfaces,
  requireOwnInterface,
  withInterface,
  withoutInterface,
} from './interfaces.ts'
import type { Duration, Random } from './random.ts'
import type { Storage } from './storage.ts'

/** What the next start uses. */
export interface Definition {
  readonly cpus: number
  readonly memory: number
  readonly maxCpus: number
  readonly maxMemory: number
  /** Absent: not ours, or nobody's. */
  readonly tag?: Tag
  readonly parked: boolean
  readonly disks: readonly FakeDisk[]
  /** Volume of the seed. Absent: it has none. */
  readonly seed?: { readonly pool: string; readonly volume: string }
  readonly interfaces: readonly FakeInterface[]
  /** Files that snapshots moved disks to, by name of the disk. */
  readonly moved: Readonly<Record<string, string>>
}

type Devices = Pick<Definition, 'disks' | 'interfaces'>

/** A device that is on its way out. */
interface Leaving {
  /** The guest would let go, were it not held. */
  ready: boolean
  /** What is left without it. */
  readonly without: (live: Devices) => Partial<Devices>
  /** What is told then. */
  readonly detail: string
}

export interface FakeMachine {
  readonly id: string
  readonly hostName: string
  /** Absent: it runs without one, and vanishes when it stops. */
  definition: Definition | undefined
  /** What it runs with; absent while it is off. */
  live: Definition | undefined
  /** Devices that are in its saved memory, while it has one. */
  saved: Devices
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
  /** What its guest was asked to let go of: disks by name, interfaces by MAC address. */
  leaving: Map<string, Leaving>
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
  /** From asking a guest to let go of a device until it has. Absent: it never does. */
  readonly detachTime?: Duration
}

export interface MachinesOptions {
  readonly clock: Clock
  readonly random: Random
  readonly storage: Storage
  readonly networks: ReadonlySet<string>
  readonly memory: number
  readonly capabilities: Capabilities
  readonly tell: (event: HypervisorEvent) => void
}

const noDevices: Devices = { disks: [], interfaces: [] }

/** All but the characters of XML 1.0: most hosts keep their definitions in it. */
const unstorable = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u

/** The machines of a fake host, and what can be done to them. Each method is one step that nothing comes between. */
export class Machines {
  readonly all = new Map<string, FakeMachine>()
  guests: Guests = { shutdownTime: 0, detachTime: 0 }
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
      maxCpus: running.maxCpus,
      maxMemory: running.maxMemory,
      disks: observedDisks(live?.disks ?? [], definition?.disks ?? []),
      interfaces: observedInterfaces(live?.interfaces ?? [], definition?.interfaces ?? []),
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
    const { storage, capabilities } = this.#options
    const { architectures } = capabilities
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
    this.#requireUnmoved(
      before,
      disks.map(({ name }) => name),
    )
    const seedPool = storage.active(seed.pool)
    let changed = false
    // What is in a guest's memory, saved or not, has to fit what it reads.
    if (seed.files !== undefined && (before === undefined || before.power === 'Stopped')) {
      changed = seedPool.writeSeed(seed.volume, seed.files)
    }
    storage.requireVolume('seed', seed.pool, seed.volume)
    const { cpus, memory, maxCpus = cpus, maxMemory = memory } = spec
    const others = before?.definition?.interfaces.filter(({ name }) => name === undefined) ?? []
    for (const { macAddress } of spec.interfaces) requireOwnInterface([others], macAddress)
    const interfaces = [...spec.interfaces, ...others]
    const definition: Definition = {
      cpus,
      memory,
      maxCpus,
      maxMemory,
      tag,
      parked: false,
      disks: placeDisks(disks, [...(before?.definition?.disks ?? []), ...(before?.live?.disks ?? [])]),
      seed: { pool: seed.pool, volume: seed.volume },
      interfaces,
      moved: {},
    }
    if (before?.live?.maxMemory === maxMemory) before.live = { ...before.live, memory }
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

  resize(instanceID: string, size: LiveSize): boolean {
    const machine = this.#running(instanceID)
    const { live, definition } = machine
    if (live === undefined) return false
    const { cpus = live.cpus, memory = live.memory } = size
    if (cpus < live.cpus || cpus > live.maxCpus || memory > live.maxMemory) {
      throw new BerthError('HypervisorRefused', `Machine '${machine.hostName}' cannot be made so while it runs.`)
    }
    if (cpus === live.cpus && memory === live.memory) return false
    machine.live = { ...live, cpus, memory }
    if (definition !== undefined) machine.definition = { ...definition, cpus, memory }
    this.#changed(machine, 'Resized')
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

  attachInterface(instanceID: string, wanted: InterfaceSpec): boolean {
    const machine = this.#running(instanceID)
    const { hostName, definition, live } = machine
    this.#requireFeature('HotPlugNetwork', machine)
    if (live === undefined || definition === undefined) {
      throw new BerthError('HypervisorRefused', `Machine '${hostName}' is not defined: it has no next start.`)
    }
    requireOwnInterface([live.interfaces, definition.interfaces], wanted.macAddress)
    const missing = Object.values(wanted.attachment).find((name) => !this.#options.networks.has(name))
    if (missing !== undefined) throw new BerthError('NetworkNotFound', `Network '${missing}' is not there.`)
    const defines = this.#redefine(machine, {
      ...definition,
      interfaces: withInterface(definition.interfaces, wanted),
    })
    const interfaces = withInterface(live.interfaces, wanted)
    if (interfaces === live.interfaces) return defines
    this.change(machine, { live: { ...live, interfaces } }, 'DeviceAdded')
    return true
  }

  /** The guest lets go of it in its time; see {@link Guests}. */
  detachInterface(instanceID: string, macAddress: string): boolean {
    const machine = this.own(instanceID)
    if (machine === undefined) return false
    const { definition, live } = machine
    this.#requireNotSaving(machine)
    requireOwnInterface([live?.interfaces ?? [], definition?.interfaces ?? []], macAddress)
    const isAttached = live !== undefined && withoutInterface(live.interfaces, macAddress) !== live.interfaces
    if (isAttached) this.#requireFeature('HotPlugNetwork', machine)
    const interfaces = withoutInterface(definition?.interfaces ?? [], macAddress)
    const changed = definition !== undefined && this.#redefine(machine, { ...definition, interfaces })
    if (!isAttached || machine.leaving.has(macAddress)) return changed
    const without = (devices: Devices) => ({ interfaces: withoutInterface(devices.interfaces, macAddress) })
    this.#askToLetGo(machine, macAddress, without, 'DeviceRemoved')
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
    if (machine !== undefined && usesVolume(machine, { pool, volume })) {
      throw new BerthError('InUse', `Volume '${volume}' is kept: machine '${machine.hostName}' has it.`)
    }
    return found.remove(volume)
  }

  attachDisk(instanceID: string, disk: DiskSpec): boolean {
    const machine = this.#running(instanceID)
    const { live, definition } = machine
    this.#requireFeature('HotPlugDisk', machine)
    if (live === undefined || definition === undefined) {
      throw new BerthError('HypervisorRefused', `Machine '${machine.hostName}' is not defined: it has no next start.`)
    }
    const other = [...live.disks, ...definition.disks].find(({ name }) => name === disk.name)
    if (other !== undefined && !isSame(other, disk)) {
      throw new BerthError('HypervisorRefused', `Disk '${disk.name}' of '${machine.hostName}' is '${other.volume}'.`)
    }
    this.#options.storage.requireVolume(disk.name, disk.pool, disk.volume)
    const placed = placeDisks([disk], [...live.disks, ...definition.disks])
    const isMissing = ({ disks }: Definition) => !disks.some((one) => isSame(one, disk))
    const [defines, attaches] = [isMissing(definition), isMissing(live)]
    if (defines) this.#redefine(machine, { ...definition, disks: [...definition.disks, ...placed] })
    if (attaches) this.change(machine, { live: { ...live, disks: [...live.disks, ...placed] } }, 'DiskAttached')
    return defines || attaches
  }

  /** The guest lets go of it in its time; see {@link Guests}. */
  detachDisk(instanceID: string, name: string): boolean {
    const machine = this.own(instanceID)
    if (machine === undefined) return false
    const { definition, live } = machine
    this.#requireNotSaving(machine)
    const hasIt = (disks: readonly FakeDisk[] | undefined) => disks?.some((disk) => disk.name === name) === true
    if (machine.power === 'Suspended' && (hasIt(machine.saved.disks) || hasIt(definition?.disks))) {
      throw new BerthError('HypervisorRefused', `The saved memory of machine '${machine.hostName}' has disk '${name}'.`)
    }
    if (hasIt(live?.disks)) this.#requireFeature('HotPlugDisk', machine)
    this.#requireUnmoved(machine, [name])
    const disks = definition?.disks.filter((disk) => disk.name !== name) ?? []
    const changed = definition !== undefined && this.#redefine(machine, { ...definition, disks })
    if (!hasIt(live?.disks) || machine.leaving.has(name)) return changed
    const without = (devices: Devices) => ({ disks: devices.disks.filter((disk) => disk.name !== name) })
    this.#askToLetGo(machine, name, without, 'DiskDetached')
    return true
  }

  growDisk(instanceID: string, pool: string, volume: string, capacity: number): boolean {
    requireOwnName(instanceID, volume)
    const found = this.#options.storage.active(pool)
    const machine = this.own(instanceID)
    if (machine !== undefined && usesVolume(machine, { pool, volume })) {
      this.#requireNotSaving(machine)
      if (machine.live === undefined) {
        throw new BerthError('HypervisorRefused', `The saved memory of machine '${machine.hostName}' has '${volume}'.`)
      }
      this.#requireFeature('GrowDisk', machine)
    }
    const disk = machine?.definition?.disks.find((one) => isSame(one, { pool, volume }))
    if (machine !== undefined && disk?.name !== undefined) this.#requireUnmoved(machine, [disk.name])
    return found.grow(volume, capacity)
  }

  attachForeignDisk(machine: FakeMachine, pool: string, volume: string): void {
    const { definition, live } = machine
    const [first] = placeDisks([{ name: '', pool, volume }], [...(definition?.disks ?? []), ...(live?.disks ?? [])])
    if (first === undefined) return
    const { name: _, ...disk } = first
    const more = (known: Definition | undefined) => known && { ...known, disks: [...known.disks, disk] }
    this.change(machine, { definition: more(definition), live: more(live) }, 'DiskAttached')
  }

  /** Somebody on the host gives it an interface that Berth knows nothing of. */
  attachForeignInterface(machine: FakeMachine, foreign: FakeInterface): void {
    const more = (known: Definition) => ({ ...known, interfaces: [...known.interfaces, foreign] })
    const { definition, live } = machine
    this.change(machine, { definition: definition && more(definition), live: live && more(live) }, 'DeviceAdded')
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
    this.#usedMemory -= machine.live.maxMemory
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
    changes: Partial<Pick<FakeMachine, 'definition' | 'live' | 'power' | 'stopReason' | 'pauseReason'>>,
    detail: string,
  ): void {
    Object.assign(machine, changes)
    this.#changed(machine, detail)
  }

  /** The memory of a run goes into a file; the next start goes on from it. */
  save(machine: FakeMachine): void {
    if (machine.live !== undefined) this.#usedMemory -= machine.live.maxMemory
    machine.saved = machine.live ?? machine.definition ?? noDevices
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
    this.#hear(machine)
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

  /** At once, in its time, or never: see {@link Guests}. */
  #askToLetGo(machine: FakeMachine, device: string, without: Leaving['without'], detail: string): void {
    const leaving: Leaving = { ready: false, without, detail }
    machine.leaving.set(device, leaving)
    const { detachTime } = this.guests
    if (detachTime === undefined) return
    const letGo = () => {
      // Of another boot, or gone with the one that it was asked in.
      if (machine.leaving.get(device) !== leaving) return
      leaving.ready = true
      if (machine.power === 'Running') this.#letGoOf(machine, device)
    }
    const delay = this.#options.random.duration(detachTime)
    if (delay <= 0) letGo()
    else this.#options.clock.after(delay, letGo)
  }

  #letGoOf(machine: FakeMachine, device: string): void {
    const leaving = machine.leaving.get(device)
    if (!leaving?.ready) return
    machine.leaving.delete(device)
    const { live } = machine
    if (live !== undefined) this.change(machine, { live: { ...live, ...leaving.without(live) } }, leaving.detail)
  }

  #requireUnmoved(machine: FakeMachine | undefined, names: readonly string[]): void {
    const moved = names.find((name) => machine?.definition?.moved[name] !== undefined)
    if (moved === undefined) return
    throw new BerthError(
      'Drifted',
      `Disk '${moved}' is another file than the volume that Berth made: a snapshot was made on the host.`,
    )
  }

  #requireFeature(feature: 'HotPlugDisk' | 'HotPlugNetwork' | 'GrowDisk', { hostName }: FakeMachine): void {
    if (this.#options.capabilities.features.includes(feature)) return
    throw new BerthError('NotSupported', `The hypervisor lacks ${feature}, and machine '${hostName}' is on.`)
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
    if (definition.maxMemory > this.freeMemory) refuse('HypervisorRefused', 'there is not enough memory')
  }

  #run(machine: FakeMachine, definition: Definition, paused: boolean): void {
    this.#usedMemory += definition.maxMemory
    machine.lastStart = machine.power === 'Suspended' ? 'Resumption' : 'Boot'
    const { disks, interfaces } = machine.lastStart === 'Resumption' ? machine.saved : definition
    machine.live = { ...definition, disks, interfaces }
    if (machine.lastStart === 'Boot') {
      machine.leaving = new Map()
      machine.boots++
      machine.asked = false
      machine.startedAt = this.#options.clock.monotonic()
    }
    Object.assign(machine, paused ? { power: 'Paused', pauseReason: 'Asked' } : { power: 'Running' })
    this.#changed(machine, 'Started')
    this.onStart(machine)
    if (!paused) this.#hear(machine)
  }

  /** What the guest was told while it was held. */
  #hear(machine: FakeMachine): void {
    for (const device of machine.leaving.keys()) this.#letGoOf(machine, device)
    if (machine.asked) this.turnOff(machine, 'Guest')
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
      saved: noDevices,
      power: 'Stopped',
      stopReason: 'Unknown',
      pauseReason: 'Asked',
      boots: 0,
      lastStart: 'Boot',
      asked: false,
      endSaving: undefined,
      leaving: new Map(),
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

/** Now, in its saved memory, or from the next start of a machine that is on. */
function usesVolume(machine: FakeMachine, volume: Pick<FakeDisk, 'pool' | 'volume'>): boolean {
  const { power, live, definition, saved } = machine
  if (power === 'Stopped') return false
  const seeds = [live?.seed, definition?.seed].filter((seed) => seed !== undefined)
  const disks = [...(live ?? saved).disks, ...(definition?.disks ?? [])]
  return [...disks, ...seeds].some((used) => isSame(used, volume))
}

function entryOf(machine: FakeMachine): InventoryEntry {
  const { id, hostName, definition, live, power } = machine
  const { tag, maxMemory: memory } = definition ?? live ?? {}
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
