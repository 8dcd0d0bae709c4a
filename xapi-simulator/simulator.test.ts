import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from '@jest/globals'
import { XapiError } from './errors.ts'
import type { Value } from './model/types.ts'
import { type RunningPool, type Simulator, startSimulator } from './simulator.ts'
import { vmRecord } from './testing/client.ts'

const started: Simulator[] = []

afterEach(async () => {
  for (const simulator of started.splice(0)) await simulator.stop()
})

async function open(members = 1, srs = [{ name: 'shared' }, { name: 'local', shared: false }]): Promise<RunningPool> {
  const simulator = await startSimulator({ pools: [{ name: 'pool', members, srs, user: 'root', password: 'secret' }] })
  started.push(simulator)
  const [pool] = simulator.pools
  if (pool === undefined) throw new Error('There is no pool.')
  return pool
}

async function send(url: string, method: string, ...params: unknown[]): Promise<{ result?: Value; error?: unknown }> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method, params })
  const response = await fetch(`${url}/jsonrpc`, { method: 'POST', body })
  return (await response.json()) as { result?: Value; error?: unknown }
}

async function login({ urls: [url = ''] }: RunningPool) {
  const session = String((await send(url, 'session.login_with_password', 'root', 'secret')).result)
  const call = async (method: string, ...params: unknown[]) =>
    String((await send(url, method, session, ...params)).result)
  return { url, session, call }
}

describe('the wire', () => {
  test('is JSON-RPC 2.0, with the error’s code and parameters', async () => {
    const { urls } = await open(2)
    expect(await send(urls[1] ?? '', 'session.login_with_password', 'root', 'secret')).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: { code: 1, message: 'HOST_IS_SLAVE', data: ['127.0.0.1'] },
    })
  })

  test('is JSON-RPC 1.0 for who sends that', async () => {
    const { url, session } = await login(await open())
    const ask = async (method: string) => {
      const body = JSON.stringify({ id: 1, method, params: [session] })
      const response = await fetch(`${url}/jsonrpc`, { method: 'POST', body })
      // Clients look for exactly this.
      expect(response.headers.get('content-type')).toBe('application/json')
      return response.json()
    }
    expect(await ask('VM.nonsense')).toEqual({ result: null, error: ['MESSAGE_METHOD_UNKNOWN', 'VM.nonsense'], id: 1 })
    expect(await ask('VBD.get_all')).toEqual({ result: [], error: null, id: 1 })
  })

  test('is XML-RPC, integers as text, text as it was sent', async () => {
    const { url, session, call } = await login(await open())
    const vm = await call('VM.create', vmRecord({ name_label: '<a> & "b"\n', other_config: { ' key ': 'ä' } }))
    const ask = async (path: string, ...parameters: string[]) => {
      const values = parameters.map((value) => `<param><value><string>${value}</string></value></param>`).join('')
      const body = `<?xml version="1.0"?><methodCall><methodName>VM.get_record</methodName><params>${values}</params></methodCall>`
      return (await fetch(url + path, { method: 'POST', body })).text()
    }
    for (const path of ['/', '/RPC2', '/xmlrpc']) {
      const reply = await ask(path, session, vm)
      expect(reply).toContain('<member><name>Status</name><value>Success</value></member>')
      expect(reply).toContain('<member><name>name_label</name><value>&lt;a&gt; &amp; "b"\n</value></member>')
      expect(reply).toContain('<member><name> key </name><value>ä</value></member>')
      expect(reply).toContain('<member><name>VCPUs_max</name><value>2</value></member>')
      expect(reply).toContain('<member><name>is_a_template</name><value><boolean>0</boolean></value></member>')
      expect(reply).toMatch(/<name>snapshot_time<\/name><value><dateTime.iso8601>19700101T00:00:00Z</)
      expect(reply).toContain('<member><name>HVM_shadow_multiplier</name><value><double>1</double></value></member>')
    }
    expect(await ask('/', session, 'none')).toContain(
      '<name>ErrorDescription</name><value><array><data><value>HANDLE_INVALID</value><value>VM</value><value>none</value>',
    )
  })

  test('refuses what is no call', async () => {
    const { urls } = await open()
    for (const path of ['/', '/jsonrpc']) {
      expect((await fetch(urls[0] + path, { method: 'POST', body: '{"nonsense":' })).status).toBe(400)
    }
    expect((await fetch(`${urls[0]}/nonsense`)).status).toBe(404)
  })
})

