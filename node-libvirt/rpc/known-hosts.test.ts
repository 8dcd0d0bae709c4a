import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { hostKeys } from './known-hosts.ts'

const key = Buffer.from('key').toString('base64')
const known = (hosts: string, host: string, port = 22) =>
  hostKeys(`${hosts} ssh-ed25519 ${key} comment`, host, port).known.length === 1

const hashed = (name: string) => {
  const salt = Buffer.from('salt')
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`
}

describe('known hosts', () => {
  it.each([
    ['kvm1', 'kvm1', 22],
    ['KVM1', 'kvm1', 22],
    ['a,kvm1,b', 'kvm1', 22],
    ['[kvm1]:2222', 'kvm1', 2222],
    ['fd00::1', 'fd00::1', 22],
    ['[fd00::1]:2222', 'fd00::1', 2222],
    ['*.example.org', 'kvm1.example.org', 22],
    ['kvm?', 'kvm1', 22],
    ['kvm*,!kvm2', 'kvm1', 22],
    [hashed('kvm1'), 'kvm1', 22],
    [hashed('[kvm1]:2222'), 'kvm1', 2222],
  ])('%s is %s, port %d', (hosts, host, port) => {
    expect(known(hosts, host, port)).toBe(true)
  })

  it.each([
    ['kvm1', 'kvm2', 22],
    ['kvm1', 'kvm11', 22],
    ['kvm1', 'kvm1', 2222],
    ['[kvm1]:2222', 'kvm1', 22],
    ['k.m1', 'kvm1', 22],
    ['*.example.org', 'example.org', 22],
    ['*,!kvm1', 'kvm1', 22],
    [hashed('kvm2'), 'kvm1', 22],
    ['|2|c2FsdA==|x', 'kvm1', 22],
    ['#kvm1', 'kvm1', 22],
    ['@cert-authority kvm1', 'kvm1', 22],
    ['@other kvm1', 'kvm1', 22],
  ])('%s is not %s, port %d', (hosts, host, port) => {
    expect(known(hosts, host, port)).toBe(false)
  })

  it('has every key of a host, and those that are revoked apart', () => {
    const text = `# comment\n\nkvm1 ssh-ed25519 ${key}\r\nkvm1 ssh-rsa ${key}\n@revoked * ssh-rsa ${key}\nkvm1 broken`
    const { known, revoked } = hostKeys(text, 'kvm1', 22)
    expect(known.map(({ type }) => type)).toEqual(['ssh-ed25519', 'ssh-rsa'])
    expect(revoked).toEqual([{ type: 'ssh-rsa', blob: Buffer.from('key') }])
  })
})
