/** Informers against a real API server that is restarted under them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
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
