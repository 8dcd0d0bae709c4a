/** A host in memory that behaves as the port says; for tests of what uses sessions. */
import { isDeepStrictEqual } from 'node:util'
import { BerthError } from '../../errors/index.ts'
import {
  type DiskSpec,
  type HostInformation,
  type HypervisorEvent,
  type ImageContent,
  type InterfaceSpec,
  type InventoryEntry,
  type LiveSize,
  type MachineInterface,
  type MachineObservation,
  type MachineSpec,
  type NetworkAttachment,
  type NewDisk,
  type ObservedDisk,
  type ObservedInterface,
  type ObservedPool,
  type PauseReason,
  type PlacedImage,
  type PoolQuery,
  type PowerState,
  type Session,
  type StartOptions,
  type StopReason,
  type Tag,
  volumeNames,
} from '../port.ts'
import { intercepted, type Mutation, mutations } from '../wrap.ts'

export interface FakeMachine {
  spec: MachineSpec
  power: PowerState
  stopReason: StopReason
  /** Told while it is paused. Absent: Asked. */
  pauseReason?: PauseReason
  parked: boolean
  transient: boolean
  /** Disks that it has now, or that its saved memory has. Absent: those of its spec. */
  live?: readonly DiskSpec[]
  /** Disks that somebody else attached. */
  foreignDisks?: readonly ObservedDisk[]
  /** Absent: those of its definition. */
  interfaces?: readonly MachineInterface[]
}

export interface FakePool {
  path: string
  active: boolean
  type: string
  capacity: number
  volumes: Map<string, number>
  /** Placed images by digest: length, or undefined for half a one. */
  images: Map<string, number | undefined>
}

const GiB = 2 ** 30

export class FakeHost {
  information: HostInformation = {
    id: '11111111-2222-4333-8444-555555555555',
    hostName: 'kvm1.example',
    version: 'libvirt 11.3.0',
    cpus: 16,
    memory: 64 * GiB,
    freeMemory: 60 * GiB,
    capabilities: {
      architectures: ['x86_64'],
      accelerators: ['KVM'],
      modes: ['HVM'],
      firmware: ['BIOS'],
      storageTypes: ['Directory'],
      features: [
        'AntiSpoofing',
        'GrowDisk',
        'HotPlugCPU',
        'HotPlugDisk',
        'HotPlugMemory',
        'HotPlugNetwork',
        'Pause',
        'Suspend',
      ],
    },
  }
  readonly machines = new Map<string, FakeMachine>()
  readonly pools = new Map<string, FakePool>()
  readonly networks = new Set<string>()
  /** Machines that are not ours, by id: what `observe` says of them. */
  readonly foreign = new Map<string, string>()
  /** Of each of them, in bytes. */
  foreignMemory = 2 * GiB
  /** Listed beside all else. */
  listed: readonly InventoryEntry[] = []
  readonly addresses = new Map<string, readonly ObservedInterface[]>()
  /** Every effect that was asked for, in order. */
  readonly calls: { readonly method: Mutation; readonly args: readonly unknown[] }[] = []
  /** Called before each call, reads too: what it throws is the answer, and nothing has happened. */
  before: (method: string, args: readonly unknown[]) => void | Promise<void> = () => {}
  /** Called after each call took effect: what it throws is the answer instead. */
  after: (method: string, args: readonly unknown[]) => void = () => {}
  /** A guest that hears the power button. */
  obedient = true
  /** A guest that lets go of a device at once when it is asked to. */
  letsGo = true

  addPool(name: string, { capacity = 100 * GiB, type = 'Directory', active = true } = {}): FakePool {
    const pool: FakePool = { path: `/pools/${name}`, active, type, capacity, volumes: new Map(), images: new Map() }
    this.pools.set(name, pool)
    return pool
  }

  /** The machine of that id goes off by itself. */
  turnOff(id: string, stopReason: StopReason): void {
    const machine = this.machines.get(id)
    if (machine?.transient) this.machines.delete(id)
    else if (machine) {
      delete machine.live
      Object.assign(machine, { power: 'Stopped', stopReason })
    }
  }

