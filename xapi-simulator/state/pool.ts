import { type Clock, dateTime } from '../clock.ts'
import { XapiError } from '../errors.ts'
import type { ClassName, RecordOf } from '../model/model.ts'
import type { Value } from '../model/types.ts'
import { Database } from './database.ts'
import { Faults } from './faults.ts'
import { SparseBytes } from './sparse-bytes.ts'
import { allowedVdiOperations } from './vdi-operations.ts'
import { allowedOperations, type Surroundings } from './vm-operations.ts'

/** How a simulated guest behaves. */
export interface GuestBehaviour {
  /** Whether an agent in the guest reports addresses and follows clean shutdowns. */
  readonly agent: boolean
  /** Milliseconds from the start of a machine until its agent reports. */
  readonly agentDelay: number
  /** Whether it lets go of a disk that is to be unplugged. */
  readonly releasesDisks: boolean
}

export interface PoolOptions {
  readonly user: string
  readonly password: string
  readonly clock: Clock
  /** Milliseconds after which a session that was not used is gone. */
  readonly sessionTimeout: number
}

/** A host of the pool as it can be reached. */
export interface Member {
  readonly host: string
  readonly address: string
}

/** The whole state of a pool, and what of it follows from the rest. */
export class Pool {
  readonly options: PoolOptions
  readonly database: Database
  readonly faults = new Faults()
  /** The bytes of the VDIs, by reference. */
  readonly disks = new Map<string, SparseBytes>()
  /** Milliseconds that the work of a message takes, by its name. */
  readonly durations = new Map<string, number>()
  /** Ends the work of a task that was cancelled, by the task's reference. */
  readonly cancellations = new Map<string, () => void>()
  /** When each session was last used, in milliseconds of the clock. */
  readonly lastActive = new Map<string, number>()
  /** Milliseconds by which the clocks of the hosts are ahead. */
  clockSkew = 0
  guest: GuestBehaviour = { agent: true, agentDelay: 0, releasesDisks: true }

  #domain = 0

