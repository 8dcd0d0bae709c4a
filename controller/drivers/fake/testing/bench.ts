/** A fake host on a virtual clock, with what the tests of the fake do over and over. */
import { randomUUID } from 'node:crypto'
import { isBerthError } from '../../../errors/index.ts'
import { type MachineSpec, type Session, type Tag, volumeNames } from '../../../hypervisor/port.ts'
import { VirtualClock } from '../../../runtime/clock.ts'
import { FakeHypervisor, type FakeHypervisorOptions, fakeDriver } from '../index.ts'

export const callTimeout = 30_000
const uri = 'fake://host'

export class FakeBench {
  readonly clock = new VirtualClock()
  readonly host: FakeHypervisor

  constructor(options: Partial<FakeHypervisorOptions> = {}) {
    this.host = new FakeHypervisor({ clock: this.clock, ...options })
  }

  connect(): Promise<Session> {
    return fakeDriver(new Map([[uri, this.host]])).connect({ uri, callTimeout })
  }

  /** A machine that is defined. */
  async machine(session: Session, tag: Partial<Tag> = {}): Promise<string> {
    const machine = spec(tag)
    await session.define(machine)
    return machine.tag.instanceID
  }
}

export function spec(tag: Partial<Tag> = {}, changes: Partial<MachineSpec> = {}): MachineSpec {
  const instanceID = tag.instanceID ?? randomUUID()
  return {
    tag: {
      schema: 1,
      cluster: 'c',
      namespace: 'team',
      name: 'web',
      uid: instanceID,
      owner: '',
      slot: 's1',
      ...tag,
      instanceID,
    },
    hostName: `team_${instanceID}`,
    cpus: 1,
    memory: 2 ** 30,
    architecture: 'x86_64',
    disks: [],
    seed: { pool: 'default', volume: volumeNames.seed(instanceID), files: { 'meta-data': 'x' } },
    interfaces: [{ name: 'main', macAddress: '52:54:00:01:02:03', attachment: { libvirtNetwork: 'default' } }],
    ...changes,
  }
}

/** How a call ended, or that it did not yet. */
export class Outcome {
  state: string = 'Waiting'

  constructor(call: Promise<unknown>) {
    call.then(
      () => {
        this.state = 'Done'
      },
      (error: unknown) => {
        this.state = isBerthError(error) ? error.code : String(error)
      },
    )
  }
}
