/** Informers against a real API server that is restarted under them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { NotingClient, OverlayCache } from '../../../controller/kube/index.ts'
import { type ControlPlane, startControlPlane } from '../../../hack/control-plane/index.ts'
import { useControlPlane } from '../../support/use-control-plane.ts'
import { configMap, configMaps, connect, eventually, watch } from './support.ts'

describe('the shared API server', () => {
  const plane = useControlPlane()

  test('what others do is seen, in order, and deleted-and-made-again is two objects', async () => {
    const { client, transport } = await connect(plane.kubeconfig)
    const watching = watch(transport, configMaps, plane.namespace)
    await watching.informer.ready
    const made = await client.create(configMaps, configMap(plane.namespace, 'seen', 'one'))
    await client.apply(configMaps, configMap(plane.namespace, 'seen', 'two'))
    await client.delete(configMaps, { namespace: plane.namespace, name: 'seen' }, { uid: made.metadata.uid })
    await client.create(configMaps, configMap(plane.namespace, 'seen', 'three'))
    const ours = () => watching.told.filter((line) => line.endsWith(' seen'))
    await eventually(() => ours().length === 4)
    expect(ours()).toEqual(['Added seen', 'Modified seen', 'Deleted seen', 'Added seen'])
    expect(watching.informer.get(`${plane.namespace}/seen`)?.data).toEqual({ value: 'three' })
    await watching.stop()
    await transport.close()
  })
})

describe('what the shared API server promises', () => {
  const plane = useControlPlane()

  test('the first state comes by the watch itself, complete, without a listing', async () => {
    const { client, transport } = await connect(plane.kubeconfig)
    const sent: string[] = []
    const observed = await connect(plane.kubeconfig, undefined, ({ method, code }) => sent.push(`${method} ${code}`))
    const names = Array.from({ length: 30 }, (_, n) => `state-${n}`)
    for (const name of names) await client.create(configMaps, configMap(plane.namespace, name, 'x'))
    const watching = watch(observed.transport, configMaps, plane.namespace)
    await watching.informer.ready
    expect(watching.informer.list().map(({ metadata }) => metadata.name)).toEqual(expect.arrayContaining(names))
    expect(sent).toEqual(['GET 200'])
    await watching.stop()
    await Promise.all([transport.close(), observed.transport.close()])
  })

  test('what our last finalizer held is gone for us at once; its successor of the same name is not hidden', async () => {
    const { client, transport } = await connect(plane.kubeconfig)
    const watching = watch(transport, configMaps, plane.namespace)
    await watching.informer.ready
    const cache = new OverlayCache(watching.informer)
    const noting = new NotingClient(client, { ConfigMap: cache })
    const key = `${plane.namespace}/held`
    const made = await noting.create(configMaps, configMap(plane.namespace, 'held', 'first'))
    const held = await noting.setFinalizers(configMaps, made, ['berth.dev/test'])
    expect(cache.get(key)?.metadata.finalizers).toEqual(['berth.dev/test'])
    await noting.delete(configMaps, held.metadata, { uid: held.metadata.uid })
    const marked = await client.get(configMaps, held.metadata)
    await noting.setFinalizers(configMaps, marked ?? held, [])
    expect(cache.get(key)).toBeUndefined()
    await client.create(configMaps, configMap(plane.namespace, 'held', 'second'))
    await eventually(() => cache.get(key)?.data?.['value'] === 'second')
    await watching.stop()
    await transport.close()
  })
})

describe('an API server of its own', () => {
  let plane: ControlPlane
  beforeAll(async () => {
    plane = await startControlPlane({ controllerManager: false })
  })
  afterAll(() => plane?.stop())

  test('killed and started again: the informer catches up by itself, and requests work again', async () => {
    const { client, transport } = await connect(plane.kubeconfig)
    const watching = watch(transport, configMaps, 'default')
    await watching.informer.ready
    const gone = await client.create(configMaps, configMap('default', 'gone', 'x'))
    await eventually(() => watching.informer.get('default/gone') !== undefined)
    await plane.restartApiServer()
    const { client: other, transport: theirs } = await connect(plane.kubeconfig)
    await other.delete(configMaps, { namespace: 'default', name: 'gone' }, { uid: gone.metadata.uid })
    await other.create(configMaps, configMap('default', 'new', 'x'))
    await eventually(() => watching.informer.get('default/new') && !watching.informer.get('default/gone'))
    expect(watching.told.filter((line) => line.endsWith(' gone'))).toEqual(['Added gone', 'Deleted gone'])
    expect(await client.get(configMaps, { namespace: 'default', name: 'new' })).toBeDefined()
    await watching.stop()
    await Promise.all([transport.close(), theirs.close()])
  })
})
