import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type InformerOptions, ListWatchInformer } from './informer.ts'
import type { CacheChange, KubeObject, Resource } from './port.ts'
import { systemClock } from './testing/clock.ts'
import { type Answer, eventually, FakeAPI, json, quiet, status } from './testing/fake-api.ts'
import type { Transport } from './transport.ts'

interface Thing extends KubeObject {
  readonly spec?: { readonly color: string }
}
const things: Resource<Thing> = { apiVersion: 'berth.dev/v1alpha1', kind: 'Thing', plural: 'things', namespaced: true }

let api: FakeAPI
let transport: Transport
let stop: AbortController
let running: Promise<void> | undefined
beforeEach(async () => {
  api = await FakeAPI.start()
  api.refusesStreaming = true
  transport = api.transport()
  stop = new AbortController()
})
afterEach(async () => {
  stop.abort()
  await running
  await transport.close()
  await api.stop()
})

const make = (options: Partial<InformerOptions<Thing>> = {}) =>
  new ListWatchInformer<Thing>({
    transport,
    resource: things,
    clock: systemClock,
    log: quiet,
    indices: { color: (object) => (object.spec === undefined ? [] : [object.spec.color]) },
    backoff: { base: 1, max: 5 },
    ...options,
  })

/** Starts it, and keeps what it tells as `Type name/uid`. */
function start(informer: ListWatchInformer<Thing>): string[] {
  const told: string[] = []
  informer.onChange(({ type, object, initial }: CacheChange<Thing>) => {
    told.push(`${initial ? 'initially ' : ''}${type} ${object.metadata.name}/${object.metadata.uid}`)
  })
  running = informer.run(stop.signal)
  return told
}

const thing = (name: string, resourceVersion: string, uid = name, color = 'red') => ({
  apiVersion: things.apiVersion,
  kind: 'Thing',
  metadata: { name, namespace: 'ns', uid, resourceVersion },
  spec: { color },
})
const list = (resourceVersion: string, ...items: unknown[]) => json({ metadata: { resourceVersion }, items })
const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

/** A watch that stays open; the test writes to it. */
function openWatch(): { answer: Answer; readonly response: ServerResponse; readonly opened: boolean } {
  let kept: ServerResponse | undefined
  return {
    answer: (_request, response) => {
      kept = response
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    },
    get opened() {
      return kept !== undefined
    },
    get response() {
      if (kept === undefined) throw new Error('the watch was not opened yet')
      return kept
    },
  }
}
const watches = () => api.requests.filter(({ query }) => query['watch'] === 'true')
const lists = () => api.requests.filter(({ query }) => query['watch'] === undefined)

