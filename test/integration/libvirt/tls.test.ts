import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { TlsOptions } from '../../../node-libvirt/index.ts'
import { Lab } from './support/connections.ts'

let lab: Lab

beforeAll(async () => {
  lab = await Lab.start('tls')
})

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
})

it('opens with a certificate that the server lists', async () => {
  const connection = await lab.openTLS()
  expect(await connection.getHostname()).toBe('tls')
})

const unlisted = (): TlsOptions => {
  const { clientCertificate, clientKey } = lab.hypervisor.pki.unlisted
  return { ...lab.tls, cert: readFileSync(clientCertificate), key: readFileSync(clientKey) }
}

// `ca` must be a certificate, but of another authority: the client's own will do.
const otherAuthority = (): TlsOptions => ({ ...lab.tls, ca: lab.tls.cert })

const noCertificate = (): TlsOptions => {
  const { ca } = lab.tls
  return { ca } as TlsOptions
}

it.each([
  ['our certificate is not on its list', unlisted, 'CertificateRefused'],
  ['we show none', noCertificate, 'CertificateRefused'],
  ['its certificate is of an authority that we do not trust', otherAuthority, 'CertificateInvalid'],
  ['its certificate bears another name', () => ({ ...lab.tls, servername: 'other.example' }), 'CertificateInvalid'],
])('does not open when %s', async (_why, tls, reason) => {
  const opening = lab.open(lab.hypervisor.tlsUri, { tls: tls(), callTimeout: 10_000 })
  await expect(opening).rejects.toMatchObject({
    name: 'LibvirtConnectionError',
    phase: 'open',
    reason,
    effectUnknown: false,
  })
})
