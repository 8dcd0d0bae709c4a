import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type Credentials, inCluster, loadCredentials } from './credentials.ts'
import { VirtualClock } from './testing/clock.ts'

let folder: string
let clock: VirtualClock
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-credentials-'))
  clock = new VirtualClock()
})
afterEach(() => rmSync(folder, { recursive: true }))
const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

describe('in a pod', () => {
  test('token and CA are read anew, since the kubelet rotates them', async () => {
    write('token', 'one\n')
    write('ca.crt', 'CA1')
    const credentials = inCluster('10.96.0.1', '443', folder, clock)
    expect(credentials.server.origin).toBe('https://10.96.0.1')
    const first = await credentials.current()
    expect(first).toEqual({ tls: { ca: 'CA1' }, headers: { authorization: 'Bearer one' } })
    write('token', 'two')
    write('ca.crt', 'CA2')
    clock.stall(9_999)
    expect(await credentials.current()).toBe(first)
    clock.stall(1)
    expect(await credentials.current()).toEqual({ tls: { ca: 'CA2' }, headers: { authorization: 'Bearer two' } })
  })

  test('at once, where the server has refused them', async () => {
    write('token', 'one')
    write('ca.crt', 'CA')
    const credentials = inCluster('10.96.0.1', '443', folder, clock)
    await credentials.current()
    write('token', 'two')
    credentials.invalidate()
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer two' })
  })

  test('a read that fails is tried again', async () => {
    write('ca.crt', 'CA')
    const credentials = inCluster('10.96.0.1', '443', folder, clock)
    await expect(credentials.current()).rejects.toThrow(/ENOENT/)
    write('token', 'late')
    expect((await credentials.current()).headers).toEqual({ authorization: 'Bearer late' })
  })

  test('an IPv6 address', () => {
    expect(inCluster('fd00::1', '6443', folder, clock).server.href).toBe('https://[fd00::1]:6443/')
  })
})

describe('kubeconfig', () => {
  const config = (user: object, cluster: object = {}) =>
    write(
      'config',
      JSON.stringify({
        'current-context': 'main',
        clusters: [{ name: 'c', cluster: { server: 'https://api.example.org:6443/prefix', ...cluster } }],
        contexts: [
          { name: 'main', context: { cluster: 'c', user: 'u' } },
          { name: 'other', context: { cluster: 'missing', user: 'u' } },
        ],
        users: [{ name: 'u', user }],
      }),
    )
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const current = async (kubeconfig: string) => (await loadCredentials({ kubeconfig, clock })).current()

  test('client certificate, CA and server name', async () => {
    const path = config(
      { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
      { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'name' },
    )
    const { tls, headers } = await current(path)
    expect(Object.fromEntries(Object.entries(tls).map(([name, value]) => [name, String(value)]))).toEqual({
      ca: 'CA',
      cert: 'CERT',
      key: 'KEY',
      servername: 'name',
    })
    expect(headers).toEqual({})
    expect((await loadCredentials({ kubeconfig: path, clock })).server.pathname).toBe('/prefix')
  })

  test('token, and acting as someone else', async () => {
    expect((await current(config({ token: 'secret', as: 'alice' }))).headers).toEqual({
      authorization: 'Bearer secret',
      'impersonate-user': 'alice',
    })
  })

  test('name and password', async () => {
    expect((await current(config({ username: 'u', password: 'p' }))).headers).toEqual({
      authorization: `Basic ${base64('u:p')}`,
    })
  })

  test('a command that logs in', async () => {
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-command' },
    })
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'echo', args: [credential] }
    expect((await current(config({ exec }))).headers).toEqual({ authorization: 'Bearer from-command' })
  })

  describe('a command that logs in for a while', () => {
    /** Gives token-1, token-2 … */
    const counting = (status: object) => {
      const count = join(folder, 'count')
      const script = write(
        'login',
        `n=$(($(cat ${count} 2>/dev/null || echo 0) + 1)); echo $n > ${count}; printf '${JSON.stringify({
          apiVersion: 'client.authentication.k8s.io/v1',
          kind: 'ExecCredential',
          status: { ...status, token: 'token-%s' },
        })}' $n`,
      )
      writeFileSync(count, '0')
      return config({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: [script] } })
    }
    const token = async (credentials: Credentials) => (await credentials.current()).headers['authorization']

    test('is asked again when that has passed', async () => {
      const kubeconfig = counting({ expirationTimestamp: '2020-01-01T00:00:00Z' })
      const credentials = await loadCredentials({ kubeconfig, clock })
      expect(await token(credentials)).toBe('Bearer token-1')
      await clock.advance(11_000)
      expect(await token(credentials)).toBe('Bearer token-2')
    })

    test('is not asked before, however often there are requests', async () => {
      const kubeconfig = counting({ expirationTimestamp: '2999-01-01T00:00:00Z' })
      const credentials = await loadCredentials({ kubeconfig, clock })
      for (let n = 0; n < 3; n++) {
        expect(await token(credentials)).toBe('Bearer token-1')
        await clock.advance(11_000)
      }
    })

    test('is asked at once when the server refuses what it gave, though it had not ended', async () => {
      const kubeconfig = counting({ expirationTimestamp: '2999-01-01T00:00:00Z' })
      const credentials = await loadCredentials({ kubeconfig, clock })
      expect(await token(credentials)).toBe('Bearer token-1')
      credentials.invalidate()
      expect(await token(credentials)).toBe('Bearer token-2')
    })
  })

  test('what the file says anew is taken when the server refuses the old', async () => {
    const kubeconfig = config({ token: 'old' })
    const credentials = await loadCredentials({ kubeconfig, clock })
    expect((await credentials.current()).headers['authorization']).toBe('Bearer old')
    config({ token: 'new' })
    credentials.invalidate()
    expect((await credentials.current()).headers['authorization']).toBe('Bearer new')
  })

  test('a file that is being written when the server refuses the old is read again, and is no fault of anyone', async () => {
    const path = config({ token: 'old' })
    const credentials = await loadCredentials({ kubeconfig: path, clock })
    await credentials.current()
    writeFileSync(path, '{"clus')
    credentials.invalidate()
    await expect(credentials.current()).rejects.toMatchObject({ code: 'APIUnavailable' })
    config({ token: 'new' })
    expect((await credentials.current()).headers['authorization']).toBe('Bearer new')
  })

  test('a server without TLS (kubectl proxy) is used, and is shown no secret', async () => {
    const kubeconfig = config({ token: 'secret', username: 'u', password: 'p' }, { server: 'http://127.0.0.1:8001' })
    const credentials = await loadCredentials({ kubeconfig, clock })
    expect(credentials.server.origin).toBe('http://127.0.0.1:8001')
    expect(await credentials.current()).toEqual({ tls: {}, headers: {} })
  })

  test('KUBECONFIG counts where no file is named', async () => {
    const credentials = await loadCredentials({ clock, env: { KUBECONFIG: config({ token: 't' }) } })
    expect(credentials.server.hostname).toBe('api.example.org')
  })

  test.each<[string, { context?: string; missing?: boolean }, RegExp]>([
    ['a file that is not there', { missing: true }, /cannot be read/],
    ['a context that is not there', { context: 'nowhere' }, /no cluster for context "nowhere"/],
    ['a context whose cluster is not there', { context: 'other' }, /no cluster for context "other"/],
  ])('%s', async (_name, { context, missing }, message) => {
    const kubeconfig = missing ? join(folder, 'none') : config({ token: 't' })
    const loading = loadCredentials({ kubeconfig, clock, ...(context === undefined ? {} : { context }) })
    await expect(loading).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringMatching(message),
    })
  })
})
