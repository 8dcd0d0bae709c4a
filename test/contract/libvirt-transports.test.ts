import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  type Connection,
  type ConnectionErrorReason,
  type ConnectionOptions,
  DomainEventType,
  ErrorCode,
  type SshOptions,
  type StorageVolume,
  type TlsOptions,
} from '../../node-libvirt/index.ts'
import { eventually, Lab } from '../integration/libvirt/support/connections.ts'

// Every transport against a libvirtd and an OpenSSH server that are set up for it: the same suite over each, and who
// must not come in, or must not be believed.

const user = { username: 'controller@berth', password: 'se=c,ret ü' }

/** Without SASL: unix, TCP, TLS, SSH. */
let open: Lab
/** TLS and TCP demand a user. */
let closed: Lab

beforeAll(async () => {
  ;[open, closed] = await Promise.all([
    Lab.start('open', { tcp: true, ssh: true }),
    Lab.start('closed', { tcp: true, sasl: user }),
  ])
})

afterAll(async () => {
  await Promise.all([open, closed].map((lab) => lab?.[Symbol.asyncDispose]()))
})

const sshd = () => {
  const { ssh } = open.hypervisor
  if (ssh === undefined) throw new Error('no SSH server')
  return ssh
}

const overSSH = (options: Partial<SshOptions>): ConnectionOptions => ({
  ssh: { knownHosts: sshd().knownHosts, ...options },
})

interface Transport {
  readonly lab: () => Lab
  readonly uri: () => string
  readonly options: () => ConnectionOptions
}

const transports: Readonly<Record<string, Transport>> = {
  unix: { lab: () => open, uri: () => open.hypervisor.uri, options: () => ({}) },
  TCP: { lab: () => open, uri: () => open.hypervisor.tcpUri, options: () => ({}) },
  TLS: { lab: () => open, uri: () => open.hypervisor.tlsUri, options: () => ({ tls: open.tls }) },
  'TLS with SASL': {
    lab: () => closed,
    uri: () => closed.hypervisor.tlsUri,
    options: () => ({ tls: closed.tls, sasl: user }),
  },
  SSH: {
    lab: () => open,
    uri: () => sshd().uri,
    options: () => overSSH({ privateKey: readFileSync(sshd().privateKey) }),
  },
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  )

describe.each(Object.entries(transports))('%s', (transport, { lab: labOf, uri, options }) => {
  const size = 24 * 1024 * 1024 + 7
  const data = randomBytes(size)
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  let lab: Lab
  let connection: Connection
  let volume: StorageVolume

  beforeAll(async () => {
    lab = labOf()
    connection = await lab.open(uri(), options())
    const pool = await connection.lookupStoragePoolByName(lab.hypervisor.poolName)
    volume = await pool.createVolume(
      `<volume><name>bytes-${transport}</name><capacity unit='bytes'>${size}</capacity></volume>`,
    )
  })

  it('brings back the bytes that were sent, while calls are answered', async () => {
    const pieces = Array.from({ length: 25 }, (_, index) => data.subarray(index << 20, (index + 1) << 20))
    const stream = await volume.upload({ length: size })
    const [, names] = await Promise.all([
      pipeline(Readable.from(pieces), stream),
      Promise.all(Array.from({ length: 20 }, () => connection.getHostname())),
    ])
    expect(new Set(names)).toEqual(new Set([lab.hypervisor.name]))
    const back = Buffer.concat(await (await volume.download()).toArray())
    expect(digest(back)).toBe(digest(data))
    const part = Buffer.concat(await (await volume.download({ offset: 1000, length: 500_000 })).toArray())
    expect(part.equals(data.subarray(1000, 501_000))).toBe(true)
  })

  it('goes on after transfers that were given up in the middle', async () => {
    const stream = await volume.upload()
    stream.write(Buffer.alloc(300_000))
    stream.destroy()
    const download = await volume.download()
    for await (const chunk of download) {
      expect((chunk as Buffer).length).toBeGreaterThan(0)
      break
    }
    expect(download.destroyed).toBe(true)
    expect(await connection.getHostname()).toBe(lab.hypervisor.name)
    const again = Buffer.concat(await (await volume.download({ offset: size - 10, length: 10 })).toArray())
    expect(again.equals(data.subarray(-10))).toBe(true)
  })

  it('reports that a volume can take no more', async () => {
    const stream = await volume.upload({ offset: size - 5, length: 5 })
    stream.end(Buffer.alloc(1_000_000))
    expect(await rejection(finished(stream))).toMatchObject({ name: 'LibvirtError' })
    expect(await connection.getHostname()).toBe(lab.hypervisor.name)
  })

  it('is refused before it starts when the volume is gone', async () => {
    await volume.delete()
    expect(await rejection(volume.upload())).toMatchObject({ code: ErrorCode.NO_STORAGE_VOL })
  })

  it('tells of events', async () => {
    const seen: number[] = []
    await connection.subscribe('domainLifecycle', ({ domain, event }) => {
      if (domain.name === `over ${transport}`) seen.push(event)
    })
    const domain = await connection.defineDomain(
      `<domain type='qemu'><name>over ${transport}</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>`,
    )
    await domain.undefine()
    const { DEFINED, UNDEFINED } = DomainEventType
    await eventually(() => seen.length >= 2)
    expect(seen).toEqual([DEFINED, UNDEFINED])
  })

  it('passes on refusals as they are', async () => {
    const error = await rejection(connection.lookupDomainByName('absent'))
    expect(error).toMatchObject({ name: 'LibvirtError', code: ErrorCode.NO_DOMAIN })
  })

  it('answers every one of many calls, 16 at the server', async () => {
    for (let round = 0; round < 8; round++) {
      // A ping would free what is stuck (two messages in one TLS record), so there are none, and the deadline is
      // shorter than the server's interval.
      const limits = { maxConcurrentCalls: 16, keepalive: { interval: 0, count: 0 } }
      const burst = await lab.open(uri(), { ...options(), ...limits })
      const names = await Promise.all(Array.from({ length: 200 }, () => burst.getHostname({ timeout: 4_000 })))
      expect(new Set(names)).toEqual(new Set([lab.hypervisor.name]))
      await burst.close()
    }
  })

  it('is held by keepalive, and closes in order', async () => {
    const quiet = await lab.open(uri(), { ...options(), keepalive: { interval: 20, count: 3 } })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(quiet.isAlive).toBe(true)
    await quiet.close()
    expect(await quiet.closed).toBeUndefined()
  })
})

