import { describe, expect, test } from '@jest/globals'
import {
  ErrorCode,
  LibvirtAbortError,
  LibvirtConnectionError,
  LibvirtError,
  LibvirtProtocolError,
  LibvirtTimeoutError,
} from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import { mapError } from './errors.ts'

const libvirt = (code: keyof typeof ErrorCode, message: string) =>
  new LibvirtError(message, { code: ErrorCode[code], domain: 10, level: 2, procedure: 'p' })

describe('errors of libvirt', () => {
  test.each([
    ['NO_STORAGE_POOL', "Storage pool not found: no storage pool with matching name 'p'", 'PoolNotFound'],
    ['NO_NETWORK', "Network not found: no network with matching name 'lan'", 'NetworkNotFound'],
    ['NO_NETWORK', "Network not found: no network with matching name 'berth-parked'", 'HypervisorRefused'],
    ['OPERATION_TIMEOUT', 'Timed out during operation: cannot acquire state change lock', 'HypervisorBusy'],
    ['RESOURCE_BUSY', 'resource busy', 'HypervisorBusy'],
    ['STORAGE_VOL_EXIST', "storage volume 'v' exists already", 'HypervisorBusy'],
    ['INTERNAL_ERROR', "internal error: pool 'p' has asynchronous jobs running.", 'HypervisorBusy'],
    ['OPERATION_INVALID', "Requested operation is not valid: volume 'v' is still being allocated.", 'HypervisorBusy'],
    ['OPERATION_INVALID', 'Requested operation is not valid: domain is not running', 'HypervisorRefused'],
    ['SYSTEM_ERROR', 'cannot write to stream: No space left on device', 'StorageFull'],
    ['INTERNAL_ERROR', 'qemu-img: v: Could not resize: No space left on device', 'StorageFull'],
    ['ACCESS_DENIED', 'access denied', 'CredentialsInvalid'],
    ['NO_DOMAIN', 'Domain not found', 'HypervisorRefused'],
    ['INTERNAL_ERROR', 'qemu unexpectedly closed the monitor', 'HypervisorRefused'],
  ] as const)('%s: %s → %s, with its own words', (code, message, expected) => {
    for (const effect of ['Read', 'Mutation'] as const) {
      const mapped = mapError(libvirt(code, message), effect)
      expect(mapped.code).toBe(expected)
      expect(mapped.message).toContain(message)
    }
  })

  test.each([
    ['CONFIG_UNSUPPORTED', 'filterref is not supported for network interfaces of type direct', 'NotSupported'],
    ['INTERNAL_ERROR', "Failed to apply firewall command 'ebtables --concurrent -t nat -L'", 'HypervisorRefused'],
  ] as const)('a host that cannot filter packets: %s, %s → %s, with what to do', (code, message, expected) => {
    const mapped = mapError(libvirt(code, message), 'Mutation')
    expect(mapped.code).toBe(expected)
    expect(mapped.message).toContain('set antiSpoofing of its Network to Disabled')
  })

  test.each([
    [new LibvirtTimeoutError('slow', { effectUnknown: true }), 'CallTimedOut', 'HypervisorUnreachable'],
    [new LibvirtTimeoutError('slow', { effectUnknown: false }), 'HypervisorUnreachable', 'HypervisorUnreachable'],
    [new LibvirtAbortError('ended', { effectUnknown: true }), 'CallTimedOut', 'TemporaryFailure'],
    [new LibvirtAbortError('ended', { effectUnknown: false }), 'TemporaryFailure', 'TemporaryFailure'],
    [new LibvirtProtocolError('odd', { effectUnknown: true }), 'ConnectionLost', 'InternalError'],
    [established(true), 'ConnectionLost', 'HypervisorUnreachable'],
    [established(false), 'HypervisorUnreachable', 'HypervisorUnreachable'],
  ] as const)('an unknown effect is Ambiguous only where there can be one: %s', (error, mutation, read) => {
    expect(mapError(error, 'Mutation').code).toBe(mutation)
    expect(mapError(error, 'Read').code).toBe(read)
  })

  test.each([
    ['Refused', 'HypervisorUnreachable'],
    ['Unreachable', 'HypervisorUnreachable'],
    ['Timeout', 'HypervisorUnreachable'],
    ['Lost', 'HypervisorUnreachable'],
    ['CertificateInvalid', 'CertificateInvalid'],
    ['HostKeyUnknown', 'CertificateInvalid'],
    ['HostKeyChanged', 'CertificateInvalid'],
    ['AuthenticationFailed', 'CredentialsInvalid'],
    ['SSH', 'HypervisorUnreachable'],
    ['CertificateRefused', 'CredentialsInvalid'],
    ['PermissionDenied', 'CredentialsInvalid'],
    ['AuthenticationUnsupported', 'CredentialsInvalid'],
  ] as const)('no connection because of %s → %s, also in a mutation: nothing was sent', (reason, code) => {
    const error = new LibvirtConnectionError('no', { phase: 'open', reason, effectUnknown: false })
    expect(mapError(error, 'Mutation').code).toBe(code)
  })

  test('what has a code keeps it; what is unknown is our defect', () => {
    const known = new BerthError('NotLeader', 'deposed')
    expect(mapError(known, 'Mutation')).toBe(known)
    expect(mapError(new Error('?'), 'Read').code).toBe('InternalError')
  })
})

function established(effectUnknown: boolean): LibvirtConnectionError {
  return new LibvirtConnectionError('gone', { phase: 'established', reason: 'Lost', effectUnknown })
}
