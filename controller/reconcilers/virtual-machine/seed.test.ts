import { describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { seedFiles } from './seed.ts'

const keyLine = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA alice@example'
const bootstrap = { instanceID: 'u-1', hostname: 'web', sshUser: 'root', sshAuthorizedKeys: [keyLine] }

/** As cloud-init reads it: YAML 1.1. */
const read = (text = ''): Record<string, unknown> => parse(text, { version: '1.1' })

describe('what a guest boots with first', () => {
  it('names the instance, so that first boot is done once for each', () => {
    expect(read(seedFiles(bootstrap)['meta-data'])).toEqual({ 'instance-id': 'u-1', 'local-hostname': 'web' })
  })

  it('lets root in by key where root is named, which cloud images forbid by default', () => {
    const config = seedFiles(bootstrap)['user-data'] ?? ''
    expect(config.split('\n')[0]).toBe('#cloud-config')
    expect(read(config)).toEqual({
      hostname: 'web',
      disable_root: false,
      users: [{ name: 'root', ssh_authorized_keys: [keyLine] }],
    })
  })

  it('makes another account with a locked password and all rights', () => {
    const config = read(seedFiles({ ...bootstrap, sshUser: 'ops' })['user-data'])
    expect(config).toMatchObject({ disable_root: true, users: [{ name: 'ops', lock_passwd: true }] })
  })

  it('makes no account without a key', () => {
    expect(read(seedFiles({ ...bootstrap, sshAuthorizedKeys: [] })['user-data'])).not.toHaveProperty('users')
  })

  it('splits a fully qualified name', () => {
    const config = read(seedFiles({ ...bootstrap, hostname: 'web.example.org' })['user-data'])
    expect(config).toMatchObject({ hostname: 'web', fqdn: 'web.example.org' })
  })

  it.each(['no', 'on', 'true', '123', '0x1f', '1e3', 'null', '1-2'])('keeps the name %s a name', (hostname) => {
    const files = seedFiles({ ...bootstrap, hostname })
    expect(read(files['user-data'])['hostname']).toBe(hostname)
    expect(read(files['meta-data'])['local-hostname']).toBe(hostname)
  })

  it('keeps a long key on one line', () => {
    const long = `ssh-rsa ${'A'.repeat(700)}= alice@example`
    expect(seedFiles({ ...bootstrap, sshAuthorizedKeys: [long] })['user-data']).toContain(long)
  })

  it('leaves the user’s own data as it is, and gives ours as vendor data', () => {
    const userData = '#!/bin/sh\necho "hello"\n'
    const files = seedFiles({ ...bootstrap, userData })
    expect(files['user-data']).toBe(userData)
    expect(read(files['vendor-data'])).toMatchObject({ hostname: 'web', users: [{ name: 'root' }] })
  })

  it('is the same for the same: a repeated definition changes nothing', () => {
    expect(seedFiles(bootstrap)).toEqual(seedFiles({ ...bootstrap }))
  })
})
