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
    '',
    'qemu',
    'qemu:/system',
    '/var/run/libvirt/libvirt-sock',
    'qemu+tls:///system',
    'qemu+unix://host/system',
    'qemu+ssh://host/system',
    'qemu+tcp://host/system',
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
  })
})