describe('transfers', () => {
  async function prepare(members = 1, sr = 0) {
    const pool = await open(members)
    const client = await login(pool)
    const SR = pool.control.database.all('SR')[sr]?.[0] ?? ''
    const vdi = await client.call('VDI.create', {
      SR,
      virtual_size: 4 * 1024 ** 2,
      type: 'user',
      sharable: false,
      read_only: false,
      other_config: {},
    })
    const upload = async (body: Buffer, { url = client.url, session = client.session } = {}) => {
      const task = await client.call('task.create', 'upload', '')
      const query = new URLSearchParams({ session_id: session, task_id: task, vdi, format: 'raw' })
      const response = await fetch(`${url}/import_raw_vdi?${query}`, { method: 'PUT', body, redirect: 'manual' }).catch(
        () => undefined,
      )
      // The answer ends when the disk has it all; before that it says nothing of how it goes.
      await response?.arrayBuffer().catch(() => undefined)
      return { response, record: () => pool.control.database.get('task', task) }
    }
    return { ...client, pool, vdi, upload }
  }

  const content = Buffer.from('content '.repeat(300_000))

  test('bring bytes into a disk and out of it, and end their task', async () => {
    const { url, session, vdi, upload, pool } = await prepare()
    const { record } = await upload(content)
    expect(record()).toMatchObject({ status: 'success', result: `<value>${vdi}</value>` })
    expect(pool.control.readDisk(vdi, 0, content.length).equals(content)).toBe(true)
    const { uuid } = pool.control.database.get('VDI', vdi)
    const back = await fetch(`${url}/export_raw_vdi?vdi=${uuid}`, { headers: { cookie: `session_id=${session}` } })
    const bytes = Buffer.from(await back.arrayBuffer())
    expect([bytes.length, bytes.subarray(0, content.length).equals(content)]).toEqual([4 * 1024 ** 2, true])
    expect(pool.control.database.get('VDI', vdi).VBDs).toEqual([])
  })

  test('want a session or a password', async () => {
    const { url, vdi, upload } = await prepare()
    const { response, record } = await upload(content, { session: 'OpaqueRef:none' })
    expect(response?.status).toBe(401)
    expect(record()).toMatchObject({ status: 'failure', error_info: ['SESSION_AUTHENTICATION_FAILED'] })
    const basic = (text: string) => ({ headers: { authorization: `Basic ${Buffer.from(text).toString('base64')}` } })
    expect((await fetch(`${url}/export_raw_vdi?vdi=${vdi}`, basic('root:wrong'))).status).toBe(401)
    expect((await fetch(`${url}/export_raw_vdi?vdi=${vdi}`, basic('root:secret'))).status).toBe(200)
  })

  test('are sent to a host that has the SR', async () => {
    const { upload, pool } = await prepare(2, 1)
    const { response, record } = await upload(content, { url: pool.urls[1] ?? '' })
    expect(response?.status).toBe(302)
    expect(response?.headers.get('location')).toMatch(new RegExp(`^${pool.urls[0]}/import_raw_vdi\\?`))
    expect(record().status).toBe('pending')
  })

  test('that break off, or bring too much, fail by their task', async () => {
    const { upload, pool, vdi } = await prepare()
    const error_info = ['VDI_IO_ERROR', 'Device I/O errors']
    const { SR } = pool.control.database.get('VDI', vdi)
    pool.control.leaveFree(SR, 1_000_000)
    expect((await upload(content)).record()).toMatchObject({ status: 'failure', error_info })
    pool.control.leaveFree(SR, 10_000_000)
    expect((await upload(content)).record()).toMatchObject({ status: 'success' })
    pool.control.fault('/import_raw_vdi', { kind: 'cut', afterBytes: 100_000 })
    const other = Buffer.alloc(100_000, 'other')
    expect((await upload(Buffer.concat([other, other]))).record()).toMatchObject({ status: 'failure', error_info })
    expect(
      pool.control.readDisk(vdi, 0, 200_000).equals(Buffer.concat([other, content.subarray(100_000, 200_000)])),
    ).toBe(true)
    expect((await upload(Buffer.alloc(5 * 1024 ** 2, 1))).record()).toMatchObject({ status: 'failure', error_info })
  })

  test('can be cancelled', async () => {
    const { url, session, call, pool, vdi } = await prepare()
    const task = await call('task.create', 'upload', '')
    const path = `/import_raw_vdi?${new URLSearchParams({ session_id: session, task_id: task, vdi })}`
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    // A body of which nothing comes.
    socket.write(`PUT ${path} HTTP/1.1\r\nHost: host\r\nContent-Length: 1000\r\n\r\n`)
    await once(socket, 'data')
    const closed = once(socket, 'close')
    await call('task.cancel', task)
    await closed
    expect(pool.control.database.get('task', task)).toMatchObject({ status: 'cancelled' })
  })

  test('that are not here say so', async () => {
    const { url, session, vdi } = await prepare()
    expect((await fetch(`${url}/export?session_id=${session}&uuid=x`)).status).toBe(501)
    expect((await fetch(`${url}/export_raw_vdi?session_id=${session}&vdi=${vdi}&format=vhd`)).status).toBe(501)
  })
})

test('a console opens for a machine that runs, to who has a session', async () => {
  const { url, session, call } = await login(await open())
  const vm = await call('VM.create', vmRecord())
  const { hostname, port } = new URL(url)
  const ask = async (credentials: string) => {
    const socket = connect(Number(port), hostname)
    const ref = encodeURIComponent(vm)
    socket.write(`CONNECT /console?ref=${ref}&session_id=${credentials} HTTP/1.1\r\nHost: host\r\n\r\n`)
    const [data] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return data.toString()
  }
  expect(await ask(session)).toMatch(/^HTTP\/1.1 404/)
  await call('VM.start', vm, false, false)
  expect(await ask('none')).toMatch(/^HTTP\/1.1 401/)
  expect(await ask(session)).toBe('HTTP/1.1 200 OK\r\n\r\nRFB 003.003\n')
})

