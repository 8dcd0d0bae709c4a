import type { Connection, CallOptions as LibvirtCallOptions } from 'node-libvirt'
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
import { AgentInterfaces } from './agent.ts'
import { setGuestClock } from './clock.ts'
import type { Connections, Purpose } from './connections.ts'
import { attachDisk, detachDisk, growDisk } from './disk-changes.ts'
import { type Effect, isLibvirtError, mapError } from './errors.ts'
import { libvirtEvents } from './events.ts'
import { type Host, readHost } from './host.ts'
import { attachInterface, detachInterface } from './hot-plug.ts'
import { placedImage, placeImage, removeImage } from './images.ts'
import { createDisk, define, deleteMachineVolume, park, undefine } from './machines.ts'
import { listMachines, observeInterfaces, observeMachine } from './observe.ts'
import { defineDirectoryPool, findPool, observePool } from './pools.ts'
import { discardMemory, pause, powerOff, shutdown, start, suspend, unpause } from './power.ts'
import { PoolRefresher } from './refresher.ts'
import { release } from './release.ts'
import { resize } from './resize.ts'
import { activePool, volumesOfInstance } from './volumes.ts'

/** The port over libvirt's API. Holds connections and the host's facts; all else is asked of the host each time. */
export class LibvirtSession implements Session {
  readonly closed: Promise<Error | undefined>
  readonly #connections: Connections
  readonly #agents = new AgentInterfaces()
  readonly #refresher = new PoolRefresher()
  #host: Host

  constructor(connections: Connections, host: Host) {
    this.#connections = connections
    this.#host = host
    this.closed = connections.main.closed.then((reason) => reason && mapError(reason, 'Read'))
  }

  get information(): HostInformation {
    return this.#host.information
  }

  async refresh(options?: CallOptions): Promise<HostInformation> {
    this.#host = await this.#call('Read', 'main', options, readHost)
    return this.information
  }

