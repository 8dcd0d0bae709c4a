import { BerthError } from '../../errors/index.ts'
import type {
  CallOptions,
  DiskSpec,
  HostInformation,
  HypervisorEvent,
  ImageContent,
  InventoryEntry,
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
import { requireUUID } from '../shared/instance-id.ts'
import { type Client, interruptible } from './client.ts'
import { define, park, undefine } from './define.ts'
import { attachDisk, detachDisk, growDisk } from './disk-changes.ts'
import { createDisk, deleteVolume } from './disks.ts'
import { mapError } from './errors.ts'
import { readPool } from './host.ts'
import { placedImage, placeImage, removeImage } from './images.ts'
import { interfaces, list, observe } from './observe.ts'
import { PoolView } from './pool.ts'
import { discardMemory, pause, powerOff, shutdown, start, suspend, unpause } from './power.ts'
import type { EventPump } from './pump.ts'
import type { Connector } from './trust.ts'

/** A session with a pool, by its master. */
export class XAPISession implements Session {
  readonly closed: Promise<Error | undefined>
  readonly #client: Client
  readonly #connector: Connector
  readonly #view: PoolView
  readonly #pump: EventPump
  #information: HostInformation

  /** With a pump that has begun. */
  constructor(client: Client, connector: Connector, information: HostInformation, pump: EventPump) {
    this.#client = client
    this.#connector = connector
    this.#view = new PoolView(client)
    this.#pump = pump
    this.#information = information
    this.closed = client.closed
    void pump.run()
  }

  get information(): HostInformation {
    return this.#information
  }

  async refresh(options: CallOptions = {}): Promise<HostInformation> {
    this.#information = await readPool(this.#client, options)
    return this.#information
  }

  observe(instanceID: string, options?: CallOptions): Promise<MachineObservation> {
    return reading(options, () => observe(this.#view, instanceID))
  }

  list(options?: CallOptions): Promise<readonly InventoryEntry[]> {
    return reading(options, () => list(this.#view))
  }

  interfaces(instanceID: string, options: CallOptions = {}): Promise<readonly ObservedInterface[]> {
    return interfaces(this.#view, instanceID, options)
  }

  async networkExists(attachment: NetworkAttachment, options: CallOptions = {}): Promise<boolean> {
    if ('libvirtNetwork' in attachment) return false
    return (await this.#view.findNetwork(attachment, options)) !== undefined
  }

  async pool({ name }: PoolQuery, options?: CallOptions): Promise<ObservedPool | undefined> {
    const sr = await reading(options, () => this.#view.findSR(name))
    if (sr === undefined) return undefined
    const [capacity, allocated] = [Number(sr.physical_size), Number(sr.physical_utilisation)]
    return {
      id: sr.uuid,
      name,
      type: 'SR',
      active: sr.active,
      capacity,
      allocated,
      free: Math.max(0, capacity - allocated),
      volumes: sr.VDIs.length,
    }
  }

  placedImage(pool: string, digest: string, options?: CallOptions): Promise<PlacedImage> {
    return reading(options, async () => {
      const { vdi: _, ...placed } = await placedImage(this.#view, await this.#view.activeSR(pool), digest)
      return placed
    })
  }

  createDisk(disk: NewDisk, options: CallOptions = {}): Promise<void> {
    return createDisk(this.#view, disk, options)
  }

  define(machine: MachineSpec, options: CallOptions = {}): Promise<void> {
    return define(this.#view, this.#connector, this.#information.capabilities, machine, options)
  }

  start(instanceID: string, options: StartOptions = {}): Promise<void> {
    return start(this.#view, instanceID, options)
  }

  pause(instanceID: string, options: CallOptions = {}): Promise<void> {
    return pause(this.#view, instanceID, options)
  }

  unpause(instanceID: string, options: CallOptions = {}): Promise<void> {
    return unpause(this.#view, instanceID, options)
  }

  suspend(instanceID: string, options: CallOptions = {}): Promise<void> {
    return suspend(this.#view, instanceID, options)
  }

  discardMemory(instanceID: string, options: CallOptions = {}): Promise<void> {
    return discardMemory(this.#view, instanceID, options)
  }

  park(instanceID: string, options: CallOptions = {}): Promise<void> {
    return park(this.#view, instanceID, options)
  }

  shutdown(instanceID: string, options: CallOptions = {}): Promise<void> {
    return shutdown(this.#view, instanceID, options)
  }

  powerOff(instanceID: string, options: CallOptions = {}): Promise<void> {
    return powerOff(this.#view, instanceID, options)
  }

  undefine(instanceID: string, options: CallOptions = {}): Promise<void> {
    return undefine(this.#view, instanceID, options)
  }

  attachDisk(instanceID: string, disk: DiskSpec, options: CallOptions = {}): Promise<void> {
    return attachDisk(this.#view, instanceID, disk, options)
  }

  detachDisk(instanceID: string, name: string, options: CallOptions = {}): Promise<void> {
    return detachDisk(this.#view, instanceID, name, options)
  }

  async growDisk(
    instanceID: string,
    pool: string,
    volume: string,
    capacity: number,
    options: CallOptions = {},
  ): Promise<void> {
    return growDisk(this.#view, instanceID, pool, volume, capacity, options)
  }

  async deleteVolume(instanceID: string, pool: string, volume: string, options: CallOptions = {}): Promise<void> {
    requireUUID(instanceID)
    return deleteVolume(this.#view, instanceID, pool, volume, options)
  }

  /** SRs are made where their storage is: XenCenter, Xen Orchestra, `xe sr-create`. */
  async definePool({ name }: Required<PoolQuery>): Promise<void> {
    const words = `The pool has no SR '${name}', and Berth makes none from a path: make it there (xe sr-create).`
    throw new BerthError('InvalidConfiguration', words)
  }

  async placeImage(
    pool: string,
    content: ImageContent,
    progress: (sent: number) => void,
    options: CallOptions = {},
  ): Promise<void> {
    return placeImage(this.#view, await this.#view.activeSR(pool), this.#connector, content, progress, options)
  }

  async removeImage(pool: string, digest: string, options: CallOptions = {}): Promise<void> {
    return removeImage(this.#view, await this.#view.activeSR(pool), digest, options)
  }

  events(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    return this.#pump.events(signal)
  }

  async close(): Promise<void> {
    await this.#client.close()
  }
}

/** A listing is shared by all who wait for it; each waits no longer than it wants to. */
async function reading<T>({ signal }: CallOptions = {}, read: () => Promise<T>): Promise<T> {
  if (signal?.aborted) throw new BerthError('TemporaryFailure', 'The wait for the pool was ended before the call.')
  try {
    return await interruptible(read(), new Set(), signal)
  } catch (error) {
    throw mapError(error, 'Read')
  }
}
