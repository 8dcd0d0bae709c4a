/** Two candidates for one real Lease, and Events as kubectl shows them. */
import { hostname } from 'node:os'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import {
  type APIClient,
  APIEventRecorder,
  LeaderElector,
  leases,
  type ReadObject,
  type Transport,
} from '../../../controller/kube/index.ts'
import { systemClock } from '../../../controller/runtime/index.ts'
import { useControlPlane } from '../../support/use-control-plane.ts'
import { connect, eventually, quiet } from './support.ts'

const plane = useControlPlane()
let client: APIClient
let transport: Transport
beforeAll(async () => {
  ;({ client, transport } = await connect(plane.kubeconfig))
})
afterAll(() => transport.close())

const candidate = (identity: string, name: string, over: APIClient = client) =>
  new LeaderElector({
    client: over,
    clock: systemClock,
    log: quiet,
    namespace: plane.namespace,
    name,
    identity,
    leaseDuration: 5_000,
    renewDeadline: 3_000,
    retryPeriod: 200,
  })
const holder = async (name: string) =>
  (await client.get(leases, { namespace: plane.namespace, name }))?.spec?.holderIdentity

test('one leads; released, the other follows at once', async () => {
  const [a, b] = [candidate('a', 'handover'), candidate('b', 'handover')]
  const forever = new AbortController().signal
  expect(await a.acquire(forever)).toBe(true)
  let elected = false
  const waiting = b.acquire(forever).then(() => {
    elected = true
  })
  // Longer than the lease lasts: it is renewed.
  const renewals = new Set<string | undefined>()
  await eventually(async () => {
    renewals.add((await client.get(leases, { namespace: plane.namespace, name: 'handover' }))?.spec?.renewTime)
    return renewals.size > 25
  })
  a.guard.check()
  expect(elected).toBe(false)
  expect(() => b.guard.check()).toThrow(/does not hold the lease/)
  const started = performance.now()
  await a.release()
  await waiting
  expect(performance.now() - started).toBeLessThan(4_000)
  b.guard.check()
  expect(() => a.guard.check()).toThrow(/does not hold the lease/)
  expect(await holder('handover')).toBe('b')
  await b.release()
  expect(await holder('handover')).toBeUndefined()
})

test('the leader is cut off: it may not write when the other takes over', async () => {
  const { client: own, transport: line } = await connect(plane.kubeconfig)
  const a = candidate('a', 'cut', own)
  const b = candidate('b', 'cut')
  const forever = new AbortController().signal
  await a.acquire(forever)
  const waiting = b.acquire(forever)
  await line.close()
  await waiting
  expect(() => a.guard.check()).toThrow(/does not hold the lease/)
  expect(a.lost.reason).toMatchObject({ code: 'NotLeader' })
  expect((await client.get(leases, { namespace: plane.namespace, name: 'cut' }))?.spec).toMatchObject({
    holderIdentity: 'b',
    leaseTransitions: 1,
  })
  await b.release()
})

test('someone writes the lease over: it is given up', async () => {
  const a = candidate('a', 'stolen')
  await a.acquire(new AbortController().signal)
  await plane.kubectlRun(
    ...['-n', plane.namespace, 'patch', 'lease', 'stolen', '--type=merge', '-p'],
    '{"spec":{"holderIdentity":"thief"}}',
  )
  await eventually(() => a.lost.aborted)
  expect(() => a.guard.check()).toThrow(/does not hold the lease/)
})

test('events are shown by kubectl, repeats as a count', async () => {
  const recorder = new APIEventRecorder({
    client,
    clock: systemClock,
    log: quiet,
    instance: hostname(),
    seriesInterval: 100,
  })
  const regarding = {
    apiVersion: 'berth.dev/v1alpha1',
    kind: 'VirtualMachine',
    namespace: plane.namespace,
    name: 'web',
    uid: '6d9f3c1e-0000-4000-8000-000000000001',
  }
  const related = { apiVersion: 'berth.dev/v1alpha1', kind: 'Slot', name: 'rack1-1' }
  const event = { regarding, related, type: 'Warning', reason: 'StorageFull', action: 'Create' } as const
  for (let n = 0; n < 5; n++) recorder.record({ ...event, note: 'The storage pool has no room.', actor: 'alice' })
  recorder.record({ regarding: { ...related }, type: 'Normal', reason: 'Claimed', action: 'Claim', note: 'For web.' })
  await recorder.flush(10_000)
  const shown = await plane.kubectlRun('-n', plane.namespace, 'events', '--for', 'virtualmachine.berth.dev/web')
  expect(shown).toMatch(/\(x5 over .*Warning +StorageFull +VirtualMachine\/web +The storage pool has no room\./)
  const [stored] = JSON.parse(
    await plane.kubectlRun('-n', plane.namespace, 'get', 'events.events.k8s.io', '-o', 'json'),
  ).items as ReadObject<never>[]
  expect(stored).toMatchObject({
    action: 'Create',
    reportingController: 'berth.dev/controller',
    metadata: { annotations: { 'berth.dev/actor': 'alice' } },
    related,
    series: { count: 5 },
  })
  expect(await plane.kubectlRun('-n', 'default', 'get', 'events')).toContain('slot/rack1-1')
})
