import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { BerthError } from '../errors/index.ts'
import { APIClient, pathOf, unguarded } from './client.ts'
import type { KubeObject, ReadObject, Resource } from './port.ts'
import { secrets } from './resources.ts'
import { FakeAPI, json, status } from './testing/fake-api.ts'
import type { Transport } from './transport.ts'

interface Thing extends KubeObject {
  readonly status?: { readonly phase: string }
}
const things: Resource<Thing> = { apiVersion: 'berth.dev/v1alpha1', kind: 'Thing', plural: 'things', namespaced: true }
const slots: Resource = { apiVersion: 'berth.dev/v1alpha1', kind: 'Slot', plural: 'slots', namespaced: false }
const key = { namespace: 'ns', name: 'a' }
const read: ReadObject<Thing> = {
  apiVersion: things.apiVersion,
  kind: 'Thing',
  metadata: { ...key, uid: 'u1', resourceVersion: '7', finalizers: ['other.io/x', 'berth.dev/old'] },
}

let api: FakeAPI
let transport: Transport
let client: APIClient
beforeEach(async () => {
  api = await FakeAPI.start()
  transport = api.transport()
  client = new APIClient(transport, unguarded)
})
afterEach(async () => {
  await transport.close()
  await api.stop()
})

describe('paths', () => {
  test.each([
    [pathOf(secrets, key), '/api/v1/namespaces/ns/secrets/a'],
    [pathOf(things, {}), '/apis/berth.dev/v1alpha1/things'],
    [pathOf(things, { namespace: 'ns' }), '/apis/berth.dev/v1alpha1/namespaces/ns/things'],
    [pathOf(slots, { name: 'a/../b' }), '/apis/berth.dev/v1alpha1/slots/a%2F..%2Fb'],
  ])('%s', (path, expected) => expect(path).toBe(expected))

  test('what is namespaced is never addressed without its namespace', () => {
    expect(() => pathOf(things, { name: 'a' })).toThrow(/without a namespace/)
  })
})

test('get: what does not exist is undefined', async () => {
  expect(await client.get(things, key)).toBeUndefined()
})

describe('list', () => {
  const page = (names: string[], next?: string) =>
    json({
      metadata: { resourceVersion: '9', ...(next === undefined ? {} : { continue: next }) },
      items: names.map((name) => ({ metadata: { name, namespace: 'ns', uid: name, resourceVersion: '1' } })),
    })
  const names = async () => (await client.list(things)).items.map((item) => item.metadata.name)

  test('reads every page, and fills in what items of built-in kinds lack', async () => {
    api.script.push(page(['a'], 'next'), page(['b']))
    const { items, resourceVersion } = await client.list(things, { labelSelector: 'x=y' })
    expect(items).toMatchObject([
      { kind: 'Thing', apiVersion: things.apiVersion, metadata: { name: 'a' } },
      { metadata: { name: 'b' } },
    ])
    expect(resourceVersion).toBe('9')
    expect(api.requests.map(({ query }) => query)).toEqual([
      { limit: '500', labelSelector: 'x=y' },
      { limit: '500', labelSelector: 'x=y', continue: 'next' },
    ])
  })

  test('begins again when the snapshot is gone, so that nothing is listed twice', async () => {
    api.script.push(page(['a'], 'next'), status(410, 'Expired', 'too old'), page(['a', 'c'], 'next'), page(['d']))
    expect(await names()).toEqual(['a', 'c', 'd'])
  })

  test('gives up when the snapshot goes again and again', async () => {
    api.fallback = status(410, 'Expired', 'too old')
    await expect(names()).rejects.toMatchObject({ code: 'APIUnavailable' })
    expect(api.requests).toHaveLength(3)
  })

  test.each([
    ['a Status', { kind: 'Status', metadata: {}, status: 'Success' }],
    ['an empty object', {}],
    ['no items', { metadata: { resourceVersion: '7' } }],
    ['no version', { metadata: {}, items: [] }],
    ['null', null],
  ])('%s instead of a list is an error, not an empty list', async (_name, body) => {
    api.fallback = json(body)
    await expect(client.list(things)).rejects.toMatchObject({ code: 'APIUnavailable' })
  })

  test('no items at all', async () => {
    api.script.push(json({ metadata: { resourceVersion: '1' }, items: null }))
    expect(await names()).toEqual([])
  })
})

describe('compare-and-swap', () => {
  test('status is applied whole, as of the object that was read', async () => {
    api.script.push(json(read))
    await client.applyStatus(things, read, { phase: 'Ready' })
    expect(api.requests[0]).toMatchObject({
      method: 'PATCH',
      path: '/apis/berth.dev/v1alpha1/namespaces/ns/things/a/status',
      query: { fieldManager: 'berth', force: 'true' },
      headers: { 'content-type': 'application/apply-patch+yaml' },
    })
    expect(api.requests[0]?.body).toEqual({
      apiVersion: things.apiVersion,
      kind: 'Thing',
      metadata: { ...key, uid: 'u1', resourceVersion: '7' },
      status: { phase: 'Ready' },
    })
  })

  test('our finalizers are replaced, others stay', async () => {
    api.script.push(json(read))
    await client.setFinalizers(things, read, ['berth.dev/cleanup'])
    expect(api.requests[0]?.headers['content-type']).toBe('application/merge-patch+json')
    expect(api.requests[0]?.body).toEqual({
      metadata: { uid: 'u1', resourceVersion: '7', finalizers: ['other.io/x', 'berth.dev/cleanup'] },
    })
  })

  test.each([
    ['status', () => client.applyStatus(things, read, { phase: 'x' })],
    ['finalizers', () => client.setFinalizers(things, read, [])],
    ['replace', () => client.replace(things, read)],
  ])('%s of what is gone is a Conflict: it has changed since', async (_name, write) => {
    await expect(write()).rejects.toMatchObject({ code: 'Conflict' })
  })

  test('delete names the uid; absent already is done; another uid is a Conflict', async () => {
    await client.delete(things, key, { uid: 'u1' })
    expect(api.requests[0]).toMatchObject({ method: 'DELETE', body: { preconditions: { uid: 'u1' } } })
    expect(api.requests[0]?.body).not.toHaveProperty('propagationPolicy')
    api.script.push(status(409, 'Conflict', 'Precondition failed: UID'))
    await expect(client.delete(things, key, { uid: 'u1' })).rejects.toMatchObject({ code: 'Conflict' })
  })
})

test('a deposed leader sends no mutation at all', async () => {
  const deposed = new APIClient(transport, {
    check() {
      throw new BerthError('NotLeader', 'lost')
    },
  })
  const writes = [
    () => deposed.create(things, read),
    () => deposed.apply(things, read),
    () => deposed.replace(things, read),
    () => deposed.applyStatus(things, read, { phase: 'x' }),
    () => deposed.setFinalizers(things, read, []),
    () => deposed.delete(things, key, { uid: 'u1' }),
  ]
  for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'NotLeader' })
  expect(api.requests).toHaveLength(0)
  expect(await deposed.get(things, key)).toBeUndefined()
})

test('a guard that is lost between two attempts stops the second', async () => {
  let checks = 0
  const losing = new APIClient(transport, {
    check() {
      if (++checks > 1) throw new BerthError('NotLeader', 'lost')
    },
  })
  api.fallback = status(429, 'TooManyRequests', 'busy', { 'retry-after': '0' })
  await expect(losing.create(things, read)).rejects.toMatchObject({ code: 'NotLeader' })
  expect(api.requests).toHaveLength(1)
})
