import { beforeEach, describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import { BerthError } from '../../errors/index.ts'
import { HostRegistry } from '../../hypervisor/hosts.ts'
import type { ConnectTarget } from '../../hypervisor/port.ts'
import { FakeHost } from '../../hypervisor/testing/fake-session.ts'
import { Connections } from './connections.ts'

type FakeConnection = ReturnType<FakeHost['connect']>
const target: ConnectTarget = { uri: 'qemu+tcp://kvm1/system', callTimeout: 30_000 }
const { signal } = new AbortController()

let host: FakeHost
let registry: HostRegistry
let opened: FakeConnection[]
let refusal: Error | undefined
let told: string[]
let connections: Connections

beforeEach(() => {
  host = new FakeHost()
  registry = new HostRegistry()
  opened = []
  refusal = undefined
  told = []
  const connect = async () => {
    if (refusal) throw refusal
    const session = host.connect()
    opened.push(session)
    return session
  }
  const listener = {
    machine: (name: string, { id }: { id: string }) => void told.push(`${name} machine ${id}`),
    gap: (name: string) => void told.push(`${name} gap`),
    inventory: (name: string) => void told.push(`${name} inventory`),
  }
  connections = new Connections(connect, registry, listener, pino({ level: 'silent' }))
})

const ensure = (changes: Partial<ConnectTarget> = {}, expectedID?: string) =>
  connections.ensure('kvm1', { ...target, ...changes }, 4, expectedID, signal)
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('one session a hypervisor', () => {
  it('is kept as long as nothing about it changes', async () => {
    expect(await ensure()).toBe(await ensure())
    expect(opened).toHaveLength(1)
    expect(registry.get('kvm1')).toMatchObject({ connected: true, callTimeout: 30_000 })
  })

  it.each([
    ['address', { uri: 'qemu+tcp://kvm2/system' }],
    ['credentials', { credentials: { password: 'other' } }],
    ['deadline', { callTimeout: 5_000 }],
  ])('is replaced when its %s is another', async (_, changes) => {
    await ensure()
    await ensure(changes)
    expect(opened.map(({ ended }) => ended)).toEqual([true, false])
    expect(registry.get('kvm1')).toMatchObject({ connected: true, session: opened[1] })
  })

  it('is made again after it was lost; until then nothing is done there', async () => {
    await ensure()
    const changes: string[] = []
    registry.onChange((name) => changes.push(name))
    opened[0]?.lose()
    await turn()
    expect(registry.get('kvm1')).toMatchObject({ connected: false, code: 'HypervisorUnreachable' })
    expect(changes).toEqual(['kvm1'])
    await ensure()
    expect(opened).toHaveLength(2)
    expect(registry.get('kvm1').connected).toBe(true)
  })

  it('an old one that ends late takes nothing from the new one', async () => {
    await ensure()
    await ensure({ callTimeout: 5_000 })
    opened[0]?.lose()
    await turn()
    expect(registry.get('kvm1').connected).toBe(true)
  })

  it('is closed when the hypervisor is forgotten', async () => {
    await ensure()
    await connections.forget('kvm1')
    expect(opened[0]?.ended).toBe(true)
    expect(registry.names()).toEqual([])
  })
})

it('whose events end while it lives is replaced: it would be deaf', async () => {
  const { connect } = host
  host.connect = () => {
    const session = connect.call(host)
    session.events = async function* () {}
    return session
  }
  await ensure()
  await turn()
  expect(opened[0]?.ended).toBe(true)
  expect(registry.get('kvm1').connected).toBe(false)
})

describe('what answers', () => {
  it('must be the host that was known: at another nothing is done, and it is let go of', async () => {
    await expect(ensure({}, 'another-id')).rejects.toMatchObject({ code: 'DifferentHost' })
    expect(opened[0]?.ended).toBe(true)
    expect(registry.get('kvm1')).toMatchObject({ connected: false, code: 'DifferentHost' })
    expect(host.calls).toEqual([])
  })

  it('says why it does not let us in', async () => {
    refusal = new BerthError('CredentialsInvalid', 'authentication failed')
    await expect(ensure()).rejects.toMatchObject({ code: 'CredentialsInvalid' })
    expect(registry.get('kvm1')).toMatchObject({ connected: false, code: 'CredentialsInvalid' })
  })
})

it('hands on what the host tells, and asks for a new look where something was lost', async () => {
  await ensure()
  opened[0]?.tell({ type: 'Machine', id: 'u-1', detail: 'Stopped' })
  opened[0]?.tell({ type: 'Gap', reason: 'too many' })
  await turn()
  expect(told).toEqual(['kvm1 machine u-1', 'kvm1 gap'])
})
