import { beforeEach, describe, expect, it } from '@jest/globals'
import { NotingClient } from './noting-client.ts'
import { OverlayCache } from './overlay.ts'
import type { KubeObject, Resource } from './port.ts'
import { FakeKubeClient } from './testing/fake-client.ts'

interface Thing extends KubeObject {
  readonly status?: { readonly phase?: string }
}
const things: Resource<Thing> = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: false }
const others: Resource<Thing> = { apiVersion: 'v1', kind: 'Other', plural: 'others', namespaced: false }
const thing = (name: string, finalizers: string[] = []): Thing => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name, finalizers },
})

let kube: FakeKubeClient
let cache: OverlayCache<Thing>
let client: NotingClient
beforeEach(() => {
  kube = new FakeKubeClient()
  const informer = kube.informer(things)
  informer.hold()
  cache = new OverlayCache(informer)
  client = new NotingClient(kube, { Thing: cache })
})

describe('what it wrote is in the cache before the watch has told', () => {
  it('made', async () => {
    await client.create(things, thing('a'))
    expect(cache.get('a')).toBeDefined()
  })

  it('applied', async () => {
    await client.apply(things, thing('a'))
    expect(cache.get('a')).toBeDefined()
  })

  it('a status', async () => {
    const read = kube.put(thing('a'))
    await client.applyStatus(things, read, { phase: 'Done' })
    expect(cache.get('a')?.status?.phase).toBe('Done')
  })

  it('finalizers', async () => {
    const read = kube.put(thing('a'))
    await client.setFinalizers(things, read, ['berth.dev/x'])
    expect(cache.get('a')?.metadata.finalizers).toEqual(['berth.dev/x'])
  })
})

it('what a live read shows to be gone is not in it', async () => {
  await client.create(things, thing('a'))
  kube.remove(things, { name: 'a' })
  expect(await client.get(things, { name: 'a' })).toBeUndefined()
  expect(cache.get('a')).toBeUndefined()
})

it('a write that fails is not noted, and its error is the caller’s', async () => {
  const read = kube.put(thing('a'))
  kube.put({ ...thing('a'), status: { phase: 'Changed' } })
  await expect(client.applyStatus(things, read, { phase: 'Done' })).rejects.toMatchObject({ code: 'Conflict' })
  expect(cache.get('a')).toBeUndefined()
})

it('kinds without an overlay, listings and deletions go straight through', async () => {
  await client.create(others, { ...thing('b'), kind: 'Other' })
  const { items } = await client.list(others)
  expect(items).toHaveLength(1)
  const [{ metadata }] = items as [(typeof items)[number]]
  await client.delete(others, { name: 'b' }, { uid: metadata.uid })
  expect(kube.peek(others, { name: 'b' })).toBeUndefined()
})
