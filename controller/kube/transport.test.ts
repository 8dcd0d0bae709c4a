import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { BerthError } from '../errors/index.ts'
import { APIClient, unguarded } from './client.ts'
import type { Credentials } from './credentials.ts'
import type { KubeObject, Resource } from './port.ts'
import { eventually, FakeAPI, hangUp, json, silence, status } from './testing/fake-api.ts'
import type { Transport } from './transport.ts'

const things: Resource<KubeObject> = {
  apiVersion: 'berth.dev/v1alpha1',
  kind: 'Thing',
  plural: 'things',
  namespaced: true,
}
const key = { namespace: 'ns', name: 'a' }
const thing = { apiVersion: things.apiVersion, kind: 'Thing', metadata: { ...key, uid: 'u', resourceVersion: '1' } }

let api: FakeAPI
let transport: Transport
beforeEach(async () => {
  api = await FakeAPI.start()
  transport = api.transport()
})
afterEach(async () => {
  await transport.close()
  await api.stop()
})

const client = (over = transport) => new APIClient(over, unguarded)
const failure = async (promise: Promise<unknown>): Promise<BerthError> => {
  try {
    await promise
  } catch (error) {
    expect(error).toBeInstanceOf(BerthError)
    return error as BerthError
  }
  throw new Error('did not fail')
}

test.each([
  [409, 'Conflict', 'Conflict'],
  [409, 'AlreadyExists', 'Conflict'],
  [403, 'Forbidden', 'APIRefused'],
  [422, 'Invalid', 'APIRefused'],
  [400, 'BadRequest', 'APIRefused'],
  [429, 'TooManyRequests', 'APIUnavailable'],
  [500, 'InternalError', 'APIUnavailable'],
  [503, 'ServiceUnavailable', 'APIUnavailable'],
  [504, 'Timeout', 'APIUnavailable'],
])('%d %s is %s, in the words of the server', async (code, reason, expected) => {
  api.script.push(status(code, reason, 'the words of the server'))
  const error = await failure(client().create(things, thing))
  expect(error.code).toBe(expected)
  expect(error.message).toBe('the words of the server')
  expect(api.requests).toHaveLength(1)
})

test('a body that is no Status is never quoted: it may hold a secret', async () => {
  api.script.push((_request, response) => void response.writeHead(502).end('<html>hunter2</html>'))
  const error = await failure(client().create(things, thing))
  expect(error.code).toBe('APIUnavailable')
  expect(JSON.stringify(error) + error.message + String(error.cause)).not.toContain('hunter2')
})

test('a long message is shortened: it goes into a condition', async () => {
  api.script.push(status(422, 'Invalid', 'x'.repeat(10_000)))
  expect((await failure(client().get(things, key))).message.length).toBeLessThanOrEqual(500)
})

test('an answer that is not JSON', async () => {
  api.script.push((_request, response) => void response.end('nope'))
  expect((await failure(client().get(things, key))).code).toBe('APIUnavailable')
})

test('no server: APIUnavailable, naming the address and the reason', async () => {
  const { origin } = api
  await api.stop()
  const error = await failure(client().get(things, key))
  expect(error.code).toBe('APIUnavailable')
  expect(error.message).toContain(origin)
  expect(error.message).toContain('ECONNREFUSED')
  api = await FakeAPI.start()
})

test('a server that hangs is given up at the deadline', async () => {
  const hasty = api.transport({ deadline: 50 })
  api.fallback = silence
  const error = await failure(client(hasty).get(things, key))
  expect(error.code).toBe('APIUnavailable')
  expect(error.message).toContain('did not answer within 0.05 s')
  await hasty.close()
})

test('an answer that stops in the middle is given up at the deadline', async () => {
  const hasty = api.transport({ deadline: 50 })
  api.fallback = (_request, response) => void response.writeHead(200).write('{"kind":')
  expect((await failure(client(hasty).get(things, key))).message).toContain('did not answer within')
  await hasty.close()
})

test('the caller can abort; its reason is the error', async () => {
  api.fallback = silence
  const abort = new AbortController()
  const request = failure(client().get(things, key, { signal: abort.signal }))
  await eventually(() => api.requests.length === 1)
  abort.abort(new BerthError('NotLeader', 'lost'))
  expect((await request).code).toBe('NotLeader')
})

