/**
 * A lying and failing way to libvirtd (design, invariants 3, 6, 7; claim protocol, docs/decisions/0005): answers that come
 * late or never, transfers that break, calls that arrive when nobody waits for them any more.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { Hypervisor, StoragePool } from '../../../controller/api/index.ts'
import { until } from '../../../hack/lab/wait.ts'
import { inventory, namespace, patience } from '../../e2e/lab.ts'
import type { LibvirtProxy, SeenMessage } from '../../support/libvirt-proxy.ts'
import { hostProxy, type Proxied, ProxiedLab } from './lab.ts'

let lab: ProxiedLab
let controller: Proxied

const proxy = (index = 0): LibvirtProxy => hostProxy(controller, index)
const isCall =
  (procedure: string) =>
  ({ from, type, ...message }: SeenMessage) =>
    from === 'client' && type === 'call' && message.procedure === procedure
const isReply =
  (procedure: string) =>
  ({ from, type, ...message }: SeenMessage) =>
    from === 'server' && type === 'reply' && message.procedure === procedure

/** Holds back the first such message; answers it once it is there. */
function holdFirst(meant: (message: SeenMessage) => boolean) {
  const before = proxy().held.length
  let caught = false
  proxy().treat = (message) => {
    if (caught || !meant(message)) return 'pass'
    caught = true
    return 'hold'
  }
  return () =>
    until(
      'the message was held back',
      () => {
        const message = proxy().held[before]
        return message
      },
      patience,
    )
}

const calls = (procedure: string, since: number) =>
  proxy()
    .changes.slice(since)
    .filter((name) => name === procedure).length

const phases = async () =>
  Object.fromEntries((await lab.slots()).map(({ metadata, status }) => [metadata.name, status]))

beforeAll(async () => {
  lab = await ProxiedLab.start({ hypervisors: 2 })
  controller = await lab.startController('a')
  // Only the first takes machines, unless a test says so.
  await schedule('kvm2', 'Cordoned')
  await lab.lab.condition('clusterimages', 'blank', 'Ready', 'True')
  await lab.lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
})
afterAll(() => lab?.stop())
afterEach(() => {
  for (const host of controller.hosts) host.heal()
})

const schedule = (hypervisor: string, scheduling: string) =>
  lab.lab.kubectl('patch', 'bhv', hypervisor, '--type=merge', '-p', JSON.stringify({ spec: { scheduling } }))

const domains = async (index = 0) => (await inventory(lab.host(index))).domains
const domainState = async (name: string) => (await lab.host().virsh(['domstate', `${namespace}_${name}`])).stdout.trim()

describe('an image on its way', () => {
  test.each([1, 50, 99])('cut off at %d %%: it is placed whole afterwards, once', async (percent) => {
    let cuts = 0
    const size = 4 * 2 ** 20
    proxy().treat = ({ from, type, procedure, streamed }) => {
      const upload = from === 'client' && type === 'stream' && procedure === 'storage_vol_upload'
      return upload && streamed >= (size * percent) / 100 && cuts++ === 0 ? 'cut' : 'pass'
    }
    await lab.machine(`cut-${percent}`)
    const vm = await lab.expectOne(`cut-${percent}`)
    expect(cuts).toBeGreaterThan(0)
    const digest = vm.status?.image?.digest ?? ''
    const file = `${lab.host().poolPath}/berth-img-${digest}`
    expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(digest)
    await lab.remove(`cut-${percent}`)
    // The next case places it anew.
    await lab.lab.remove('clusterimages', 'blank')
    await until('the image is gone', async () => (await inventory(lab.host())).volumes.length === 0, patience)
    await lab.image('blank')
    await lab.lab.condition('clusterimages', 'blank', 'Ready', 'True')
  })
})

test.each(['storage_vol_create_xml', 'domain_define_xml_flags', 'domain_create_with_flags'])(
  'the answer to %s comes too late: what it did is seen, and not done again',
  async (procedure) => {
    const name = `late-${procedure.split('_').slice(0, 2).join('-')}`
    await lab.machine('warm')
    await lab.expectOne('warm')
    await lab.remove('warm')
    const since = proxy().changes.length
    const held = holdFirst(isReply(procedure))
    await lab.machine(name)
    const answer = await held()
    await lab.expectOne(name)
    answer.release()
    expect(calls('domain_create_with_flags', since)).toBe(1)
    await lab.remove(name)
  },
)

