import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { FakeKubeClient } from '../../kube/testing/fake-client.ts'
import { aHypervisor } from '../testing/lab.ts'
import { readCredentials } from './credentials.ts'

const { signal } = new AbortController()
const tls = 'qemu+tls://kvm1/system'
const base64 = (text: string) => Buffer.from(text).toString('base64')
let kube: FakeKubeClient
let folder: string

beforeEach(async () => {
  kube = new FakeKubeClient()
  folder = await mkdtemp(join(tmpdir(), 'berth-credentials-'))
})
afterEach(() => rm(folder, { recursive: true }))

const read = (credentials?: object, uri = tls) =>
  readCredentials(
    aHypervisor('kvm1', { libvirt: { uri }, ...(credentials ? { credentials } : {}) }),
    kube,
    'berth-system',
    signal,
  )
const readForPool = (credentials?: object) =>
  readCredentials(
    aHypervisor('xcp', {
      libvirt: undefined,
      xapi: { members: ['https://xcp1'] },
      ...(credentials ? { credentials } : {}),
    }),
    kube,
    'berth-system',
    signal,
  )
const secret = (namespace: string, data: Record<string, string>) =>
  kube.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace }, data } as never)
const complete = { 'tls.crt': 'certificate', 'tls.key': 'key', 'ca.crt': 'authority' }
const expected = { clientCertificate: 'certificate', clientKey: 'key', certificateAuthority: 'authority' }

describe('credentials', () => {
  it('are not needed without TLS', async () => {
    await expect(read(undefined, 'qemu+tcp://kvm1/system')).resolves.toBeUndefined()
  })

  it('come from a Secret of Berth’s own namespace', async () => {
    secret('berth-system', Object.fromEntries(Object.entries(complete).map(([key, value]) => [key, base64(value)])))
    await expect(read({ secretRef: { name: 'login' } })).resolves.toEqual(expected)
  })

  it('never from another namespace', async () => {
    secret('team', { 'tls.crt': base64('x') })
    await expect(read({ secretRef: { name: 'login' } })).rejects.toMatchObject({ code: 'SecretNotFound' })
  })

  it('come from a mounted folder, where other files mean nothing', async () => {
    for (const [name, value] of Object.entries({ ...complete, other: 'x' })) await writeFile(join(folder, name), value)
    await expect(read({ file: folder })).resolves.toEqual(expected)
  })

  it('of a XAPI pool are a name and a password; a CA may be among them', async () => {
    await expect(readForPool()).rejects.toMatchObject({ code: 'SecretNotFound' })
    secret('berth-system', { username: base64('root') })
    await expect(readForPool({ secretRef: { name: 'login' } })).rejects.toMatchObject({
      code: 'SecretKeyMissing',
      message: 'spec.credentials.secretRef: Secret login lacks password',
    })
    secret('berth-system', { username: base64('root'), password: base64('secret'), 'ca.crt': base64('authority') })
    await expect(readForPool({ secretRef: { name: 'login' } })).resolves.toEqual({
      username: 'root',
      password: 'secret',
      certificateAuthority: 'authority',
    })
  })

  it('are missed by name, and told by no value', async () => {
    secret('berth-system', { 'tls.crt': base64('secret-value') })
    const refused = read({ secretRef: { name: 'login' } })
    await expect(refused).rejects.toMatchObject({
      code: 'SecretKeyMissing',
      message: 'spec.credentials.secretRef: Secret login lacks tls.key, ca.crt',
    })
  })

  describe('for SSH', () => {
    const ssh = 'qemu+ssh://root@kvm1/system'

    it.each([
      [{ 'ssh-privatekey': 'key' }, { sshPrivateKey: 'key' }],
      [
        { username: 'admin', password: 'word' },
        { username: 'admin', password: 'word' },
      ],
    ])('are a key or a password: %j', async (data, credentials) => {
      secret('berth-system', Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])))
      await expect(read({ secretRef: { name: 'login' } }, ssh)).resolves.toEqual(credentials)
    })

    it('are missed', async () => {
      secret('berth-system', { username: base64('admin') })
      await expect(read({ secretRef: { name: 'login' } }, ssh)).rejects.toMatchObject({
        code: 'SecretKeyMissing',
        message: 'spec.credentials.secretRef: Secret login lacks ssh-privatekey or password',
      })
      await expect(read(undefined, ssh)).rejects.toMatchObject({ code: 'SecretNotFound' })
    })
  })

  it.each([
    ['are needed for TLS', undefined, 'SecretNotFound'],
    ['may be in a folder that is not there', { file: '/nowhere/at/all' }, 'FileNotFound'],
    ['may be in a file that is no folder', { file: import.meta.filename }, 'FileNotFound'],
  ])('%s', async (_, credentials, code) => {
    await expect(read(credentials)).rejects.toMatchObject({ code })
  })
})