test('a signal that is aborted already sends nothing', async () => {
  await failure(client().get(things, key, { signal: AbortSignal.abort() }))
  expect(api.requests).toHaveLength(0)
})

test.each([429, 503])('Retry-After of %d is waited for, then asked again', async (code) => {
  api.script.push(status(code, 'TooManyRequests', 'busy', { 'retry-after': '0' }), json(thing))
  expect(await client().create(things, thing)).toEqual(thing)
  expect(api.requests).toHaveLength(2)
})

test('Retry-After may be a date; one that has passed is now', async () => {
  api.script.push(
    status(503, 'ServiceUnavailable', 'busy', { 'retry-after': new Date(Date.now() - 60_000).toUTCString() }),
    json(thing),
  )
  expect(await client().get(things, key)).toEqual(thing)
  const hasty = api.transport({ deadline: 500 })
  api.script.push(
    status(503, 'ServiceUnavailable', 'busy', { 'retry-after': new Date(Date.now() + 3_600_000).toUTCString() }),
  )
  const { retryAfter = 0 } = await failure(client(hasty).get(things, key))
  expect(retryAfter).toBe(300_000)
  await hasty.close()
})

test('a Retry-After of days (a page of maintenance) is five minutes: nobody is kept from asking again', async () => {
  api.script.push(status(503, 'ServiceUnavailable', 'back on Monday', { 'retry-after': '172800' }))
  expect((await failure(client().create(things, thing))).retryAfter).toBe(300_000)
})

test('a command that logs in and hangs costs a request its deadline, not a connection for ever', async () => {
  let hangs = true
  const hasty = api.transport({
    deadline: 50,
    connections: 1,
    credentials: {
      server: new URL(api.origin),
      current: () => (hangs ? new Promise(() => {}) : Promise.resolve({ tls: {}, headers: {} })),
      invalidate() {},
    },
  })
  expect((await failure(client(hasty).get(things, key))).message).toContain('did not answer within')
  await expect(hasty.stream({ method: 'GET', path: '/', resource: 'things' })).rejects.toThrow(/did not answer within/)
  hangs = false
  api.script.push(json(thing))
  expect(await client(hasty).get(things, key)).toEqual(thing)
  await hasty.close()
})

test.each(['soon', '-1', '1.5e3'])('Retry-After of "%s" says nothing: the caller decides', async (value) => {
  api.script.push(status(503, 'ServiceUnavailable', 'busy', { 'retry-after': value }))
  expect((await failure(client().create(things, thing))).retryAfter).toBeUndefined()
})

test('every attempt is told: method, kind without names, status, where to', async () => {
  const told: string[] = []
  const observed = api.transport({
    onRequest: ({ method, resource, code, host, seconds }) => {
      expect(seconds).toBeGreaterThanOrEqual(0)
      expect(host).toBe(new URL(api.origin).host)
      told.push(`${method} ${resource} ${code}`)
    },
  })
  api.script.push(status(429, 'TooManyRequests', 'busy', { 'retry-after': '0' }), json(thing), json(thing), hangUp)
  await client(observed).get(things, key)
  await client(observed).applyStatus(things, thing, { phase: 'x' } as never)
  await failure(client(observed).create(things, thing))
  expect(told).toEqual(['GET things 429', 'GET things 200', 'PATCH things/status 200', 'POST things <error>'])
  await observed.close()
})

test('Retry-After beyond the deadline is told to the caller instead', async () => {
  const hasty = api.transport({ deadline: 500 })
  api.script.push(status(429, 'TooManyRequests', 'busy', { 'retry-after': '7' }))
  const error = await failure(client(hasty).get(things, key))
  expect(error).toMatchObject({ code: 'APIUnavailable', retryAfter: 7_000 })
  await hasty.close()
})

test('a connection that is cut: a read is tried again, a mutation is not, for it may have taken effect', async () => {
  api.script.push(hangUp, json(thing))
  expect(await client().get(things, key)).toEqual(thing)
  api.script.push(hangUp, json(thing))
  expect((await failure(client().create(things, thing))).code).toBe('APIUnavailable')
})

