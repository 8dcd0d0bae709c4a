import type { MemberServer } from './http/member.ts'
import { countMemory } from './messages/placement.ts'
import { makeVbd } from './messages/vbd.ts'
import { makeVdi } from './messages/vdi.ts'
import { makeVif } from './messages/vif.ts'
import { makeVm } from './messages/vm.ts'
import { halt, shutDownGuest } from './messages/vm-power.ts'
import type { Database } from './state/database.ts'
import type { Fault } from './state/faults.ts'
import type { GuestBehaviour, Pool } from './state/pool.ts'

/** What a test does to a pool behind the back of its clients. It does not go over XAPI. */
export class PoolControl {
  readonly #pool: Pool
  readonly #servers: readonly MemberServer[]

  constructor(pool: Pool, servers: readonly MemberServer[]) {
    this.#pool = pool
    this.#servers = servers
  }

  /** The pool's objects, to look at and to change. */
  get database(): Database {
    return this.#pool.database
  }

  /** The bytes of a disk. @throws VDI_MISSING */
  readDisk(vdi: string, offset: number, length: number): Buffer {
    return this.#pool.disk(vdi).read(offset, length)
  }

  /**
   * Plans a fault for the next calls of a method (`VM.start`, of either form; `Async.VM.start`, of that form alone) or
   * transfers (`/import_raw_vdi`); `times` may be Infinity.
   */
  fault(method: string, fault: Fault, times = 1): void {
    this.#pool.faults.plan(method, fault, times)
  }

  /** Methods and transfers with faults that no call has met yet. */
  get plannedFaults(): readonly string[] {
    return this.#pool.faults.planned
  }

  clearFaults(): void {
    this.#pool.faults.clear()
  }

  /** Has the work of a message (`VM.start`) take so many milliseconds from now on. */
  setDuration(method: string, milliseconds: number): void {
    this.#pool.durations.set(method, milliseconds)
  }

  setGuest(behaviour: Partial<GuestBehaviour>): void {
    this.#pool.guest = { ...this.#pool.guest, ...behaviour }
  }

  /** Ends every session, as a restart of xapi does. */
  endSessions(): void {
    for (const [session] of this.database.all('session')) this.database.remove('session', session)
  }

  /** Has every event token that was given until now be lost. */
  loseEvents(): void {
    this.database.forgetDeletions()
  }

  /** Makes another member the master; sessions go, as they do when the other takes over. */
  setMaster(index: number): void {
    this.database.update('pool', this.#pool.self[0], { master: this.#server(index).member.host })
    this.endSessions()
  }

  /** Takes a member down: its connections break, its machines are halted, its host is not live. */
  async stopMember(index: number): Promise<void> {
    const server = this.#server(index)
    await server.stop()
    const { host } = server.member
    this.#setLive(host, false)
    for (const [vm, { resident_on, is_control_domain }] of this.database.all('VM')) {
      if (resident_on === host && !is_control_domain) halt(this.#pool, vm)
    }
  }

  /** Restarts a member's toolstack: connections break and sessions go, machines run on. */
  async restartToolstack(index: number): Promise<void> {
    const server = this.#server(index)
    await server.stop()
    this.endSessions()
    await server.start()
  }

  /** Brings a member back, on its address and port. */
  async startMember(index: number): Promise<void> {
    const server = this.#server(index)
    await server.start()
    this.#setLive(server.member.host, true)
  }

  /** Milliseconds by which the clocks of the hosts are ahead of the simulator's. */
  setClockSkew(milliseconds: number): void {
    this.#pool.clockSkew = milliseconds
  }

  /** Shrinks an SR so that so many bytes are free. */
  leaveFree(sr: string, bytes = 0): void {
    const { physical_utilisation } = this.database.get('SR', sr)
    this.database.update('SR', sr, { physical_size: physical_utilisation + bytes })
  }

  /** A machine with a disk and a network interface that somebody else made. @returns its reference */
  makeForeign(name: string): string {
    const gibibyte = 1024 ** 3
    const [sr] = this.database.all('SR')
    const [network] = this.database.all('network')
    const vm = makeVm(this.#pool, {
      name_label: name,
      memory_static_max: gibibyte,
      memory_dynamic_max: gibibyte,
      memory_dynamic_min: gibibyte,
      VCPUs_max: 1,
      VCPUs_at_startup: 1,
    })
    if (sr !== undefined) {
      const VDI = makeVdi(this.#pool, { SR: sr[0], virtual_size: gibibyte, name_label: name, type: 'user' })
      makeVbd(this.#pool, { VM: vm, VDI, userdevice: '0', mode: 'RW', type: 'Disk', bootable: true, empty: false })
    }
    if (network !== undefined) makeVif(this.#pool, { VM: vm, network: network[0], device: '0' })
    return vm
  }

  /** Gives a machine a disk that somebody else made. @returns the reference of its VBD */
  attachForeignDisk(vm: string): string {
    const [sr] = this.database.all('SR')
    if (sr === undefined) throw new Error('the pool has no SR')
    const VDI = makeVdi(this.#pool, { SR: sr[0], virtual_size: 1024 ** 2, name_label: "somebody's", type: 'user' })
    const vbd = makeVbd(this.#pool, { VM: vm, VDI, userdevice: '10', mode: 'RW', type: 'Disk', empty: false })
    const currently_attached = this.database.get('VM', vm).power_state !== 'Halted'
    this.database.update('VBD', vbd, { currently_attached })
    return vbd
  }

  /** Has a guest shut down by itself; the machine does what is set for that. */
  shutDownGuest(vm: string): void {
    shutDownGuest(this.#pool, vm)
  }

  #setLive(host: string, live: boolean): void {
    const { metrics } = this.database.get('host', host)
    this.database.update('host_metrics', metrics, { live })
    countMemory(this.#pool)
  }

  #server(index: number): MemberServer {
    const server = this.#servers[index]
    if (server === undefined) throw new RangeError(`There is no member ${index}.`)
    return server
  }
}