describe('faults', () => {
  const labels = (pool: RunningPool) => pool.control.database.all('VM').map(([, { name_label }]) => name_label)

  test('lose a call before its effect, and an answer after it', async () => {
    const pool = await open()
    const { call } = await login(pool)
    pool.control.fault('VM.create', { kind: 'reset', when: 'before' })
    await expect(call('VM.create', vmRecord({ name_label: 'before' }))).rejects.toThrow()
    pool.control.fault('VM.create', { kind: 'reset', when: 'after' })
    await expect(call('VM.create', vmRecord({ name_label: 'after' }))).rejects.toThrow()
    await call('VM.create', vmRecord({ name_label: 'fine' }))
    expect(labels(pool)).not.toContain('before')
    expect(labels(pool)).toEqual(expect.arrayContaining(['after', 'fine']))
  })

  test('leave a call without an answer, though it is carried out', async () => {
    const pool = await open()
    const { url, session } = await login(pool)
    pool.control.fault('VM.create', { kind: 'hang', when: 'after' })
    const end = new AbortController()
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'VM.create',
      params: [session, vmRecord({ name_label: 'hung' })],
    })
    const made = new Promise<void>((resolve) => {
      pool.control.database.onChange(() => labels(pool).includes('hung') && resolve())
    })
    const hung = fetch(`${url}/jsonrpc`, { method: 'POST', body, signal: end.signal })
    await made
    end.abort()
    await expect(hung).rejects.toThrow('aborted')
  })

  test('meet either form of a call, or the asynchronous one alone', async () => {
    const pool = await open()
    const { url, session } = await login(pool)
    const error = new XapiError('INTERNAL_ERROR', 'planned')
    pool.control.fault('VM.get_all', { kind: 'fail', error }, Number.POSITIVE_INFINITY)
    pool.control.fault('Async.VM.pause', { kind: 'fail', error })
    for (let count = 0; count < 3; count++) {
      expect((await send(url, 'VM.get_all', session)).error).toMatchObject({ message: 'INTERNAL_ERROR' })
    }
    expect((await send(url, 'VM.pause', session, 'x')).error).toMatchObject({ message: 'HANDLE_INVALID' })
    expect((await send(url, 'Async.VM.pause', session, 'x')).error).toMatchObject({ data: ['planned'] })
    pool.control.clearFaults()
    expect((await send(url, 'VM.get_all', session)).error).toBeUndefined()
  })
})

describe('members', () => {
  test('go down with their machines and come back on the same address', async () => {
    const pool = await open(2)
    const { url, session, call } = await login(pool)
    const vm = await call('VM.create', vmRecord())
    const host = pool.control.database.all('host')[1]?.[0]
    await call('VM.start_on', vm, host, false, false)
    await pool.control.stopMember(1)
    await expect(send(pool.urls[1] ?? '', 'system.listMethods')).rejects.toThrow()
    expect(await call('VM.get_power_state', vm)).toBe('Halted')
    expect((await send(url, 'VM.start_on', session, vm, host, false, false)).error).toMatchObject({
      message: 'HOST_NOT_LIVE',
    })
    await pool.control.startMember(1)
    expect((await send(pool.urls[1] ?? '', 'session.login_with_password', 'root', 'secret')).error).toMatchObject({
      message: 'HOST_IS_SLAVE',
    })
    await call('VM.start_on', vm, host, false, false)
    expect(await call('VM.get_resident_on', vm)).toBe(host)
  })

  test('of which another becomes the master end the sessions', async () => {
    const pool = await open(2)
    const { url, session } = await login(pool)
    pool.control.setMaster(1)
    expect((await send(url, 'VM.get_all', session)).error).toMatchObject({ message: 'SESSION_INVALID' })
    expect((await send(url, 'session.login_with_password', 'root', 'secret')).error).toMatchObject({
      data: ['127.0.0.2'],
    })
    expect((await send(pool.urls[1] ?? '', 'session.login_with_password', 'root', 'secret')).result).toMatch(
      /^OpaqueRef:/,
    )
  })
})

test('several pools have addresses and objects of their own', async () => {
  const pools = ['a', 'b'].map((name) => ({ name, members: 2, user: 'root', password: name }))
  const simulator = await startSimulator({ pools })
  started.push(simulator)
  expect(new Set(simulator.pools.flatMap(({ urls }) => urls)).size).toBe(4)
  for (const { name, urls, control } of simulator.pools) {
    control.makeForeign(`machine of ${name}`)
    expect((await send(urls[0] ?? '', 'session.login_with_password', 'root', name)).error).toBeUndefined()
    expect(control.database.all('VM').filter(([, vm]) => vm.name_label.startsWith('machine of'))).toHaveLength(1)
  }
})
