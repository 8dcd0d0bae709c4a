import { BerthError } from '../../errors/index.ts'
import type { CallOptions, ConnectTarget, Driver, Session } from '../../hypervisor/port.ts'
import type { FakeHypervisor } from './host.ts'
import { FakeSession } from './session.ts'
import { Waiting } from './waiting.ts'

/** Hosts by the address under which they are connected to: the URI, or one of the members. May change at any time. */
export type FakeHosts = ReadonlyMap<string, FakeHypervisor>

/** The port over hosts in memory. An address without a host is one where nothing listens. */
export function fakeDriver(hosts: FakeHosts): Driver {
  return {
    name: 'fake',
    async connect(target: ConnectTarget, options: CallOptions = {}): Promise<Session> {
      const host = addressesOf(target)
        .map((address) => hosts.get(address))
        .find((found) => found !== undefined)
      if (host === undefined) throw new BerthError('HypervisorUnreachable', 'Nothing listens at that address.')
      const { callTimeout } = target
      const waiting = new Waiting({ method: 'refresh' }, { clock: host.clock, callTimeout, signal: options.signal })
      await waiting.for(host.traffic.responsive())
      if (host.refusal !== undefined) throw new BerthError(host.refusal, 'The hypervisor lets nobody in.')
      return new FakeSession(host, callTimeout)
    },
  }
}

const addressesOf = (target: ConnectTarget): readonly string[] => ('uri' in target ? [target.uri] : target.members)
