import { BerthError } from '../../errors/index.ts'
import type {
  CallOptions,
  DiskSpec,
  HostInformation,
  HypervisorEvent,
  ImageContent,
  InterfaceSpec,
  InventoryEntry,
  LiveSize,
  MachineObservation,
  MachineSpec,
  NetworkAttachment,
  NewDisk,
  ObservedInterface,
  ObservedPool,
  PlacedImage,
  PoolQuery,
  Session,
  StartOptions,
} from '../../hypervisor/port.ts'
import type { FakeCall } from './calls.ts'
import type { Fault } from './faults.ts'
import type { FakeHypervisor } from './host.ts'
import { placeImage } from './placing.ts'
import { Waiting } from './waiting.ts'

/** The port over a fake host. Like a connection it has nothing of its own but deadlines and its end. */
export class FakeSession implements Session {
  information: HostInformation
  readonly #host: FakeHypervisor
  readonly #callTimeout: number
  readonly #waiting = new Set<Waiting>()
  readonly #closed = Promise.withResolvers<Error | undefined>()
  #ended = false

  constructor(host: FakeHypervisor, callTimeout: number) {
    this.#host = host
    this.#callTimeout = callTimeout
    this.information = host.information
    host.attach(this)
  }

  get closed(): Promise<Error | undefined> {
    return this.#closed.promise
  }

  async refresh(options?: CallOptions): Promise<HostInformation> {
    this.information = await this.#call({ method: 'refresh' }, options, () => this.#host.information)
    return this.information
  }

