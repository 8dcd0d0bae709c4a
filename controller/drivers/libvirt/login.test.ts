import { expect, test } from '@jest/globals'
import { connectionOptions } from './login.ts'

const callTimeout = 1_000
const tls = { certificateAuthority: 'ca', clientCertificate: 'cert', clientKey: 'key' }
const user = { username: 'u', password: 'p' }

test.each([
  ['qemu:///system', {}, {}],
  ['qemu:///system', user, { sasl: user }],
  ['qemu+tcp://h/system', {}, {}],
  ['qemu+tls://h/system', tls, { tls: { ca: 'ca', cert: 'cert', key: 'key' } }],
  ['qemu+tls://h/system', { ...tls, ...user }, { tls: { ca: 'ca', cert: 'cert', key: 'key' }, sasl: user }],
  [
    'qemu+ssh://h/system',
    { sshPrivateKey: 'k', username: 'u' },
    { ssh: { knownHosts: 'h ssh-ed25519 AAAA', privateKey: 'k', username: 'u' } },
  ],
])('%s: credentials %j', (uri, credentials, options) => {
  const target = { uri, credentials, callTimeout, knownHosts: 'h ssh-ed25519 AAAA' }
  expect(connectionOptions(target)).toEqual({ callTimeout, ...options })
})

test('SSH without known hosts believes nobody', () => {
  expect(connectionOptions({ uri: 'qemu+ssh://h/system', callTimeout }).ssh?.knownHosts).toBe('')
})

test('TLS without certificates is refused here', () => {
  expect(() => connectionOptions({ uri: 'qemu+tls://h/system', callTimeout })).toThrow(/TLS needs/)
})