  constructor(options: PoolOptions) {
    this.options = options
    this.database = new Database((className, reference, fields) => this.#derive(className, reference, fields))
  }

  /** The time at the hosts, as XAPI writes it. */
  now(): string {
    return dateTime(this.options.clock.now() + this.clockSkew)
  }

  /** The reference and record of the pool itself. */
  get self(): readonly [reference: string, record: RecordOf<'pool'>] {
    const [self] = this.database.all('pool')
    if (self === undefined) throw new Error('The pool has no record.')
    return self
  }

  /** The address of the host that answers for the pool. */
  get masterAddress(): string {
    return this.database.get('host', this.self[1].master).address
  }

  /** The number of the next domain; none is used twice. */
  nextDomain(): number {
    return ++this.#domain
  }

  disk(vdi: string): SparseBytes {
    const disk = this.disks.get(vdi)
    if (disk === undefined) throw new XapiError('VDI_MISSING', this.database.get('VDI', vdi).SR, vdi)
    return disk
  }

  surroundings(vm: RecordOf<'VM'>): Surroundings {
    return {
      guest: this.database.find('VM_guest_metrics', vm.guest_metrics),
      bootedAs: this.database.find('VM_metrics', vm.metrics)?.current_domain_type ?? 'unspecified',
    }
  }

  attachedBy(vdi: RecordOf<'VDI'>): RecordOf<'VBD'>[] {
    return vdi.VBDs.flatMap((vbd) => this.database.find('VBD', vbd) ?? []).filter((vbd) => vbd.currently_attached)
  }

  isPlugged(sr: string, host?: string): boolean {
    return (this.database.find('SR', sr)?.PBDs ?? []).some((reference) => {
      const pbd = this.database.find('PBD', reference)
      return pbd?.currently_attached === true && (host === undefined || pbd.host === host)
    })
  }

  /** Counts the space that the disks of an SR take, as its driver does now and then. */
  account(sr: string): void {
    const record = this.database.find('SR', sr)
    if (record === undefined) return
    const thick = isThick(record)
    let virtual = 0
    let physical = 0
    for (const reference of record.VDIs) {
      const vdi = this.database.find('VDI', reference)
      if (vdi === undefined) continue
      const taken = thick ? vdi.virtual_size : (this.disks.get(reference)?.allocated ?? 0)
      virtual += vdi.virtual_size
      physical += taken
      this.database.update('VDI', reference, { physical_utilisation: taken })
    }
    this.database.update('SR', sr, { virtual_allocation: virtual, physical_utilisation: physical })
  }

  /** @throws SR_FULL when so many bytes more would not fit */
  assertSpace(sr: string, bytes: number): void {
    const { physical_size, physical_utilisation } = this.database.get('SR', sr)
    const free = physical_size - physical_utilisation
    if (bytes > free) throw new XapiError('SR_FULL', String(bytes), String(Math.max(0, free)))
  }

  /** Makes the bytes of a new disk, all zero. */
  makeDisk(vdi: string, size: number): void {
    this.disks.set(vdi, new SparseBytes(size))
  }

  /** Brings what follows from an object's neighbours up to date. */
  refreshAround(className: ClassName, reference: string): void {
    if (className === 'VM') {
      const vm = this.database.find('VM', reference)
      for (const vbd of vm?.VBDs ?? []) this.refreshAround('VBD', vbd)
      for (const vif of vm?.VIFs ?? []) this.database.refresh('VIF', vif)
    }
    if (className === 'VBD') {
      const vbd = this.database.find('VBD', reference)
      this.database.refresh('VBD', reference)
      if (vbd !== undefined) this.database.refresh('VDI', vbd.VDI)
    }
    if (className === 'SR')
      for (const vdi of this.database.find('SR', reference)?.VDIs ?? []) this.database.refresh('VDI', vdi)
    this.database.refresh(className, reference)
  }

  #derive(className: ClassName, reference: string, fields: Readonly<Record<string, Value>>): Record<string, Value> {
    // The record is of the class that is named with it.
    const record = <C extends ClassName>(_: C) => fields as unknown as RecordOf<C>
    switch (className) {
      case 'VM':
        return { allowed_operations: allowedOperations(reference, record('VM'), this.surroundings(record('VM'))) }
      case 'VDI': {
        const vdi = record('VDI')
        const surroundings = { attached: this.attachedBy(vdi), plugged: this.isPlugged(vdi.SR) }
        return { allowed_operations: allowedVdiOperations(reference, vdi, surroundings) }
      }
      case 'VBD':
        return { allowed_operations: this.#vbdOperations(record('VBD')) }
      case 'VIF':
        return { allowed_operations: this.#vifOperations(record('VIF')) }
      case 'SR':
        return { allowed_operations: this.#srOperations(record('SR')) }
      default:
        return {}
    }
  }

  #vbdOperations(vbd: RecordOf<'VBD'>): string[] {
    if (Object.keys(vbd.current_operations).length > 0) return []
    const running = this.database.find('VM', vbd.VM)?.power_state === 'Running'
    const media = vbd.type === 'CD' ? [vbd.empty ? 'insert' : 'eject'] : []
    if (!running) return ['attach', ...media]
    if (vbd.currently_attached) return [...media, 'unplug', 'unplug_force', 'pause']
    return [...media, 'plug']
  }

  #vifOperations(vif: RecordOf<'VIF'>): string[] {
    if (Object.keys(vif.current_operations).length > 0) return []
    if (this.database.find('VM', vif.VM)?.power_state !== 'Running') return ['attach']
    return [vif.currently_attached ? 'unplug' : 'plug']
  }

  #srOperations(sr: RecordOf<'SR'>): string[] {
    const pbds = sr.PBDs.flatMap((reference) => this.database.find('PBD', reference) ?? [])
    if (!pbds.some((pbd) => pbd.currently_attached)) return ['forget', 'plug', 'pbd_create', 'pbd_destroy']
    return [
      'scan',
      'update',
      'unplug',
      'plug',
      'pbd_create',
      'vdi_create',
      'vdi_introduce',
      'vdi_destroy',
      'vdi_resize',
      'vdi_clone',
      'vdi_snapshot',
    ]
  }
}

/** SRs on logical volumes take all of a disk's size when it is made; others take what is written. */
export function isThick(sr: RecordOf<'SR'>): boolean {
  return sr.type.startsWith('lvm')
}