describe('the usual way', () => {
  test('lists in pages, then watches from there, asking for bookmarks and an end', async () => {
    const watch = openWatch()
    api.script.push(
      json({ metadata: { resourceVersion: '5', continue: 'more' }, items: [thing('a', '1')] }),
      list('5', thing('b', '2')),
      watch.answer,
    )
    const informer = make()
    expect(informer.synced).toBe(false)
    const told = start(informer)
    await informer.ready
    expect(informer.synced).toBe(true)
    expect(told).toEqual(['initially Added a/a', 'initially Added b/b'])
    await eventually(() => watch.opened)
    expect(watches()[0]?.query).toMatchObject({ resourceVersion: '5', allowWatchBookmarks: 'true' })
    const seconds = Number(watches()[0]?.query['timeoutSeconds'])
    expect(seconds).toBeGreaterThanOrEqual(300)
    expect(seconds).toBeLessThanOrEqual(600)

    watch.response.write(line('ADDED', thing('c', '6')) + line('MODIFIED', thing('a', '7', 'a', 'blue')))
    watch.response.write(line('DELETED', thing('b', '8')))
    await eventually(() => told.length === 5)
    expect(told.slice(2)).toEqual(['Added c/c', 'Modified a/a', 'Deleted b/b'])
    expect(informer.get('ns/a')?.spec?.color).toBe('blue')
    expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(['a', 'c'])
    expect(informer.byIndex('color', 'red').map(({ metadata }) => metadata.name)).toEqual(['c'])
    expect(informer.byIndex('color', 'blue').map(({ metadata }) => metadata.name)).toEqual(['a'])
  })

  test('an event that comes in pieces, in the middle of a character, is one event', async () => {
    const watch = openWatch()
    api.script.push(list('5'), watch.answer)
    const informer = make()
    start(informer)
    await eventually(() => watch.opened)
    const bytes = Buffer.from(line('ADDED', thing('a', '6', 'a', 'größer')))
    const middle = bytes.indexOf(0xc3) + 1
    watch.response.write(bytes.subarray(0, middle))
    await new Promise((resolve) => watch.response.write('', resolve))
    watch.response.write(bytes.subarray(middle))
    await eventually(() => informer.list().length === 1)
    expect(informer.get('ns/a')?.spec?.color).toBe('größer')
  })

  test('managedFields and last-applied are not kept', async () => {
    const fat = thing('a', '1')
    Object.assign(fat.metadata, {
      managedFields: [{}],
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'x' },
    })
    api.script.push(list('5', fat), openWatch().answer)
    const informer = make()
    start(informer)
    await informer.ready
    expect(informer.get('ns/a')?.metadata).not.toHaveProperty('managedFields')
    expect(informer.get('ns/a')?.metadata.annotations).toEqual({ mine: 'x' })
  })

  test('what is kept of an object can be made smaller', async () => {
    const watch = openWatch()
    api.script.push(list('5', thing('a', '1')), watch.answer)
    const informer = make({ transform: ({ spec: _, ...object }) => object })
    start(informer)
    await eventually(() => watch.opened)
    watch.response.write(line('ADDED', thing('b', '6')))
    await eventually(() => informer.list().length === 2)
    expect(informer.list().map(({ spec }) => spec)).toEqual([undefined, undefined])
  })

  test('who listens later is told of what is there', async () => {
    api.script.push(list('5', thing('a', '1')), openWatch().answer)
    const informer = make()
    start(informer)
    await informer.ready
    const late: unknown[] = []
    informer.onChange(({ type, object, initial }) => late.push([type, object.metadata.name, initial]))
    expect(late).toEqual([['Added', 'a', true]])
  })

  test('a watch that the server ends after its time is opened again where it was, with no listing', async () => {
    const [first, second] = [openWatch(), openWatch()]
    api.script.push(list('5'), first.answer, second.answer)
    start(make())
    await eventually(() => first.opened)
    first.response.write(line('BOOKMARK', { metadata: { resourceVersion: '42' } }))
    first.response.end()
    await eventually(() => second.opened)
    expect(watches().map(({ query }) => query['resourceVersion'])).toEqual(['5', '42'])
    expect(lists()).toHaveLength(1)
  })
})