  observe(instanceID: string, options?: CallOptions): Promise<MachineObservation> {
    return this.#call({ method: 'observe', instanceID }, options, () => ({
      ...this.#host.machines.observe(instanceID),
      ...this.#host.storage.volumesOf(instanceID),
    }))
  }

  list(options?: CallOptions): Promise<readonly InventoryEntry[]> {
    return this.#call({ method: 'list' }, options, () => this.#host.machines.list())
  }

  interfaces(instanceID: string, options?: CallOptions): Promise<readonly ObservedInterface[]> {
    return this.#call({ method: 'interfaces', instanceID }, options, () => this.#host.machines.interfaces(instanceID))
  }

  networkExists(attachment: NetworkAttachment, options?: CallOptions): Promise<boolean> {
    return this.#call({ method: 'networkExists' }, options, () =>
      Object.values(attachment).some((name) => this.#host.networks.has(name)),
    )
  }

  pool({ name }: PoolQuery, options?: CallOptions): Promise<ObservedPool | undefined> {
    return this.#call({ method: 'pool', pool: name }, options, () => this.#host.storage.pools.get(name)?.observe())
  }

  placedImage(pool: string, digest: string, options?: CallOptions): Promise<PlacedImage> {
    return this.#call({ method: 'placedImage', pool, volume: digest }, options, () =>
      this.#host.storage.active(pool).placedImage(digest),
    )
  }

  createDisk(disk: NewDisk, options?: CallOptions): Promise<void> {
    const { instanceID, pool, volume } = disk
    return this.#change({ method: 'createDisk', instanceID, pool, volume }, options, () => {
      // A machine of that id that is not ours keeps its disks for itself.
      this.#host.machines.own(instanceID)
      return this.#host.storage.active(pool).createDisk(disk)
    })
  }

  define(machine: MachineSpec, options?: CallOptions): Promise<void> {
    const { instanceID } = machine.tag
    return this.#change({ method: 'define', instanceID }, options, () => this.#host.machines.define(machine))
  }

  start(instanceID: string, options?: StartOptions): Promise<void> {
    const { paused } = options ?? {}
    return this.#change({ method: 'start', instanceID }, options, () => this.#host.machines.start(instanceID, paused))
  }

  pause(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'pause', instanceID }, options, () => this.#host.machines.pause(instanceID))
  }

  unpause(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'unpause', instanceID }, options, () => this.#host.machines.unpause(instanceID))
  }

  suspend(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'suspend', instanceID }, options, () => this.#host.machines.suspend(instanceID))
  }

  resize(instanceID: string, size: LiveSize, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'resize', instanceID }, options, () => this.#host.machines.resize(instanceID, size))
  }

  discardMemory(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'discardMemory', instanceID }, options, () =>
      this.#host.machines.discardMemory(instanceID),
    )
  }

  park(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'park', instanceID }, options, () => this.#host.machines.park(instanceID))
  }

  attachInterface(instanceID: string, wanted: InterfaceSpec, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'attachInterface', instanceID }, options, () =>
      this.#host.machines.attachInterface(instanceID, wanted),
    )
  }

  detachInterface(instanceID: string, macAddress: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'detachInterface', instanceID }, options, () =>
      this.#host.machines.detachInterface(instanceID, macAddress),
    )
  }

  shutdown(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'shutdown', instanceID }, options, () => this.#host.machines.shutdown(instanceID))
  }

  powerOff(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'powerOff', instanceID }, options, () => this.#host.machines.powerOff(instanceID))
  }

  undefine(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'undefine', instanceID }, options, () => this.#host.machines.undefine(instanceID))
  }

  attachDisk(instanceID: string, disk: DiskSpec, options?: CallOptions): Promise<void> {
    const { name, pool, volume } = disk
    return this.#change({ method: 'attachDisk', instanceID, disk: name, pool, volume }, options, () =>
      this.#host.machines.attachDisk(instanceID, disk),
    )
  }

  detachDisk(instanceID: string, name: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'detachDisk', instanceID, disk: name }, options, () =>
      this.#host.machines.detachDisk(instanceID, name),
    )
  }

  growDisk(instanceID: string, pool: string, volume: string, capacity: number, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'growDisk', instanceID, pool, volume }, options, () =>
      this.#host.machines.growDisk(instanceID, pool, volume, capacity),
    )
  }

  release(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'release', instanceID }, options, () => this.#host.machines.release(instanceID))
  }

  deleteVolume(instanceID: string, pool: string, volume: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'deleteVolume', instanceID, pool, volume }, options, () =>
      this.#host.machines.deleteVolume(instanceID, pool, volume),
    )
  }

  definePool(query: Required<PoolQuery>, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'definePool', pool: query.name }, options, () => this.#host.definePool(query))
  }

  async placeImage(
    poolName: string,
    content: ImageContent,
    progress: (sent: number) => void,
    options?: CallOptions,
  ): Promise<void> {
    const call: FakeCall = { method: 'placeImage', pool: poolName, volume: content.digest }
    await this.#call(call, options, (fault, waiting) => {
      const ready = async (sent: number) => {
        if (fault?.type === 'TransferCut' && sent >= content.length * fault.share) this.cut()
        // The caller feeds the transfer: it ends with the wait.
        await Promise.race([waiting.lost, this.#host.traffic.responsive()])
        waiting.extend()
      }
      return placeImage(this.#host.storage.active(poolName), content, progress, ready)
    })
  }

  removeImage(pool: string, digest: string, options?: CallOptions): Promise<void> {
    return this.#change({ method: 'removeImage', pool, volume: digest }, options, () =>
      this.#host.storage.active(pool).removeImage(digest),
    )
  }

  events(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    return this.#host.events.listen(signal, this.closed)
  }

  async close(): Promise<void> {
    this.#finish(undefined)
  }

  /** The connection ends by itself. */
  cut(): void {
    this.#finish(new BerthError('HypervisorUnreachable', 'The connection to the hypervisor was reset.'))
  }

  #finish(reason: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#host.detach(this)
    for (const waiting of this.#waiting) waiting.end('Connection')
    this.#closed.resolve(reason)
  }

  async #change(
    call: FakeCall,
    options: CallOptions | undefined,
    work: () => boolean | Promise<boolean>,
  ): Promise<void> {
    await this.#call(call, options, work)
  }

  async #call<T>(
    call: FakeCall,
    options: CallOptions | undefined,
    work: (fault: Fault | undefined, waiting: Waiting) => T | Promise<T>,
  ): Promise<T> {
    const signal = options?.signal
    if (this.#ended) throw new BerthError('HypervisorUnreachable', 'The connection to the hypervisor is closed.')
    if (signal?.aborted) throw new BerthError('TemporaryFailure', 'The wait was ended before the call was sent.')
    options?.beforeSend?.()
    const waiting = new Waiting(call, { clock: this.#host.clock, callTimeout: this.#callTimeout, signal })
    const answer = this.#host.traffic.deliver(call, this, (fault) => work(fault, waiting))
    if (!(answer instanceof Promise)) return answer
    this.#waiting.add(waiting)
    try {
      return await waiting.for(answer)
    } finally {
      this.#waiting.delete(waiting)
    }
  }
}