  connect(): FakeSession & Session {
    const session = new FakeSession(this)
    const isMutation = (name: string): name is Mutation => (mutations as readonly string[]).includes(name)
    return intercepted(session, async (method, args, call) => {
      await this.before(method, args)
      if (session.lost) throw new BerthError('ConnectionLost', 'the connection was lost')
      if (isMutation(method)) this.calls.push({ method, args })
      const result = await call(args)
      this.after(method, args)
      return result
    }) as FakeSession & Session
  }
}

export class FakeSession implements Session {
  readonly #host: FakeHost
  readonly closed: Promise<Error | undefined>
  #close: (error: Error | undefined) => void = () => {}
  #events: HypervisorEvent[] = []
  #wake: () => void = () => {}
  /** `close` was called, or the connection lost. */
  ended = false
  lost = false

  constructor(host: FakeHost) {
    this.#host = host
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
  }

  get information(): HostInformation {
    return this.#host.information
  }

  async refresh(): Promise<HostInformation> {
    return this.#host.information
  }

  async observe(instanceID: string): Promise<MachineObservation> {
    const active = [...this.#host.pools].filter(([, pool]) => pool.active)
    const volumes = active.flatMap(([pool, { volumes: all }]) =>
      [...all]
        .filter(([name]) => name.startsWith(`berth-${instanceID}-`))
        .map(([name, capacity]) => ({ pool, name, capacity, allocation: capacity })),
    )
    const storage = { volumes, pools: active.map(([name]) => name) }
    const foreign = this.#host.foreign.get(instanceID)
    if (foreign !== undefined) return { foreign, ...storage }
    const machine = this.#host.machines.get(instanceID)
    if (!machine) return storage
    const { spec, power, stopReason, pauseReason = 'Asked', parked, transient } = machine
    const { tag, hostName, cpus, memory, maxCpus = cpus, maxMemory = memory } = spec
    const most = { maxCpus, maxMemory }
    const reason = { ...(power === 'Stopped' ? { stopReason } : {}), ...(power === 'Paused' ? { pauseReason } : {}) }
    const interfaces = interfacesOf(machine)
    const disks = observedDisks(machine)
    const hardware = { cpus, memory, disks, interfaces, ...most }
    const seen = { tag, id: instanceID, hostName, power, parked, transient, ...hardware, ...reason }
    return tag.released ? { foreign: 'it was released', released: seen, ...storage } : { machine: seen, ...storage }
  }

  async list(): Promise<readonly InventoryEntry[]> {
    const ours = [...this.#host.machines].map(([id, { spec, power, parked }]) => ({
      id,
      hostName: spec.hostName,
      tag: spec.tag,
      power,
      parked,
      memory: spec.memory,
    }))
    const others = [...this.#host.foreign.keys()].map((id) => ({
      id,
      hostName: `foreign-${id}`,
      power: 'Running' as const,
      parked: false,
      memory: this.#host.foreignMemory,
    }))
    return [...ours, ...others, ...this.#host.listed]
  }

  async interfaces(instanceID: string): Promise<readonly ObservedInterface[]> {
    return this.#host.addresses.get(instanceID) ?? []
  }

  async networkExists(attachment: NetworkAttachment): Promise<boolean> {
    return Object.values(attachment).some((name) => this.#host.networks.has(name))
  }

  async pool({ name }: PoolQuery): Promise<ObservedPool | undefined> {
    const pool = this.#host.pools.get(name)
    if (!pool) return undefined
    const { active, type, capacity, volumes } = pool
    const allocated = [...volumes.values()].reduce((sum, size) => sum + size, 0)
    const id = `pool-${name}`
    return { id, name, type, active, capacity, allocated, free: capacity - allocated, volumes: volumes.size }
  }

  async placedImage(pool: string, digest: string): Promise<PlacedImage> {
    const { images } = this.#pool(pool)
    if (!images.has(digest)) return { state: 'Absent' }
    const length = images.get(digest)
    return length === undefined ? { state: 'Partial' } : { state: 'Complete', length }
  }

  async createDisk({ pool, volume, image, capacity }: NewDisk): Promise<void> {
    const { volumes, images } = this.#pool(pool)
    if (image && images.get(image.digest) === undefined) {
      throw new BerthError('WaitingForImage', 'the image is not there yet')
    }
    if (!volumes.has(volume)) volumes.set(volume, capacity)
  }

  async define(spec: MachineSpec): Promise<void> {
    const { instanceID } = spec.tag
    const before = this.#own(instanceID)
    for (const disk of spec.disks) this.#requireVolume(disk)
    const { volumes } = this.#pool(spec.seed.pool)
    if (spec.seed.files) volumes.set(spec.seed.volume, 1_048_576)
    else if (!volumes.has(spec.seed.volume)) throw new BerthError('DiskMissing', 'the seed is not there')
    const machine = {
      power: 'Stopped',
      stopReason: 'Unknown',
      ...before,
      ...(before && isOn(before) ? { interfaces: redefined(interfacesOf(before), spec.interfaces) } : {}),
      spec,
      parked: false,
      transient: false,
      // What it has now stays as it is.
      ...(before && before.power !== 'Stopped' ? { live: liveDisks(before) } : {}),
    } as const
    this.#host.machines.set(instanceID, { ...machine })
  }

  async start(instanceID: string, { paused = false }: StartOptions = {}): Promise<void> {
    const machine = this.#own(instanceID)
    if (!machine) throw new BerthError('HypervisorRefused', 'there is no such machine')
    if (isOn(machine)) return
    if (machine.power === 'Stopped') delete machine.live
    if (machine.parked) {
      machine.stopReason = 'Failed'
      throw new BerthError('HypervisorRefused', 'network berth-parked is not there')
    }
    delete machine.interfaces
    if (paused) hold(machine)
    else machine.power = 'Running'
  }

  async pause(instanceID: string): Promise<void> {
    const machine = this.#on(instanceID)
    if (machine.power === 'Running') hold(machine)
  }

  async unpause(instanceID: string): Promise<void> {
    this.#on(instanceID).power = 'Running'
  }

  async suspend(instanceID: string): Promise<void> {
    if (this.#own(instanceID)?.power === 'Suspended') return
    const machine = this.#on(instanceID)
    // As XAPI does.
    if (machine.power === 'Paused') throw new BerthError('HypervisorRefused', 'it is paused')
    machine.power = 'Suspended'
  }

  async resize(instanceID: string, size: LiveSize): Promise<void> {
    const machine = this.#on(instanceID)
    machine.spec = { ...machine.spec, ...size }
  }

  async discardMemory(instanceID: string): Promise<void> {
    if (this.#own(instanceID)?.power === 'Suspended') this.#host.turnOff(instanceID, 'Outside')
  }

  async park(instanceID: string): Promise<void> {
    const machine = this.#own(instanceID)
    if (!machine) return
    if (machine.power === 'Suspended') throw new BerthError('HypervisorRefused', 'its saved state would start')
    machine.parked = true
  }

  async attachInterface(instanceID: string, wanted: InterfaceSpec): Promise<void> {
    const machine = this.#on(instanceID)
    const before = interfacesOf(machine)
    const others = before.filter(({ macAddress }) => macAddress !== wanted.macAddress)
    if (!Object.values(wanted.attachment).some((name) => this.#host.networks.has(name)))
      throw new BerthError('NetworkNotFound', 'the network is not there')
    const foreign = before.find(({ macAddress, name }) => macAddress === wanted.macAddress && name === undefined)
    if (foreign) throw new BerthError('ForeignObject', `${wanted.macAddress} is another's`)
    machine.interfaces = [...others, { ...wanted, attached: true, defined: true }]
    const defined = machine.spec.interfaces.filter(({ macAddress }) => macAddress !== wanted.macAddress)
    machine.spec = { ...machine.spec, interfaces: [...defined, wanted] }
  }

  async detachInterface(instanceID: string, macAddress: string): Promise<void> {
    const machine = this.#on(instanceID)
    machine.interfaces = interfacesOf(machine).flatMap((one) =>
      one.macAddress !== macAddress ? one : this.#host.letsGo || !one.attached ? [] : { ...one, defined: false },
    )
    const interfaces = machine.spec.interfaces.filter((one) => one.macAddress !== macAddress)
    machine.spec = { ...machine.spec, interfaces }
  }

  async shutdown(instanceID: string): Promise<void> {
    if (this.#own(instanceID)?.power === 'Running' && this.#host.obedient) this.#host.turnOff(instanceID, 'Guest')
  }

  async powerOff(instanceID: string): Promise<void> {
    const machine = this.#own(instanceID)
    if (machine && isOn(machine)) this.#host.turnOff(instanceID, 'Outside')
  }

  async undefine(instanceID: string): Promise<void> {
    const machine = this.#own(instanceID)
    if (machine && isOn(machine)) throw new BerthError('HypervisorRefused', 'it runs')
    this.#host.machines.delete(instanceID)
  }

  async release(instanceID: string): Promise<void> {
    const machine = this.#host.machines.get(instanceID)
    if (!machine?.spec.tag.released) this.#own(instanceID)
    if (!machine || (machine.spec.tag.released && !machine.parked)) return
    const slot = isOn(machine) ? machine.spec.tag.slot : ''
    machine.spec = { ...machine.spec, tag: { ...machine.spec.tag, slot, released: true } }
    machine.parked = false
    machine.transient = false
  }

  async attachDisk(instanceID: string, disk: DiskSpec): Promise<void> {
    const machine = this.#on(instanceID)
    this.#requireFeature('HotPlugDisk')
    this.#requireVolume(disk)
    const { spec } = machine
    const live = liveDisks(machine)
    machine.live = has(live, disk) ? live : [...live, disk]
    if (!has(spec.disks, disk)) machine.spec = { ...spec, disks: [...spec.disks, disk] }
  }

  async detachDisk(instanceID: string, name: string): Promise<void> {
    const machine = this.#own(instanceID)
    if (!machine) return
    const { spec, power } = machine
    const live = liveDisks(machine)
    const others = (disks: readonly DiskSpec[]) => disks.filter((disk) => disk.name !== name)
    if (power === 'Suspended' && others([...live, ...spec.disks]).length < live.length + spec.disks.length) {
      throw new BerthError('HypervisorRefused', 'its saved memory has the disk')
    }
    if (isOn(machine)) this.#requireFeature('HotPlugDisk')
    machine.spec = { ...spec, disks: others(spec.disks) }
    if (power !== 'Stopped') machine.live = this.#host.letsGo && power === 'Running' ? others(live) : live
  }

  async growDisk(instanceID: string, pool: string, volume: string, capacity: number): Promise<void> {
    requireOwnName(instanceID, volume)
    const { volumes } = this.#pool(pool)
    const machine = this.#own(instanceID)
    const before = volumes.get(volume)
    if (before === undefined) throw new BerthError('DiskMissing', `${volume} is not there`)
    if (machine && usesVolume(machine, pool, volume)) {
      if (machine.power === 'Suspended') throw new BerthError('HypervisorRefused', 'its saved memory has the disk')
      this.#requireFeature('GrowDisk')
    }
    volumes.set(volume, Math.max(before, capacity))
  }

  async deleteVolume(instanceID: string, pool: string, volume: string): Promise<void> {
    requireOwnName(instanceID, volume)
    const machine = this.#own(instanceID)
    if (machine && usesVolume(machine, pool, volume)) throw new BerthError('InUse', `a machine has ${volume}`)
    this.#pool(pool).volumes.delete(volume)
  }

  async definePool({ name }: Required<PoolQuery>): Promise<void> {
    if (!this.#host.pools.has(name)) this.#host.addPool(name)
  }

  async placeImage(pool: string, content: ImageContent, progress: (sent: number) => void): Promise<void> {
    const { images } = this.#pool(pool)
    images.set(content.digest, undefined)
    let sent = 0
    for await (const part of content.open()) {
      sent += part.length
      progress(sent)
    }
    if (sent !== content.length) throw new BerthError('TemporaryFailure', `${sent} bytes of ${content.length}`)
    content.beforeMarker?.()
    images.set(content.digest, sent)
  }

  async removeImage(pool: string, digest: string): Promise<void> {
    this.#pool(pool).images.delete(digest)
  }

  async *events(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    signal.addEventListener('abort', () => this.#wake())
    while (!signal.aborted && !this.ended) {
      const next = this.#events.shift()
      if (next) yield next
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
    if (this.lost) throw new BerthError('ConnectionLost', 'the connection was lost')
  }

  tell(event: HypervisorEvent): void {
    this.#events.push(event)
    this.#wake()
  }

  /** The connection ends by itself. */
  lose(error = new Error('connection reset')): void {
    this.lost = true
    this.#end(error)
  }

  async close(): Promise<void> {
    this.#end(undefined)
  }

  #end(error: Error | undefined): void {
    this.ended = true
    this.#close(error)
    this.#wake()
  }

  /** Undefined: absent. One that is not ours is never touched. */
  #own(instanceID: string): FakeMachine | undefined {
    const machine = this.#host.machines.get(instanceID)
    if (this.#host.foreign.has(instanceID) || machine?.spec.tag.released)
      throw new BerthError('ForeignObject', 'it is not ours')
    return machine
  }

  /** Refuses what is absent or off. */
  #on(instanceID: string): FakeMachine {
    const machine = this.#own(instanceID)
    if (machine && isOn(machine)) return machine
    throw new BerthError('HypervisorRefused', 'it is off')
  }

  #requireVolume({ pool, volume }: DiskSpec): void {
    if (!this.#pool(pool).volumes.has(volume)) throw new BerthError('DiskMissing', `${volume} is not there`)
  }

  #requireFeature(feature: string): void {
    if (this.#host.information.capabilities.features.includes(feature)) return
    throw new BerthError('NotSupported', `the host lacks ${feature}, and the machine is on`)
  }

  #pool(name: string): FakePool {
    const pool = this.#host.pools.get(name)
    if (!pool) throw new BerthError('PoolNotFound', `there is no storage pool ${name}`)
    if (!pool.active) throw new BerthError('PoolInactive', `storage pool ${name} is not started`)
    return pool
  }
}

const isOn = ({ power }: FakeMachine): boolean => power === 'Running' || power === 'Paused'

const liveDisks = ({ spec, live = spec.disks }: FakeMachine): readonly DiskSpec[] => live

const has = (disks: readonly DiskSpec[], { name }: DiskSpec): boolean => disks.some((disk) => disk.name === name)

/** Now, in its saved memory, or from the next start of a machine that is not off. */
function usesVolume(machine: FakeMachine, pool: string, volume: string): boolean {
  const { spec, power } = machine
  const used = [...liveDisks(machine), ...spec.disks, spec.seed]
  return power !== 'Stopped' && used.some((one) => one.pool === pool && one.volume === volume)
}

function observedDisks(machine: FakeMachine): readonly ObservedDisk[] {
  const { spec, transient, foreignDisks = [] } = machine
  const live = isOn(machine) ? liveDisks(machine) : []
  const defined = transient ? [] : spec.disks
  const all = [...live, ...defined.filter((disk) => !has(live, disk))]
  return [...all.map((disk) => ({ ...disk, attached: has(live, disk), defined: has(defined, disk) })), ...foreignDisks]
}

function requireOwnName(instanceID: string, volume: string): void {
  if (!volume.startsWith(`berth-${instanceID}-`)) throw new BerthError('ForeignObject', `${volume} is another's`)
}

const interfacesOf = (machine: FakeMachine): readonly MachineInterface[] =>
  machine.interfaces ?? machine.spec.interfaces.map((one) => ({ ...one, attached: isOn(machine), defined: true }))

/** What runs stays as it is; what it has from its next start on is another. */
const redefined = (
  before: readonly MachineInterface[],
  wanted: readonly InterfaceSpec[],
): readonly MachineInterface[] => [
  ...before
    .filter(({ attached }) => attached)
    .map(({ attached: _, defined: __, ...one }) => ({
      ...one,
      attached: true,
      defined: wanted.some((other) => isDeepStrictEqual(other, one)),
    })),
  ...wanted
    .filter(({ macAddress }) => !before.some((one) => one.attached && one.macAddress === macAddress))
    .map((one) => ({ ...one, attached: false, defined: true })),
]

function hold(machine: FakeMachine): void {
  Object.assign(machine, { power: 'Paused', pauseReason: 'Asked' })
}

/** A definition for tests that need one to be there. */
export const fakeSpec = (instanceID: string, changes: Partial<Tag> = {}): MachineSpec => ({
  tag: {
    schema: 1,
    cluster: 'cluster-uid',
    namespace: 'team',
    name: 'web',
    uid: instanceID,
    instanceID,
    owner: '',
    slot: 's1',
    ...changes,
  },
  hostName: `team_${changes.name ?? 'web'}`,
  cpus: 1,
  memory: GiB,
  architecture: 'x86_64',
  disks: [],
  seed: { pool: 'default', volume: volumeNames.seed(instanceID) },
  interfaces: [],
})