describe('failures', () => {
  test('listing fails, several times, in several ways: it goes on until it works', async () => {
    api.script.push(
      status(500, 'InternalError', 'etcd'),
      status(403, 'Forbidden', 'no RBAC yet'),
      (_request, response) => void response.socket?.destroy(),
      (_request, response) => void response.socket?.destroy(),
      list('5', thing('a', '1')),
      openWatch().answer,
    )
    const informer = make()
    const told = start(informer)
    await informer.ready
    expect(told).toEqual(['initially Added a/a'])
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['as an answer', (response) => void status(410, 'Expired', 'too old resource version')({} as never, response)],
    [
      'in the stream',
      (response) => void response.end(line('ERROR', { kind: 'Status', code: 410, message: 'too old', metadata: {} })),
    ],
    ['a line that is not JSON', (response) => void response.end('{"type": nonsense\n')],
    ['a line that is no event', (response) => void response.end('{"type":"ADDED"}\n')],
  ])('410 (%s): lists anew; what vanished unseen is Deleted', async (_name, end) => {
    const watch = openWatch()
    api.script.push(
      list('5', thing('gone', '1'), thing('stays', '2'), thing('changes', '3')),
      (_request, response) => end(response),
      list('9', thing('stays', '2'), thing('changes', '8'), thing('new', '9')),
      watch.answer,
    )
    const informer = make()
    const told = start(informer)
    await eventually(() => watch.opened)
    expect(told.slice(3)).toEqual(['Deleted gone/gone', 'Modified changes/changes', 'Added new/new'])
    expect(informer.byIndex('color', 'red')).toHaveLength(3)
    expect(watches().at(-1)?.query['resourceVersion']).toBe('9')
  })

  test('410 in the middle of a watch, after events', async () => {
    const [first, second] = [openWatch(), openWatch()]
    api.script.push(list('5'), first.answer, list('9', thing('b', '9')), second.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => first.opened)
    first.response.write(line('ADDED', thing('a', '6')))
    first.response.write(line('ERROR', { code: 410, message: 'too old' }))
    await eventually(() => second.opened)
    expect(told).toEqual(['Added a/a', 'Deleted a/a', 'Added b/b'])
  })

  test('another ERROR than 410 opens the watch again where it was', async () => {
    const second = openWatch()
    api.script.push(
      list('5'),
      (_request, response) => void response.end(line('ERROR', { code: 500, message: 'etcd' })),
      second.answer,
    )
    start(make())
    await eventually(() => second.opened)
    expect(watches().at(-1)?.query['resourceVersion']).toBe('5')
    expect(lists()).toHaveLength(1)
  })

  test('the connection is cut in the middle of a line: goes on after the last event, which is not told twice', async () => {
    const [first, second] = [openWatch(), openWatch()]
    api.script.push(list('5'), first.answer, second.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => first.opened)
    const next = line('ADDED', thing('b', '7'))
    first.response.write(line('ADDED', thing('a', '6')) + next.slice(0, 20))
    await eventually(() => told.length === 1)
    first.response.socket?.destroy()
    await eventually(() => second.opened)
    expect(watches().at(-1)?.query['resourceVersion']).toBe('6')
    second.response.write(next)
    await eventually(() => told.length === 2)
    expect(told).toEqual(['Added a/a', 'Added b/b'])
    expect(lists()).toHaveLength(1)
  })

  test('a watch that says nothing, though the connection lives: everything is listed anew', async () => {
    const second = openWatch()
    api.script.push(list('5'), openWatch().answer, list('6', thing('a', '6')), second.answer)
    const told = start(make({ silence: 30 }))
    await eventually(() => second.opened)
    expect(told).toEqual(['Added a/a'])
    expect(watches()[1]?.query['resourceVersion']).toBe('6')
  })

  test('a server that was restored from a backup says nothing to a watch from its future: it is believed in the end', async () => {
    api.script.push(list('90', thing('lost', '80')))
    api.fallback = (request, response) => {
      if (request.query['watch'] === undefined) list('50', thing('a', '40'))(request, response)
      else openWatch().answer(request, response)
    }
    const informer = make({ silence: 30 })
    const told = start(informer)
    await eventually(() => told.length === 3)
    expect(told.slice(1)).toEqual(['Deleted lost/lost', 'Added a/a'])
  })

  test('a server that is busy is asked again when it said', async () => {
    const waits: number[] = []
    const watch = openWatch()
    api.script.push(list('5'), status(429, 'TooManyRequests', 'busy', { 'retry-after': '77' }), watch.answer)
    start(
      make({
        clock: {
          ...systemClock,
          after(delay, callback) {
            waits.push(delay)
            return systemClock.after(delay === 77_000 ? 1 : delay, callback)
          },
        },
      }),
    )
    await eventually(() => watch.opened)
    expect(waits).toContain(77_000)
  })

  test.each([
    ['with nothing told', ''],
    ['with nothing new told', line('BOOKMARK', thing('', '5')) + line('MODIFIED', thing('a', '4'))],
  ])('a server that ends every watch at once, %s, is not stormed', async (_name, answer) => {
    let waits = 0
    const informer = new ListWatchInformer<Thing>({
      transport,
      resource: things,
      clock: {
        ...systemClock,
        after(delay, callback) {
          if (delay > 300 && delay <= 500) waits++
          return systemClock.after(delay > 300 && delay <= 500 ? 1 : delay, callback)
        },
      },
      log: quiet,
      backoff: { base: 500, max: 500 },
    })
    api.fallback = (request, response) => {
      if (request.query['watch'] === undefined) list('5')(request, response)
      else response.end(answer)
    }
    running = informer.run(stop.signal)
    await eventually(() => watches().length >= 5)
    expect(waits).toBeGreaterThanOrEqual(4)
  })

  test('a listener and an index function that throw kill nothing, and do not hide the change from others', async () => {
    const watch = openWatch()
    api.script.push(list('5', thing('a', '1')), watch.answer)
    const informer = new ListWatchInformer<Thing>({
      transport,
      resource: things,
      clock: systemClock,
      log: quiet,
      indices: {
        broken() {
          throw new Error('index')
        },
      },
    })
    informer.onChange(() => {
      throw new Error('listener')
    })
    const told = start(informer)
    await eventually(() => watch.opened)
    watch.response.write(line('ADDED', thing('b', '6')))
    await eventually(() => told.length === 2)
    expect(informer.byIndex('broken', 'x')).toEqual([])
  })

  test('stopping ends a watch at once', async () => {
    const watch = openWatch()
    api.script.push(list('5'), watch.answer)
    start(make())
    await eventually(() => watch.opened)
    stop.abort()
    await running
  })
})

