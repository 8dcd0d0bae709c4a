import { ManualClock } from '../clock.ts'
import { PoolControl } from '../control.ts'
import { dispatch } from '../messages/dispatch.ts'
import type { Value } from '../model/types.ts'
import { type Member, Pool } from '../state/pool.ts'
import { furnish, type NetworkDescription, type SrDescription } from '../world.ts'

const mebibyte = 1024 ** 2

/** A pool without any connection to it, on a clock that stands still, with a client that is logged in. */
export class TestPool {
  readonly clock = new ManualClock()
  readonly pool: Pool
  readonly members: readonly Member[]
  readonly control: PoolControl
  session = ''

  constructor({
    members = 1,
    srs = [{ name: 'storage' }],
    networks = [{ name: 'network' }],
    memory = 64 * 1024 * mebibyte,
  }: {
    members?: number
    srs?: readonly SrDescription[]
    networks?: readonly NetworkDescription[]
    memory?: number
  } = {}) {
    this.pool = new Pool({ user: 'root', password: 'secret', clock: this.clock, sessionTimeout: 24 * 60 * 60 * 1000 })
    const addresses = Array.from({ length: members }, (_, index) => `192.0.2.${index + 1}`)
    this.members = furnish(this.pool, 'pool', addresses, { srs, networks, host: { memory } })
    this.control = new PoolControl(this.pool, [])
  }

  static async open(options: ConstructorParameters<typeof TestPool>[0] = {}): Promise<TestPool> {
    const pool = new TestPool(options)
    pool.session = await pool.logIn()
    return pool
  }

  async logIn(member = 0): Promise<string> {
    return String(await this.send('session.login_with_password', ['root', 'secret'], member))
  }

  /** Sends a message as it is. */
  async send(method: string, parameters: readonly unknown[], member = 0): Promise<Value> {
    const asked = this.members[member]
    if (asked === undefined) throw new RangeError(`There is no member ${member}.`)
    return (await dispatch(this.pool, asked, method, parameters)).value
  }

  /** Sends a message with the session; a result that is text is a reference most of the time. */
  async call<T = string>(method: string, ...parameters: unknown[]): Promise<T> {
    return (await this.send(method, [this.session, ...parameters])) as T
  }

  get sr(): string {
    return first(this.pool.database.all('SR'))
  }

  get network(): string {
    return first(this.pool.database.all('network'))
  }

  makeVdi(size = mebibyte, sr = this.sr): Promise<string> {
    return this.call('VDI.create', {
      SR: sr,
      virtual_size: size,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
    })
  }

  makeVm(changes: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return this.call('VM.create', vmRecord(changes))
  }

  /** A machine with a disk and a network interface. */
  async makeWholeVm(changes: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const vm = await this.makeVm(changes)
    await this.makeVbd(vm, await this.makeVdi())
    await this.call('VIF.create', {
      VM: vm,
      network: this.network,
      device: '0',
      MAC: '',
      MTU: 1500,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
    })
    return vm
  }

  makeVbd(vm: string, vdi: string, changes: Readonly<Record<string, unknown>> = {}): Promise<string> {
    return this.call('VBD.create', {
      VM: vm,
      VDI: vdi,
      userdevice: 'autodetect',
      bootable: true,
      mode: 'RW',
      type: 'Disk',
      empty: false,
      other_config: {},
      qos_algorithm_type: '',
      qos_algorithm_params: {},
      ...changes,
    })
  }
}

function first(all: readonly (readonly [string, unknown])[]): string {
  return all[0]?.[0] ?? ''
}

/** All that VM.create wants to be told. */
export function vmRecord(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    name_label: 'machine',
    user_version: 1,
    is_a_template: false,
    affinity: 'OpaqueRef:NULL',
    memory_static_min: 0,
    memory_static_max: 512 * mebibyte,
    memory_dynamic_min: 512 * mebibyte,
    memory_dynamic_max: 512 * mebibyte,
    VCPUs_params: {},
    VCPUs_max: 2,
    VCPUs_at_startup: 1,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    actions_after_crash: 'restart',
    PV_bootloader: '',
    PV_kernel: '',
    PV_ramdisk: '',
    PV_args: '',
    PV_bootloader_args: '',
    PV_legacy_args: '',
    HVM_boot_policy: 'BIOS order',
    HVM_boot_params: { order: 'c' },
    platform: {},
    PCI_bus: '',
    other_config: {},
    recommendations: '',
    ...changes,
  }
}

/** The code and parameters of the error that something fails with; fails itself if nothing does. */
export async function failure(promise: Promise<unknown>): Promise<readonly string[]> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error && 'description' in error) return error.description as string[]
    throw error
  }
  throw new Error('It did not fail.')
}