const unlisted = (): TlsOptions => {
  const { clientCertificate, clientKey } = open.hypervisor.pki.unlisted
  return { ...open.tls, cert: readFileSync(clientCertificate), key: readFileSync(clientKey) }
}

// `ca` must be a certificate, but of another authority: the client's own will do.
const otherAuthority = (): TlsOptions => ({ ...open.tls, ca: open.tls.cert })

const key = (path: string) => ({ privateKey: readFileSync(path) })

/** The server's name with another key. */
const otherKey = () => `${sshd().knownHosts.split(' ')[0]} ${readFileSync(`${sshd().strangerKey}.pub`, 'utf8')}`

const refusals: readonly (readonly [
  why: string,
  uri: () => string,
  options: () => ConnectionOptions,
  reason: ConnectionErrorReason,
])[] = [
  ['TLS: our name is not on its list', () => open.hypervisor.tlsUri, () => ({ tls: unlisted() }), 'CertificateRefused'],
  [
    'TLS: we show no certificate',
    () => open.hypervisor.tlsUri,
    () => ({ tls: { ca: open.tls.ca } as TlsOptions }),
    'CertificateRefused',
  ],
  [
    'TLS: its certificate is of another authority',
    () => open.hypervisor.tlsUri,
    () => ({ tls: otherAuthority() }),
    'CertificateInvalid',
  ],
  [
    'TLS: its certificate bears another name',
    () => open.hypervisor.tlsUri,
    () => ({ tls: { ...open.tls, servername: 'other.example' } }),
    'CertificateInvalid',
  ],
  [
    'SASL: another password',
    () => closed.hypervisor.tlsUri,
    () => ({ tls: closed.tls, sasl: { ...user, password: 'other' } }),
    'AuthenticationFailed',
  ],
  [
    'SASL: another user',
    () => closed.hypervisor.tlsUri,
    () => ({ tls: closed.tls, sasl: { ...user, username: 'other@berth' } }),
    'AuthenticationFailed',
  ],
  ['SASL: no user', () => closed.hypervisor.tlsUri, () => ({ tls: closed.tls }), 'AuthenticationFailed'],
  [
    'SASL over plain TCP: libvirtd has no mechanism for it',
    () => closed.hypervisor.tcpUri,
    () => ({ sasl: user }),
    'AuthenticationUnsupported',
  ],
  ['SSH: another key', () => sshd().uri, () => overSSH(key(sshd().strangerKey)), 'AuthenticationFailed'],
  ['SSH: another password', () => sshd().uri, () => overSSH({ password: 'other' }), 'AuthenticationFailed'],
  [
    'SSH: a key without its passphrase',
    () => sshd().uri,
    () => overSSH(key(sshd().encryptedKey)),
    'AuthenticationFailed',
  ],
  [
    'SSH: another passphrase',
    () => sshd().uri,
    () => overSSH({ ...key(sshd().encryptedKey), passphrase: 'other' }),
    'AuthenticationFailed',
  ],
  ['SSH: an unknown host', () => sshd().uri, () => overSSH({ password: 'x', knownHosts: '' }), 'HostKeyUnknown'],
  [
    'SSH: a host with another key',
    () => sshd().uri,
    () => overSSH({ password: 'x', knownHosts: otherKey() }),
    'HostKeyChanged',
  ],
  [
    'SSH: a socket that is not there',
    () => `${sshd().uri}?socket=/nowhere`,
    () => overSSH({ password: sshd().password }),
    'Refused',
  ],
]

it.each(refusals)('does not open: %s', async (_why, uri, options, reason) => {
  const error = await rejection(open.open(uri(), { callTimeout: 10_000, ...options() }))
  expect(error).toMatchObject({ name: 'LibvirtConnectionError', phase: 'open', reason, effectUnknown: false })
})

it.each([
  ['a password', () => ({ password: sshd().password })],
  ['an encrypted key', () => ({ ...key(sshd().encryptedKey), passphrase: sshd().passphrase })],
])('SSH takes %s', async (_what, login) => {
  expect(await (await open.open(sshd().uri, overSSH(login()))).getHostname()).toBe('open')
})

it('notices over SSH that the daemon was killed', async () => {
  const connection = await open.open(sshd().uri, overSSH({ password: sshd().password }))
  await open.hypervisor.killDaemon()
  expect(await connection.closed).toMatchObject({ phase: 'established', reason: 'Lost' })
  await open.hypervisor.restartDaemon()
})