describe('streaming lists', () => {
  beforeEach(() => {
    api.refusesStreaming = false
  })
  const end = (resourceVersion: string) =>
    line('BOOKMARK', { metadata: { resourceVersion, annotations: { 'k8s.io/initial-events-end': 'true' } } })

  test('one watch tells first everything, then changes; nothing is told before the end of the first state', async () => {
    const [first, second] = [openWatch(), openWatch()]
    api.script.push(first.answer, second.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => first.opened)
    expect(watches()[0]?.query).toMatchObject({
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    })
    expect(watches()[0]?.query).not.toHaveProperty('resourceVersion')
    first.response.write(
      line('ADDED', thing('a', '3')) + line('ADDED', thing('b', '1')) + line('ADDED', thing('c', '2')),
    )
    // It changes while the server tells of the first state.
    first.response.write(line('MODIFIED', thing('b', '6', 'b', 'blue')) + line('DELETED', thing('c', '7')))
    await new Promise((resolve) => first.response.write('', resolve))
    expect([told, informer.synced, informer.resourceVersion]).toEqual([[], false, undefined])
    first.response.write(end('7') + line('ADDED', thing('d', '8')))
    await eventually(() => told.length === 3)
    expect(told).toEqual(['initially Added a/a', 'initially Added b/b', 'Added d/d'])
    expect(informer.get('ns/b')?.spec?.color).toBe('blue')
    expect(informer.resourceVersion).toBe('8')
    await informer.ready
    first.response.end()
    await eventually(() => second.opened)
    expect(watches()[1]?.query).toMatchObject({ resourceVersion: '8' })
    expect(watches()[1]?.query).not.toHaveProperty('sendInitialEvents')
    expect(lists()).toEqual([])
  })

  test('after a 410 everything is streamed anew, and replaces what is known at once', async () => {
    const [first, second] = [openWatch(), openWatch()]
    api.script.push(first.answer, second.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => first.opened)
    first.response.write(line('ADDED', thing('gone', '1')) + line('ADDED', thing('stays', '2')) + end('5'))
    first.response.write(line('ERROR', { code: 410, message: 'too old' }))
    await eventually(() => second.opened)
    second.response.write(line('ADDED', thing('stays', '2')))
    await new Promise((resolve) => second.response.write('', resolve))
    expect(informer.list()).toHaveLength(2)
    second.response.write(line('ADDED', thing('new', '8')) + end('9'))
    await eventually(() => told.length === 4)
    expect(told.slice(2)).toEqual(['Deleted gone/gone', 'Added new/new'])
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['cut', (response) => void response.socket?.destroy()],
    ['ended', (response) => void response.end()],
  ])('%s before its end: nothing of it is taken, and it is begun anew', async (_name, cut) => {
    const [first, second] = [openWatch(), openWatch()]
    api.script.push(first.answer, second.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => first.opened)
    first.response.write(line('ADDED', thing('a', '3')))
    await new Promise((resolve) => first.response.write('', resolve))
    cut(first.response)
    await eventually(() => second.opened)
    expect(watches()[1]?.query).toHaveProperty('sendInitialEvents')
    second.response.write(line('ADDED', thing('b', '4')) + end('9'))
    await eventually(() => told.length === 1)
    expect(told).toEqual(['initially Added b/b'])
  })

  test.each<[string, Answer, { silence?: number }]>([
    ['refuses them', status(422, 'Invalid', 'sendInitialEvents: Forbidden: watch-list feature gate'), {}],
    [
      'does not know them, and marks no end',
      (_request, response) =>
        void response.write(line('ADDED', thing('a', '1')) + line('BOOKMARK', { metadata: { resourceVersion: '9' } })),
      {},
    ],
    [
      'does not know them, and says nothing more',
      (_request, response) => void response.write(line('ADDED', thing('a', '1'))),
      { silence: 30 },
    ],
  ])('a server that %s: is listed in pages, from then on', async (_name, answer, options) => {
    const watch = openWatch()
    api.script.push(
      answer,
      list('5', thing('a', '1')),
      status(410, 'Expired', 'too old'),
      list('9', thing('a', '1')),
      watch.answer,
    )
    const informer = make(options)
    const told = start(informer)
    await eventually(() => watch.opened)
    expect(told).toEqual(['initially Added a/a'])
    expect(lists()).toHaveLength(2)
    expect(api.requests.filter(({ query }) => query['sendInitialEvents'])).toHaveLength(1)
  })

  test('something in between that fails at every stream: it is listed in pages, this time', async () => {
    const [watch, streamed] = [openWatch(), openWatch()]
    const failing = status(501, 'NotImplemented', 'no such parameter')
    api.script.push(failing, failing, failing, list('5', thing('a', '1')), watch.answer)
    const told = start(make())
    await eventually(() => watch.opened)
    expect(told).toEqual(['initially Added a/a'])
    api.script.push(streamed.answer)
    watch.response.write(line('ERROR', { code: 410, message: 'too old' }))
    await eventually(() => streamed.opened)
    expect(watches().at(-1)?.query).toHaveProperty('sendInitialEvents')
  })

  test('no right to watch is no refusal of streaming: it is asked for again', async () => {
    const watch = openWatch()
    api.script.push(status(403, 'Forbidden', 'no RBAC yet'), status(500, 'InternalError', 'etcd'), watch.answer)
    start(make())
    await eventually(() => watch.opened)
    expect(watches()[2]?.query).toHaveProperty('sendInitialEvents')
  })
})

