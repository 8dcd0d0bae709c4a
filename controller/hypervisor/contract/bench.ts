import { createHash, randomUUID } from 'node:crypto'
import { type MachineSpec, type ObservedMachine, type Session, type Tag, volumeNames } from '../port.ts'
import type { AbilityName, Lacks } from './abilities.ts'
import type { Register } from './register.ts'
import type { DriverWorld } from './world.ts'

/** What the tests work with: a session, a few steps that all need, and what the host lacks. */
export class Bench {
  readonly lacks: Lacks
  readonly #register: Register
  #world: DriverWorld | undefined
  #session: Session | undefined

  constructor(lacks: Lacks, register: Register) {
    this.lacks = lacks
    this.#register = register
  }

  async open(world: DriverWorld): Promise<void> {
    this.#world = world
    this.#session = await world.driver.connect(world.target)
  }

  async close(): Promise<void> {
    await this.#session?.close()
  }

  get world(): DriverWorld {
    if (this.#world === undefined) throw new Error('the contract is not set up')
    return this.#world
  }

  get session(): Session {
    if (this.#session === undefined) throw new Error('the contract is not set up')
    return this.#session
  }

  has(ability: AbilityName): boolean {
    return this.lacks[ability] === undefined
  }

  group(name: string, describeTests: () => void): void {
    this.#register.group(name, describeTests)
  }

  /** A test of the contract, excluded on a host that lacks one of `needs`. */
  test(name: string, needs: readonly AbilityName[], body: () => Promise<void>): void {
    const lacking = needs.find((need) => !this.has(need))
    this.#register.test(name, lacking, body)
  }

  /** A machine without disks: its firmware runs for ever, as it finds nothing to boot. */
  spec(changes: Partial<Omit<MachineSpec, 'tag'>> & { readonly tag?: Partial<Tag> } = {}): MachineSpec {
    const instanceID = changes.tag?.instanceID ?? randomUUID()
    const { machine, pool, attachment } = this.world
    const files = { 'meta-data': `instance-id: ${instanceID}\n`, 'user-data': '#cloud-config\n{}\n' }
    return {
      ...machine,
      hostName: `contract_${instanceID.slice(0, 13)}`,
      cpus: 1,
      disks: [],
      seed: { pool, volume: volumeNames.seed(instanceID), ...(this.has('Uploads') ? { files } : {}) },
      interfaces: [{ name: 'main', macAddress: macAddressOf(instanceID), attachment }],
      ...changes,
      tag: {
        schema: 1,
        cluster: '0c1f6f4e-6a2c-4a44-9a5e-6c3f0c1d2e3f',
        namespace: 'contract',
        name: 'machine',
        uid: instanceID,
        instanceID,
        owner: 'User:alice',
        slot: 'host-1',
        ...changes.tag,
      },
    }
  }

  /** What `define` does; by the world, with the seed, what the host cannot do. */
  async define(machine: MachineSpec): Promise<void> {
    const { pool, volume } = machine.seed
    if (!this.has('Uploads')) await this.world.makeVolume(pool, volume)
    if (this.has('Definitions')) await this.session.define(machine)
    else await this.world.defineMachine?.(machine)
  }

  /** Defines it for the time of `use`; afterwards machine and volumes are removed. */
  async withMachine(machine: MachineSpec, use: (instanceID: string) => Promise<void>): Promise<void> {
    try {
      await this.define(machine)
      await use(machine.tag.instanceID)
    } finally {
      await this.remove(machine.tag.instanceID)
    }
  }

  async remove(instanceID: string): Promise<void> {
    await this.session.powerOff(instanceID)
    await this.session.undefine(instanceID)
    const { volumes } = await this.session.observe(instanceID)
    for (const { pool, name } of volumes) await this.session.deleteVolume(instanceID, pool, name)
  }

  async machine(instanceID: string): Promise<ObservedMachine> {
    const { machine, foreign } = await this.session.observe(instanceID)
    if (machine === undefined) throw new Error(`no machine of ours: ${foreign ?? 'absent'}`)
    return machine
  }
}

export function macAddressOf(instanceID: string): string {
  const bytes = createHash('sha256').update(instanceID).digest().subarray(0, 3)
  return ['52', '54', '00', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}