  async observe(instanceID: string, options?: CallOptions): Promise<MachineObservation> {
    return this.#call('Read', 'main', options, async (connection, calls) => {
      const [machine, storage] = await Promise.all([
        observeMachine(connection, instanceID, calls),
        volumesOfInstance(connection, instanceID, calls),
      ])
      return { ...machine, ...storage }
    })
  }

  async list(options?: CallOptions): Promise<readonly InventoryEntry[]> {
    return this.#call('Read', 'main', options, listMachines)
  }

  async interfaces(instanceID: string, options?: CallOptions): Promise<readonly ObservedInterface[]> {
    const fromAgent = (id: string) => this.#agents.read(id, () => this.#connections.for('agent'))
    return this.#call('Read', 'main', options, (connection, calls) =>
      observeInterfaces(connection, instanceID, fromAgent, calls),
    )
  }

  /**
   * A libvirt network counts when it is active. Bridges are taken on trust: libvirt tells of a host's interfaces only
   * where netcf or udev are compiled in. A start on a bridge that is not there is refused by the host.
   */
  async networkExists(attachment: NetworkAttachment, options?: CallOptions): Promise<boolean> {
    if ('bridge' in attachment) return true
    if (!('libvirtNetwork' in attachment)) return false
    return this.#call('Read', 'main', options, async (connection, calls) => {
      try {
        return await (await connection.lookupNetworkByName(attachment.libvirtNetwork, calls)).isActive(calls)
      } catch (error) {
        if (isLibvirtError(error, 'NO_NETWORK')) return false
        throw error
      }
    })
  }

  async pool({ name }: PoolQuery, options?: CallOptions): Promise<ObservedPool | undefined> {
    return this.#call('Read', 'operations', options, async (connection, calls) => {
      const pool = await findPool(connection, name, calls)
      if (pool === undefined) return undefined
      await this.#refresher.refresh(pool, calls)
      return observePool(pool, calls)
    })
  }

  async placedImage(pool: string, digest: string, options?: CallOptions): Promise<PlacedImage> {
    return this.#call('Read', 'operations', options, async (connection, calls) => {
      const placed = await placedImage(await activePool(connection, pool, calls), digest, calls)
      return placed.state === 'Complete' ? { state: placed.state, length: placed.length } : { state: placed.state }
    })
  }

  async createDisk(disk: NewDisk, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => createDisk(connection, disk, calls))
  }

  async define(machine: MachineSpec, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      define(connection, this.#host, machine, calls),
    )
  }

  async start(instanceID: string, options?: StartOptions): Promise<void> {
    const { paused = false } = options ?? {}
    const outcome = await this.#call('Mutation', 'operations', options, (connection, calls) =>
      start(connection, instanceID, paused, calls),
    )
    if (outcome === 'ClockBehind') await this.#setClock(instanceID, options)
  }

  async pause(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => pause(connection, instanceID, calls))
  }

  async unpause(instanceID: string, options?: CallOptions): Promise<void> {
    const outcome = await this.#call('Mutation', 'operations', options, (connection, calls) =>
      unpause(connection, instanceID, calls),
    )
    if (outcome === 'ClockBehind') await this.#setClock(instanceID, options)
  }

  async suspend(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'suspends', options, (connection, calls) => suspend(connection, instanceID, calls))
  }

  async resize(instanceID: string, size: LiveSize, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      resize(connection, instanceID, size, calls),
    )
  }

  async discardMemory(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      discardMemory(connection, instanceID, calls),
    )
  }

  async park(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => park(connection, instanceID, calls))
  }

  async attachInterface(instanceID: string, wanted: InterfaceSpec, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      attachInterface(connection, this.#host, instanceID, wanted, calls),
    )
  }

  async detachInterface(instanceID: string, macAddress: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      detachInterface(connection, instanceID, macAddress, calls),
    )
  }

  async shutdown(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => shutdown(connection, instanceID, calls))
  }

  async powerOff(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => powerOff(connection, instanceID, calls))
  }

  async undefine(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => undefine(connection, instanceID, calls))
  }

  async attachDisk(instanceID: string, disk: DiskSpec, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      attachDisk(connection, instanceID, disk, calls),
    )
  }

  async detachDisk(instanceID: string, name: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      detachDisk(connection, instanceID, name, calls),
    )
  }

  async growDisk(
    instanceID: string,
    pool: string,
    volume: string,
    capacity: number,
    options?: CallOptions,
  ): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      growDisk(connection, instanceID, pool, volume, capacity, calls),
    )
  }

  async release(instanceID: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) => release(connection, instanceID, calls))
  }

  async deleteVolume(instanceID: string, pool: string, volume: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      deleteMachineVolume(connection, instanceID, pool, volume, calls),
    )
  }

  async definePool(query: Required<PoolQuery>, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, (connection, calls) =>
      defineDirectoryPool(connection, query, calls),
    )
  }

  async placeImage(
    pool: string,
    content: ImageContent,
    progress: (sent: number) => void,
    options?: CallOptions,
  ): Promise<void> {
    return this.#call('Mutation', 'transfers', options, async (connection, calls) =>
      placeImage(await activePool(connection, pool, calls), content, progress, calls),
    )
  }

  async removeImage(pool: string, digest: string, options?: CallOptions): Promise<void> {
    return this.#call('Mutation', 'operations', options, async (connection, calls) =>
      removeImage(await activePool(connection, pool, calls), digest, calls),
    )
  }

  events(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    return libvirtEvents(this.#connections.main, signal)
  }

  async close(): Promise<void> {
    await this.#connections.close()
  }

  async #setClock(instanceID: string, options: CallOptions | undefined): Promise<void> {
    await setGuestClock(instanceID, () => this.#connections.for('agent'), options)
  }

  async #call<T>(
    effect: Effect,
    purpose: Purpose,
    options: CallOptions | undefined,
    work: (connection: Connection, calls: LibvirtCallOptions) => Promise<T>,
  ): Promise<T> {
    const calls = { signal: options?.signal, beforeSend: options?.beforeSend }
    try {
      return await work(await this.#connections.for(purpose), calls)
    } catch (error) {
      throw mapError(error, effect)
    }
  }
}