describe('time does not go back', () => {
  test('a listing that is older than what was seen is not taken', async () => {
    const watch = openWatch()
    api.script.push(
      list('90', thing('a', '80')),
      status(410, 'Expired', 'too old'),
      // Another API server, which lags behind.
      list('50', thing('a', '40'), thing('ghost', '45')),
      list('50', thing('a', '40'), thing('ghost', '45')),
      list('100', thing('a', '95')),
      watch.answer,
    )
    const informer = make()
    const told = start(informer)
    await eventually(() => watch.opened)
    expect(told).toEqual(['initially Added a/a', 'Modified a/a'])
    expect(informer.resourceVersion).toBe('100')
  })

  test('a server that insists was restored from a backup: it is believed in the end', async () => {
    api.script.push(list('90', thing('lost', '80')), status(410, 'Expired', 'too old'))
    api.fallback = (request, response) => {
      if (request.query['watch'] === undefined) list('50', thing('a', '40'))(request, response)
      else openWatch().answer(request, response)
    }
    const informer = make()
    const told = start(informer)
    await eventually(() => told.length === 3)
    expect(told.slice(1)).toEqual(['Deleted lost/lost', 'Added a/a'])
    expect(lists().length).toBeGreaterThan(10)
    expect(informer.resourceVersion).toBe('50')
  })

  test('events that are older than what was seen, or come twice, are not told', async () => {
    const watch = openWatch()
    api.script.push(list('9', thing('a', '8')), watch.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => watch.opened)
    const deleted = line('DELETED', thing('a', '12'))
    watch.response.write(
      line('MODIFIED', thing('a', '11', 'a', 'blue')) + line('MODIFIED', thing('a', '10', 'a', 'old')),
    )
    watch.response.write(
      deleted + line('ADDED', thing('a', '11', 'a', 'blue')) + deleted + line('ADDED', thing('b', '13')),
    )
    await eventually(() => told.length === 4)
    expect(told.slice(1)).toEqual(['Modified a/a', 'Deleted a/a', 'Added b/b'])
  })
})

describe('identity is the uid', () => {
  test('deleted and made again under one name while the watch was away: Deleted, then Added', async () => {
    const second = openWatch()
    api.script.push(
      list('5', thing('a', '1', 'old')),
      status(410, 'Expired', 'x'),
      list('9', thing('a', '8', 'new')),
      second.answer,
    )
    const informer = make()
    const told = start(informer)
    await eventually(() => second.opened)
    expect(told).toEqual(['initially Added a/old', 'Deleted a/old', 'Added a/new'])
  })

  test('the same within a watch that shows only the new one', async () => {
    const watch = openWatch()
    api.script.push(list('5', thing('a', '1', 'old')), watch.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => watch.opened)
    watch.response.write(line('MODIFIED', thing('a', '8', 'new', 'blue')))
    await eventually(() => told.length === 3)
    expect(told).toEqual(['initially Added a/old', 'Deleted a/old', 'Added a/new'])
    expect(informer.byIndex('color', 'red')).toEqual([])
  })

  test('a late word of the death of the old one does not remove the new one', async () => {
    const watch = openWatch()
    api.script.push(list('9', thing('a', '8', 'new')), watch.answer)
    const informer = make()
    const told = start(informer)
    await eventually(() => watch.opened)
    watch.response.write(line('DELETED', thing('a', '10', 'old')) + line('ADDED', thing('b', '11')))
    await eventually(() => told.length === 2)
    expect(informer.get('ns/a')?.metadata.uid).toBe('new')
  })
})
