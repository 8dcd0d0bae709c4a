import { describe, expect, test } from '@jest/globals'
import { type Connection, type DomainInterface, InterfaceAddressesSource, LibvirtTimeoutError } from 'node-libvirt'
import { AgentInterfaces } from './agent.ts'
import type { Connections, Purpose } from './connections.ts'
import { formatDomain } from './domain-xml.ts'
import type { Host } from './host.ts'
import { LibvirtSession } from './session.ts'

const answer: readonly DomainInterface[] = [
  { name: 'eth0', hardwareAddress: '52:54:00:00:00:01', addresses: [{ type: 0, address: '192.0.2.1', prefix: 24 }] },
]

/** Guests that answer when they are told to; each question is kept with the id of its guest. */
class Guests {
  readonly questions: { readonly id: string; readonly outcome: PromiseWithResolvers<readonly DomainInterface[]> }[] = []
  /** By guest, how long libvirt is to wait for it; s. */
  readonly patience = new Map<string, number>()
  readonly connect = async (): Promise<Connection> =>
    ({
      lookupDomainByUUID: async (id: string) => ({
        setAgentResponseTimeout: async (seconds: number) => void this.patience.set(id, seconds),
        interfaceAddresses: (_source: number) => {
          const outcome = Promise.withResolvers<readonly DomainInterface[]>()
          this.questions.push({ id, outcome })
          return outcome.promise
        },
      }),
    }) as unknown as Connection

  get ids(): string[] {
    return this.questions.map(({ id }) => id)
  }
}

/** All that can go on without the guests has gone on. */
const settled = () => new Promise((resolve) => setImmediate(resolve))
const timeout = () => new LibvirtTimeoutError('too late', { effectUnknown: true, procedure: undefined })

describe("guests' agents", () => {
  test('two at a time, so that guests that do not answer hold up no more than that', async () => {
    const guests = new Guests()
    const agents = new AgentInterfaces()
    const all = ['a', 'b', 'c'].map((id) => agents.read(id, guests.connect))
    await settled()
    expect(guests.ids).toEqual(['a', 'b'])
    guests.questions[0]?.outcome.resolve([])
    await settled()
    expect(guests.ids).toEqual(['a', 'b', 'c'])
    for (const { outcome } of guests.questions) outcome.resolve(answer)
    expect(await Promise.all(all)).toEqual([[], answer, answer])
  })

  test('libvirt is told to give up before we do: while it waits, it holds the domain', async () => {
    const guests = new Guests()
    void new AgentInterfaces().read('a', guests.connect)
    await settled()
    expect(guests.patience.get('a')).toBeLessThan(5)
    expect(guests.patience.get('a')).toBeGreaterThan(0)
  })

  test('one question to a guest at a time, whose answer all get who wait for it', async () => {
    const guests = new Guests()
    const agents = new AgentInterfaces()
    const both = [agents.read('a', guests.connect), agents.read('a', guests.connect)]
    await settled()
    expect(guests.ids).toEqual(['a'])
    guests.questions[0]?.outcome.resolve(answer)
    expect(await Promise.all(both)).toEqual([answer, answer])
    void agents.read('a', guests.connect)
    await settled()
    expect(guests.ids).toEqual(['a', 'a'])
    guests.questions[1]?.outcome.resolve(answer)
  })

  test('a guest that did not answer is left alone for a minute, others are not', async () => {
    const guests = new Guests()
    let now = 0
    const agents = new AgentInterfaces(() => now)
    const first = agents.read('a', guests.connect)
    await settled()
    guests.questions[0]?.outcome.reject(timeout())
    expect(await first).toEqual([])
    now = 59_999
    expect(await agents.read('a', guests.connect)).toEqual([])
    expect(guests.ids).toEqual(['a'])
    const other = agents.read('b', guests.connect)
    now = 60_001
    const again = agents.read('a', guests.connect)
    await settled()
    expect(guests.ids).toEqual(['a', 'b', 'a'])
    for (const { outcome } of guests.questions) outcome.resolve(answer)
    expect(await Promise.all([other, again])).toEqual([answer, answer])
  })

  test('a connection that is lost is an error, not a guest without addresses, and gives its turn back', async () => {
    const agents = new AgentInterfaces()
    const lost = async (): Promise<Connection> => {
      throw new Error('lost')
    }
    for (const id of ['a', 'b', 'c', 'a']) await expect(agents.read(id, lost)).rejects.toThrow('lost')
  })
})

test('a guest that does not answer stands before no effect: agents are asked on a connection of their own', async () => {
  const id = '4d1b2c4e-0000-4000-8000-00000000000a'
  const tag = {
    schema: 1,
    cluster: 'c',
    namespace: 'n',
    name: 'm',
    uid: id,
    instanceID: id,
    owner: '',
    slot: 's',
  } as const
  const xml = formatDomain({
    id,
    name: 'n_m',
    tag,
    cpus: 1,
    memory: 2 ** 25,
    architecture: 'x86_64',
    machineType: 'pc',
    virtualisation: 'QEMU',
    mode: 'HVM',
    disks: [],
    seed: { pool: 'p', volume: 'v', path: '/v' },
    interfaces: [{ name: 'main', macAddress: '52:54:00:00:00:01', attachment: { bridge: 'br0' } }],
  })
  const asked = new Map<number, Purpose>()
  const connection = (purpose: Purpose) => ({
    closed: new Promise(() => undefined),
    lookupDomainByUUID: async () => ({
      uuid: id,
      isActive: async () => true,
      getXML: async () => xml,
      setAgentResponseTimeout: async () => undefined,
      interfaceAddresses: async (source: number) => {
        asked.set(source, purpose)
        return source === InterfaceAddressesSource.AGENT ? answer : []
      },
    }),
  })
  const main = connection('main')
  const connections = { main, for: async (purpose: Purpose) => (purpose === 'main' ? main : connection(purpose)) }
  const session = new LibvirtSession(connections as unknown as Connections, {} as Host)
  expect(await session.interfaces(id)).toEqual([
    { macAddress: '52:54:00:00:00:01', addresses: [{ address: '192.0.2.1', prefix: 24, source: 'Agent' }] },
  ])
  expect(Object.fromEntries(asked)).toEqual({
    [InterfaceAddressesSource.AGENT]: 'agent',
    [InterfaceAddressesSource.LEASE]: 'main',
    [InterfaceAddressesSource.ARP]: 'main',
  })
})
