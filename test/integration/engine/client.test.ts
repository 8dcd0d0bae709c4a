/** The client against a real API server: that its compare-and-swaps are ones there. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { BerthError } from '../../../controller/errors/index.ts'
import { type APIClient, type ReadObject, secrets } from '../../../controller/kube/index.ts'
import { useControlPlane } from '../../support/use-control-plane.ts'
import { configMap, configMaps, connect, type VirtualMachine, virtualMachine, virtualMachines } from './support.ts'

const plane = useControlPlane()
let client: APIClient
let close: () => Promise<void>
beforeAll(async () => {
  const made = await connect(plane.kubeconfig)
  client = made.client
  close = () => made.transport.close()
})
afterAll(() => close())

const create = (name: string) => client.create(virtualMachines, virtualMachine(plane.namespace, name))
const key = (name: string) => ({ namespace: plane.namespace, name })
const conflict = { code: 'Conflict' }

test('create, read, list, delete', async () => {
  const made = await client.create(configMaps, configMap(plane.namespace, 'one', 'x'))
  expect(made.metadata.uid).toBeTruthy()
  expect(await client.get(configMaps, key('one'))).toMatchObject({ data: { value: 'x' } })
  expect(await client.get(configMaps, key('none'))).toBeUndefined()
  await expect(client.create(configMaps, configMap(plane.namespace, 'one', 'y'))).rejects.toMatchObject(conflict)
  await client.create(secrets, { apiVersion: 'v1', kind: 'Secret', metadata: key('s'), data: { a: 'eA==' } })
  expect((await client.get(secrets, key('s')))?.data).toEqual({ a: 'eA==' })
  const { items } = await client.list(configMaps, { namespace: plane.namespace, fieldSelector: 'metadata.name=one' })
  expect(items).toMatchObject([{ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'one' } }])
  await client.delete(configMaps, key('one'), { uid: made.metadata.uid })
  await client.delete(configMaps, key('one'), { uid: made.metadata.uid })
  expect(await client.get(configMaps, key('one'))).toBeUndefined()
})

test('a listing of more than one page is complete', async () => {
  const names = Array.from({ length: 510 }, (_, n) => `many-${String(n).padStart(4, '0')}`)
  await Promise.all(names.map((name) => client.create(configMaps, configMap(plane.namespace, name, name))))
  const { items } = await client.list(configMaps, { namespace: plane.namespace })
  expect(items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('many-'))).toEqual(names)
})

describe('status is a compare-and-swap of the whole', () => {
  test('what was applied is there; what is applied no more is gone', async () => {
    const first = await client.applyStatus(virtualMachines, await create('whole'), { slot: 's1', hypervisor: 'h1' })
    expect(first.status).toEqual({ slot: 's1', hypervisor: 'h1' })
    const second = await client.applyStatus(virtualMachines, first, { hypervisor: 'h1' })
    expect(second.status).toEqual({ hypervisor: 'h1' })
    expect(second.spec).toMatchObject({ size: 'small' })
  })

  test('as of an older version: Conflict, and nothing is written', async () => {
    const read = await create('old')
    await client.applyStatus(virtualMachines, read, { slot: 's1' })
    await expect(client.applyStatus(virtualMachines, read, { slot: 's2' })).rejects.toMatchObject(conflict)
    expect((await client.get(virtualMachines, key('old')))?.status).toEqual({ slot: 's1' })
  })

  test('two at once: one of them', async () => {
    const read = await create('race')
    const results = await Promise.allSettled(
      ['s1', 's2', 's3', 's4'].map((slot) => client.applyStatus(virtualMachines, read, { slot })),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject(conflict)
  })

  test('another object under the same name: Conflict', async () => {
    const old = await create('reborn')
    await client.delete(virtualMachines, key('reborn'), { uid: old.metadata.uid })
    await expect(client.applyStatus(virtualMachines, old, { slot: 's1' })).rejects.toMatchObject(conflict)
    await create('reborn')
    await expect(client.applyStatus(virtualMachines, old, { slot: 's1' })).rejects.toMatchObject(conflict)
    expect((await client.get(virtualMachines, key('reborn')))?.status).toBeUndefined()
  })
})

describe('finalizers', () => {
  test('ours come and go, others stay, and hold the object', async () => {
    const made = await client.create(virtualMachines, {
      ...virtualMachine(plane.namespace, 'held'),
      metadata: { ...key('held'), finalizers: ['example.org/other'] },
    })
    const held = await client.setFinalizers(virtualMachines, made, ['berth.dev/cleanup'])
    expect(held.metadata.finalizers).toEqual(['example.org/other', 'berth.dev/cleanup'])
    await expect(client.setFinalizers(virtualMachines, made, [])).rejects.toMatchObject(conflict)
    await client.delete(virtualMachines, key('held'), { uid: made.metadata.uid })
    const deleting = (await client.get(virtualMachines, key('held'))) as ReadObject<VirtualMachine>
    expect(deleting.metadata.deletionTimestamp).toBeTruthy()
    const freed = await client.setFinalizers(virtualMachines, deleting, [])
    expect(freed.metadata.finalizers).toEqual(['example.org/other'])
    await plane.kubectlRun(
      ...['-n', plane.namespace, 'patch', 'virtualmachine', 'held', '--type=merge', '-p'],
      '{"metadata":{"finalizers":null}}',
    )
    expect(await client.get(virtualMachines, key('held'))).toBeUndefined()
    await expect(client.setFinalizers(virtualMachines, freed, [])).rejects.toMatchObject(conflict)
  })

  test('another object under the same name: Conflict', async () => {
    const old = await create('again')
    await client.delete(virtualMachines, key('again'), { uid: old.metadata.uid })
    await create('again')
    await expect(client.setFinalizers(virtualMachines, old, ['berth.dev/cleanup'])).rejects.toMatchObject(conflict)
    expect((await client.get(virtualMachines, key('again')))?.metadata.finalizers).toBeUndefined()
  })

  test('the last one off ends the object', async () => {
    const held = await client.setFinalizers(virtualMachines, await create('last'), ['berth.dev/cleanup'])
    await client.delete(virtualMachines, key('last'), { uid: held.metadata.uid })
    const deleting = (await client.get(virtualMachines, key('last'))) as ReadObject<VirtualMachine>
    await client.setFinalizers(virtualMachines, deleting, [])
    expect(await client.get(virtualMachines, key('last'))).toBeUndefined()
  })
})

test('delete by another uid or version: Conflict, and the object lives', async () => {
  const made = await create('kept')
  const other = { uid: '00000000-0000-0000-0000-000000000000' }
  await expect(client.delete(virtualMachines, key('kept'), other)).rejects.toMatchObject(conflict)
  const stale = { uid: made.metadata.uid, resourceVersion: '1' }
  await expect(client.delete(virtualMachines, key('kept'), stale)).rejects.toMatchObject(conflict)
  expect(await client.get(virtualMachines, key('kept'))).toBeDefined()
})

test('apply makes and changes, and takes fields from others', async () => {
  await client.apply(configMaps, configMap(plane.namespace, 'applied', 'one'))
  await plane.kubectlRun('-n', plane.namespace, 'patch', 'configmap', 'applied', '-p', '{"data":{"value":"theirs"}}')
  const applied = await client.apply(configMaps, configMap(plane.namespace, 'applied', 'two'))
  expect(applied.data).toEqual({ value: 'two' })
})

describe('refusals, in the words of the server', () => {
  test('no right: APIRefused, to be looked at again later', async () => {
    const { client: alice, transport } = await connect(await plane.user('alice-of-engine'))
    try {
      await expect(alice.get(secrets, key('s'))).rejects.toMatchObject({
        code: 'APIRefused',
        retryAfter: 60_000,
        message: expect.stringContaining('alice-of-engine'),
      })
    } finally {
      await transport.close()
    }
  })

  test('what the schema forbids: APIRefused, naming the field', async () => {
    const wrong = { ...virtualMachine(plane.namespace, 'wrong'), spec: { size: 7 } }
    await expect(client.create(virtualMachines, wrong)).rejects.toMatchObject({
      code: 'APIRefused',
      message: expect.stringContaining('spec.size'),
    })
  })

  test('a kind that is not served: APIRefused', async () => {
    const unknown = { ...virtualMachines, plural: 'nosuchthings' }
    await expect(client.list(unknown)).rejects.toMatchObject({ code: 'APIRefused' })
  })
})

test('a deposed leader writes nothing', async () => {
  const { client: deposed, transport } = await connect(plane.kubeconfig, {
    check() {
      throw new BerthError('NotLeader', 'lost')
    },
  })
  const write = deposed.create(configMaps, configMap(plane.namespace, 'never', 'x'))
  await expect(write).rejects.toMatchObject({ code: 'NotLeader' })
  expect(await deposed.get(configMaps, key('never'))).toBeUndefined()
  await transport.close()
})