test('a server in trouble: a read is tried three times, a mutation once', async () => {
  const trouble = status(503, 'ServiceUnavailable', 'etcd has no leader')
  api.script.push(trouble, status(500, 'InternalError', 'again'), json(thing))
  expect(await client().get(things, key)).toEqual(thing)
  api.script.push(trouble, trouble, trouble, json(thing))
  expect((await failure(client().get(things, key))).code).toBe('APIUnavailable')
  api.script.length = 0
  api.script.push(trouble, json(thing))
  expect((await failure(client().create(things, thing))).code).toBe('APIUnavailable')
})

test('refused credentials are read anew, once', async () => {
  let reads = 0
  let token = 0
  const credentials: Credentials = {
    server: new URL(api.origin),
    current: async () => ({ tls: {}, headers: { authorization: `Bearer ${token}` } }),
    invalidate: () => {
      reads++
      token++
    },
  }
  const own = api.transport({ credentials })
  api.script.push(status(401, 'Unauthorized', 'Unauthorized'), json(thing))
  expect(await client(own).get(things, key)).toEqual(thing)
  expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer 0', 'Bearer 1'])
  api.fallback = status(401, 'Unauthorized', 'Unauthorized')
  expect((await failure(client(own).get(things, key))).code).toBe('APIUnavailable')
  expect(api.requests).toHaveLength(4)
  expect(reads).toBe(3)
  await own.close()
})

test('rotated TLS material gets new connections, without disturbing a request under way', async () => {
  let ca = 'one'
  const rotating = api.transport({
    credentials: {
      server: new URL(api.origin),
      current: async () => ({ tls: { ca }, headers: {} }),
      invalidate() {},
    },
  })
  const ports: (number | undefined)[] = []
  let release = () => {}
  api.script.push((request, response) => {
    ports.push(response.socket?.remotePort)
    release = () => void json(thing)(request, response)
  })
  api.fallback = (request, response) => {
    ports.push(response.socket?.remotePort)
    json(thing)(request, response)
  }
  const slow = client(rotating).get(things, key)
  await eventually(() => ports.length === 1)
  ca = 'two'
  await client(rotating).get(things, key)
  release()
  expect(await slow).toEqual(thing)
  expect(ports[1]).not.toBe(ports[0])
  await rotating.close()
})

test('requests share few connections', async () => {
  const narrow = api.transport({ connections: 2 })
  const ports = new Set<number | undefined>()
  api.fallback = (request, response) => {
    ports.add(response.socket?.remotePort)
    json(thing)(request, response)
  }
  await Promise.all(Array.from({ length: 20 }, () => client(narrow).get(things, key)))
  expect(ports.size).toBeLessThanOrEqual(2)
  await narrow.close()
})

test('the guard is asked when a connection is free, not while the request still waits for one', async () => {
  const narrow = api.transport({ connections: 1 })
  let release = () => {}
  api.script.push((request, response) => {
    release = () => void json(thing)(request, response)
  })
  let lost = false
  const guarded = new APIClient(narrow, {
    check() {
      if (lost) throw new BerthError('NotLeader', 'lost')
    },
  })
  const first = guarded.get(things, key)
  await eventually(() => api.requests.length === 1)
  const second = failure(guarded.create(things, thing))
  // All that the second can do without a connection is done.
  await new Promise((resolve) => setImmediate(resolve))
  lost = true
  release()
  await first
  expect((await second).code).toBe('NotLeader')
  expect(api.requests).toHaveLength(1)
  await narrow.close()
})

test('the guard is asked when the connection is there: to make it may take longer than the lease lasts', async () => {
  const { port } = new URL(api.origin)
  let connect: (() => void) | undefined
  const lookup = (_host: string, _options: object, found: (error: null, addresses: object[]) => void) => {
    connect = () => found(null, [{ address: '127.0.0.1', family: 4 }])
  }
  const slow = api.transport({
    credentials: {
      server: new URL(`http://slow.invalid:${port}`),
      current: async () => ({ tls: { lookup } as object, headers: {} }),
      invalidate() {},
    },
  })
  let lost = false
  const guarded = new APIClient(slow, {
    check() {
      if (lost) throw new BerthError('NotLeader', 'lost')
    },
  })
  const creating = failure(guarded.create(things, thing))
  await eventually(() => connect !== undefined)
  lost = true
  connect?.()
  expect((await creating).code).toBe('NotLeader')
  expect(api.requests).toEqual([])
  lost = false
  api.script.push(json(thing))
  expect(await guarded.create(things, thing)).toEqual(thing)
  await slow.close()
})
