import { beforeEach, describe, expect, it } from '@jest/globals'
import { OverlayCache } from './overlay.ts'
import type { IndexFunctions, KubeObject, ReadObject, Resource } from './port.ts'
import { type FakeInformer, FakeKubeClient } from './testing/fake-client.ts'

interface Thing extends KubeObject {
  readonly status?: { readonly holder?: string }
}
const things: Resource<Thing> = { apiVersion: 'v1', kind: 'Thing', plural: 'things', namespaced: false }
const indices: IndexFunctions<Thing> = { holder: ({ status }) => (status?.holder === undefined ? [] : [status.holder]) }

let kube: FakeKubeClient
let informer: FakeInformer<Thing>
let cache: OverlayCache<Thing>
let first: ReadObject<Thing>

beforeEach(() => {
  kube = new FakeKubeClient()
  informer = kube.informer(things, indices)
  cache = new OverlayCache(informer, indices)
  first = kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a' } })
})

const write = async (holder: string) => kube.applyStatus(things, kube.peek(things, { name: 'a' }) ?? first, { holder })

describe('until the watch has caught up with our own write', () => {
  it('the write is what is seen, by key, in lists and by index', async () => {
    informer.hold()
    cache.note(await write('me'))
    expect(cache.get('a')?.status?.holder).toBe('me')
    expect(cache.list().map(({ status }) => status?.holder)).toEqual(['me'])
    expect(cache.byIndex('holder', 'me')).toHaveLength(1)
  })

  it('it is no more under the value that it had before', async () => {
    await write('before')
    informer.hold()
    cache.note(await write('me'))
    expect(cache.byIndex('holder', 'before')).toEqual([])
  })

  it('a newer version that the watch tells wins', async () => {
    informer.hold()
    cache.note(await write('me'))
    await write('another')
    informer.release()
    expect(cache.get('a')?.status?.holder).toBe('another')
  })

  it('an answer that comes after the watch told more changes nothing', async () => {
    const mine = await write('me')
    await write('another')
    cache.note(mine)
    expect(cache.get('a')?.status?.holder).toBe('another')
  })

  it('of two answers that come in the wrong order the later write wins', async () => {
    informer.hold()
    const earlier = await write('first')
    cache.note(await write('second'))
    cache.note(earlier)
    expect(cache.get('a')?.status?.holder).toBe('second')
  })

  it('what was made, and was not told yet, is there', () => {
    informer.hold()
    cache.note(kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'b' } }))
    expect(cache.list().map(({ metadata }) => metadata.name)).toEqual(['a', 'b'])
  })
})

describe('what is gone', () => {
  it('by our own write (the last finalizer) is gone at once, in lists and indices too', async () => {
    const metadata = { name: 'b', finalizers: ['berth.dev/x'], deletionTimestamp: '2026-01-01T00:00:00Z' }
    const dying = kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata, status: { holder: 'me' } })
    informer.hold()
    cache.note(await kube.setFinalizers(things, dying, []))
    expect(cache.get('b')).toBeUndefined()
    expect(cache.byIndex('holder', 'me')).toEqual([])
    expect(cache.list().map(({ metadata: { name } }) => name)).toEqual(['a'])
    informer.release()
    const successor = kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'b' } })
    expect(cache.get('b')?.metadata.uid).toBe(successor.metadata.uid)
    expect(cache.list()).toHaveLength(2)
  })

  it('is gone though the watch never showed it: it has been past the time of our write', async () => {
    informer.hold()
    const made = kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'b' } })
    cache.note(made)
    expect(cache.get('b')).toBeDefined()
    const later = { resourceVersion: `${Number(made.metadata.resourceVersion) + 1}` }
    const relisted = new OverlayCache<Thing>({
      ...later,
      synced: true,
      get: () => undefined,
      list: () => [],
      byIndex: () => [],
      indexValues: () => [],
    })
    relisted.note(made)
    expect(relisted.get('b')).toBeUndefined()
  })

  it('is gone though we wrote it', async () => {
    cache.note(await write('me'))
    kube.remove(things, { name: 'a' })
    expect(cache.get('a')).toBeUndefined()
    expect(cache.list()).toEqual([])
  })

  it('does not come back by an answer that comes late', async () => {
    const mine = await write('me')
    kube.remove(things, { name: 'a' })
    cache.note(mine)
    expect(cache.get('a')).toBeUndefined()
  })

  it('does not hide another of the same name', () => {
    kube.remove(things, { name: 'a' })
    informer.hold()
    const second = kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a' } })
    cache.note(second)
    expect(cache.get('a')?.metadata.uid).toBe(second.metadata.uid)
  })

  it('is forgotten when a live read says so', async () => {
    informer.hold()
    cache.note(kube.put<Thing>({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'b' } }))
    cache.forget('b')
    expect(cache.get('b')).toBeUndefined()
  })
})

it('lets the watch win where versions are no numbers', () => {
  cache.note({ ...first, metadata: { ...first.metadata, resourceVersion: 'x' }, status: { holder: 'me' } })
  expect(cache.get('a')?.status).toBeUndefined()
})

it('knows no index that it was not made with', () => {
  expect(() => cache.byIndex('none', 'x')).toThrow('no index none')
})