describe('a call that arrives when nobody waits for it any more', () => {
  test('a start, after the machine was stopped and its slot given to another: the host refuses it', async () => {
    const held = holdFirst(isCall('domain_create_with_flags'))
    await lab.machine('stopped')
    const start = await held()
    await lab.patch('stopped', { powerState: 'Stopped' })
    await lab.lab.condition('virtualmachines', 'stopped', 'Ready', 'True', 'Stopped')
    await lab.machine('next')
    await lab.expectOne('next')
    start.release()
    await until('the host answered the late start', async () => (await domainState('stopped')) === 'shut off')
    expect(await domainState('next')).toBe('running')
    const slot = Object.values(await phases()).find((status) => status?.phase === 'Bound')
    expect(slot?.consumerRef?.name).toBe('next')
    // Nothing of it was under way: it starts once there is room.
    await lab.remove('next')
    await lab.patch('stopped', { powerState: 'Running' })
    await lab.expectOne('stopped')
    await lab.remove('stopped')
  })

  test('a start, after the machine was deleted: there is nothing to start', async () => {
    const held = holdFirst(isCall('domain_create_with_flags'))
    await lab.machine('deleted')
    const start = await held()
    await lab.remove('deleted')
    await lab.machine('heir')
    await lab.expectOne('heir')
    start.release()
    await lab.expectOne('heir')
    expect(await domains()).toEqual([`${namespace}_heir`])
    await lab.remove('heir')
  })

  test('a definition, after the slot was given back: it is closed again, and never runs beside the next', async () => {
    const held = holdFirst(isCall('domain_define_xml_flags'))
    await lab.machine('defined')
    const define = await held()
    await lab.patch('defined', { powerState: 'Stopped' })
    await lab.lab.condition('virtualmachines', 'defined', 'Ready', 'True', 'Stopped')
    await lab.machine('other')
    await lab.expectOne('other')
    // The controller defines it itself meanwhile only under a new claim; this is the old call.
    const parkedBefore = await domains()
    expect(parkedBefore).toEqual([`${namespace}_other`])
    define.release()
    await until(
      'what was defined late is parked',
      async () =>
        (await lab.host().virsh(['dumpxml', '--inactive', `${namespace}_defined`])).stdout.includes('berth-parked'),
      patience,
    )
    expect((await lab.host().virsh(['start', `${namespace}_defined`])).code).not.toBe(0)
    expect(await domainState('other')).toBe('running')
    await lab.remove('other')
    await lab.remove('defined')
    expect(await domains()).toEqual([])
  })

  test('an undefine, after a new machine was made under the same name: the new one is another to the host', async () => {
    await lab.machine('renewed')
    const old = await lab.expectOne('renewed')
    const held = holdFirst(isCall('domain_undefine_flags'))
    await lab.lab.kubectl('delete', 'bvm', 'renewed', '-n', namespace, '--wait=false')
    const undefine = await held()
    await lab.expectNone('renewed')
    await lab.machine('renewed')
    const renewed = await lab.expectOne('renewed')
    expect(renewed.metadata.uid).not.toBe(old.metadata.uid)
    undefine.release()
    await lab.lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
    expect(await domainState('renewed')).toBe('running')
    expect((await lab.host().virsh(['dominfo', `${namespace}_renewed`])).stdout).toMatch(/Persistent: +yes/)
    await lab.remove('renewed')
  })

  test('kill -9 between claim and record: one machine, one slot', async () => {
    let killed: Promise<void> | undefined
    controller.api.fault = ({ method, path, body }) => {
      const record = method === 'PATCH' && path.includes('/virtualmachines/killed/status') && body.includes('"slot":')
      if (!record || killed) return undefined
      killed = lab.restart(controller, 'a')
      return { do: 'hang' }
    }
    await lab.machine('killed')
    await until('the record was on its way', () => killed !== undefined, patience)
    await killed
    controller.api.heal()
    await lab.expectOne('killed')
    await lab.remove('killed')
  })
})

describe('a host that does not answer', () => {
  const reachable = async (name: string) => {
    const { status } = (await lab.lab.get<Hypervisor>('hypervisors', name)) ?? {}
    return status?.conditions?.find(({ type }) => type === 'Reachable')
  }

  test('one of two hangs: it is marked within 30 s, the other one takes machines meanwhile; afterwards all is well', async () => {
    await lab.machine('held')
    const before = await lab.expectOne('held')
    await schedule('kvm2', 'Open')
    await lab.lab.condition<StoragePool>('storagepools', 'kvm2-disks', 'Ready', 'True')
    proxy().fallSilent()
    await until('kvm1 is marked', async () => (await reachable('kvm1'))?.status === 'False', { timeout: 30_000 })
    await lab.machine('elsewhere')
    const elsewhere = await lab.expectOne('elsewhere', 1)
    expect(elsewhere.status?.hypervisor).toBe('kvm2')
    await lab.lab.condition('virtualmachines', 'held', 'Ready', 'Unknown', 'HypervisorUnreachable')
    proxy().heal()
    await lab.lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
    expect((await lab.expectOne('held')).status?.startTime).toBe(before.status?.startTime)
    await lab.remove('elsewhere')
    await lab.remove('held')
  })

  test('it refuses connections for a while: nothing is concluded from it', async () => {
    await lab.machine('kept')
    const before = await lab.expectOne('kept')
    const changes = proxy().changes.length
    proxy().refuse()
    await lab.lab.condition('hypervisors', 'kvm1', 'Reachable', 'False')
    await proxy().accept()
    await lab.lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
    expect((await lab.expectOne('kept')).status?.startTime).toBe(before.status?.startTime)
    expect(proxy().changes.slice(changes)).toEqual([])
    await lab.remove('kept')
  })
})
