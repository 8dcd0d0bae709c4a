import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { type ErrorCode, isBerthError } from '../../errors/index.ts'
import {
  type ConnectTarget,
  type Driver,
  type ImageContent,
  type InterfaceSpec,
  type MachineSpec,
  type ObservedMachine,
  type Session,
  type Tag,
  volumeNames,
} from '../port.ts'

/** One host to test a driver against, and what is done to it behind the driver's back. */
export interface DriverWorld {
  readonly driver: Driver
  readonly target: ConnectTarget
  /** A target that nothing listens at. */
  readonly nowhere: ConnectTarget
  /** An active pool with room for a few images of a MiB. */
  readonly pool: string
  /** An active pool with room for less than 16 MiB. */
  readonly smallPool: string
  /** A directory on the host that is not there yet, for a pool. */
  readonly newDirectory: string
  readonly attachment: InterfaceSpec['attachment'] & { readonly libvirtNetwork: string }
  readonly architecture: string
  readonly accelerator: 'KVM' | 'QEMU'
  /** An image in qcow2, with the size that a guest sees. */
  readonly qcow2: { readonly content: Buffer; readonly virtualSize: number }
  /** Makes a machine that is not ours, off. */
  makeForeign(id: string, hostName: string): Promise<void>
  /** All that the host knows of its definition and state: equal when nobody touched it. */
  describeMachine(id: string): Promise<string>
  removeForeign(id: string): Promise<void>
  /** Removes the definition of a running machine, which makes it transient. */
  makeTransient(id: string): Promise<void>
  /** Takes a snapshot as administrators and backup tools do: the machine's disks are other files from then on. */
  snapshotDisks(id: string): Promise<void>
  readVolume(pool: string, volume: string): Promise<Buffer>
  /** Sets the volume's content, as a crash in the middle of writing it may leave it. */
  writeVolume(pool: string, volume: string, content: Buffer): Promise<void>
  /** Restarts what sessions are connected to. Machines go on running. */
  restartDaemon(): Promise<void>
  tearDown(): Promise<void>
}

export type DriverSetup = () => Promise<DriverWorld>

export const MiB = 2 ** 20

/** What the tests work with: a session, and a few steps that all need. */
export class Bench {
  #world: DriverWorld | undefined
  #session: Session | undefined

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

  /** A machine without disks: its firmware runs for ever, as it finds nothing to boot. */
  spec(changes: Partial<Omit<MachineSpec, 'tag'>> & { readonly tag?: Partial<Tag> } = {}): MachineSpec {
    const instanceID = changes.tag?.instanceID ?? randomUUID()
    const { architecture, accelerator, pool, attachment } = this.world
    return {
      hostName: `contract_${instanceID.slice(0, 13)}`,
      cpus: 1,
      memory: 32 * MiB,
      architecture,
      accelerator,
      disks: [],
      seed: {
        pool,
        volume: volumeNames.seed(instanceID),
        files: { 'meta-data': `instance-id: ${instanceID}\n`, 'user-data': '#cloud-config\n{}\n' },
      },
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

  /** Defines it for the time of `use`; afterwards machine and volumes are removed. */
  async withMachine(machine: MachineSpec, use: (instanceID: string) => Promise<void>): Promise<void> {
    try {
      await this.session.define(machine)
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

function macAddressOf(instanceID: string): string {
  const bytes = createHash('sha256').update(instanceID).digest().subarray(0, 3)
  return ['52', '54', '00', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}

/** Content that no other test has. */
export function randomContent(length = MiB): Buffer {
  return randomBytes(length)
}

export function imageContent(
  content: Buffer,
  changes: Partial<ImageContent> = {},
): ImageContent & { readonly digest: string } {
  return {
    digest: createHash('sha256').update(content).digest('hex'),
    length: content.length,
    format: 'raw',
    async *open() {
      for (let at = 0; at < content.length; at += 64 * 1024) yield content.subarray(at, at + 64 * 1024)
    },
    ...changes,
  }
}

export const ignoreProgress = (): void => undefined

/** Expects the call to be refused with one of the codes. */
export async function expectRefusal(call: Promise<unknown>, ...codes: readonly ErrorCode[]): Promise<void> {
  const outcome = await call.then(
    () => 'it was done',
    (error: unknown) => (isBerthError(error) ? error.code : error),
  )
  expect(codes).toContain(outcome)
}

/** Waits until the condition gives something; rejects with what it last threw, or a timeout. */
export async function eventually<T>(condition: () => Promise<T | undefined | false>, deadline = 15_000): Promise<T> {
  const end = performance.now() + deadline
  for (;;) {
    const found = await condition()
    if (found !== undefined && found !== false) return found as T
    if (performance.now() > end) throw new Error(`not within ${deadline} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
