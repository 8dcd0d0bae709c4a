import { describe, expect, it } from '@jest/globals'
import { parseURI } from './uri.ts'

const libvirtd = '/var/run/libvirt/libvirt-sock'

describe('parseURI', () => {
  it.each([
    ['qemu:///system', 'qemu:///system', [libvirtd, '/var/run/libvirt/virtqemud-sock']],
    ['qemu+unix:///system', 'qemu:///system', [libvirtd, '/var/run/libvirt/virtqemud-sock']],
    ['test:///default', 'test:///default', [libvirtd]],
    ['qemu+unix:///system?socket=/run/a%20b', 'qemu:///system', ['/run/a b']],
    ['test+unix:///default?socket=/x', 'test:///default', ['/x']],
    ['qemu:///session?socket=/x', 'qemu:///session', ['/x']],
  ])('%s is local', (uri, name, paths) => {
    expect(parseURI(uri)).toEqual({ name, address: { transport: 'unix', paths } })
  })

  it.each([
    ['qemu+tls://host.example/system', 'host.example', 16514],
    ['qemu://host.example/system', 'host.example', 16514],
    ['qemu+tls://10.0.0.1:5555/system', '10.0.0.1', 5555],
    ['qemu+tls://[fd00::1]:5555/system', 'fd00::1', 5555],
  ])('%s is by TLS', (uri, host, port) => {
    expect(parseURI(uri)).toEqual({ name: 'qemu:///system', address: { transport: 'tls', host, port } })
  })

  it.each([
    ['qemu+tcp://host.example/system', { transport: 'tcp', host: 'host.example', port: 16509 }],
    ['qemu+tcp://host.example:1/system', { transport: 'tcp', host: 'host.example', port: 1 }],
    [
      'qemu+ssh://root@host.example/system',
      {
        transport: 'ssh',
        host: 'host.example',
        port: 22,
        user: 'root',
        paths: [libvirtd, '/var/run/libvirt/virtqemud-sock'],
      },
    ],
    [
      'qemu+ssh://a%40b@[fd00::1]:2222/session?socket=/run/user/1/libvirt/libvirt-sock',
      {
        transport: 'ssh',
        host: 'fd00::1',
        port: 2222,
        user: 'a@b',
        paths: ['/run/user/1/libvirt/libvirt-sock'],
      },
    ],
    ['qemu+ssh://host/system?socket=/x', { transport: 'ssh', host: 'host', port: 22, user: undefined, paths: ['/x'] }],
  ])('%s', (uri, address) => {
    expect(parseURI(uri)).toEqual({ name: uri.includes('session') ? 'qemu:///session' : 'qemu:///system', address })
  })

  it('refuses a password in the URI, without showing it', () => {
    expect(() => parseURI('qemu+ssh://user:SECRET@host/system')).toThrow(/^(?!.*SECRET).*password/)
  })

  it.each([
    '',
    'qemu',
    'qemu:/system',
    '/var/run/libvirt/libvirt-sock',
    'qemu+tls:///system',
    'qemu+unix://host/system',
    'qemu+ssh:///system',
    'qemu+ssh://user@host/session',
    'qemu+ssh://user@host/system?socket=x',
    'qemu+libssh://user@host/system',
    'qemu+tcp:///system',
    'qemu+tcp://user@host/system',
    'qemu+tcp://host/system?socket=/x',
    'qemu+tls+x://host/system',
    'qemu+tls://user@host/system',
    'qemu+unix:///system?socket=relative',
    'qemu:///session',
  ])('refuses %j', (uri) => {
    expect(() => parseURI(uri)).toThrow(TypeError)
  })

  it('refuses parameters that it would not honour: no_verify must not be thought to work', () => {
    expect(() => parseURI('qemu+tls://host/system?no_verify=1')).toThrow('parameter not supported: no_verify')
    expect(() => parseURI('qemu:///system?mode=auto')).toThrow(TypeError)
    expect(() => parseURI('qemu+ssh://user@host/system?known_hosts=/dev/null')).toThrow(TypeError)
  })
})
