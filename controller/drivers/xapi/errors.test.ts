import { describe, expect, test } from '@jest/globals'
import { failedWith, mapError, mapFailure } from './errors.ts'
import { capabilitiesOf } from './host.ts'
import { addressesOf } from './observe.ts'

describe('what XAPI says', () => {
  test.each([
    ['OTHER_OPERATION_IN_PROGRESS', 'HypervisorBusy'],
    ['HANDLE_INVALID', 'HypervisorBusy'],
    ['VM_BAD_POWER_STATE', 'HypervisorBusy'],
    ['SR_FULL', 'StorageFull'],
    ['SESSION_AUTHENTICATION_FAILED', 'CredentialsInvalid'],
    ['SESSION_INVALID', 'HypervisorUnreachable'],
    ['HOST_IS_SLAVE', 'HypervisorUnreachable'],
    ['OPERATION_BLOCKED', 'HypervisorRefused'],
    ['NO_HOSTS_AVAILABLE', 'HypervisorRefused'],
    ['HOST_NOT_ENOUGH_FREE_MEMORY', 'HypervisorRefused'],
    ['SOMETHING_NEW', 'HypervisorRefused'],
  ])('%s is %s', (code, expected) => {
    const error = mapFailure({ code, params: ['OpaqueRef:x', 'words'] })
    expect(error.code).toBe(expected)
    expect(error.message).toContain(code)
    expect(failedWith(error, code)).toBe(true)
    expect(failedWith(error, 'ANOTHER')).toBe(false)
  })

  test("a session's reference is a secret", () => {
    const error = mapFailure({ code: 'SESSION_INVALID', params: ['OpaqueRef:secret'] })
    expect(JSON.stringify([error.message, error.cause])).not.toContain('secret')
  })
})

describe('calls without an answer', () => {
  const error = (fields: object) => Object.assign(new Error('why'), fields)
  test.each([
    ['late', error({ name: 'TimeoutError' }), 'CallTimedOut', 'HypervisorUnreachable'],
    ['not waited for', error({ name: 'AbortError' }), 'CallTimedOut', 'TemporaryFailure'],
    ['cut off', error({ code: 'ECONNRESET' }), 'ConnectionLost', 'HypervisorUnreachable'],
    ['answered with rubbish', error({}), 'ConnectionLost', 'HypervisorUnreachable'],
    ['never sent', error({ code: 'ECONNREFUSED' }), 'HypervisorUnreachable', 'HypervisorUnreachable'],
  ])('%s: Ambiguous only where something could have changed', (_, cause, mutation, read) => {
    expect(mapError(cause, 'Mutation').code).toBe(mutation)
    expect(mapError(cause, 'Read').code).toBe(read)
  })
})

test('addresses of one interface alone, each once', () => {
  const networks = {
    '0/ip': '10.0.0.1',
    '0/ipv4/0': '10.0.0.1',
    '0/ipv6/0': 'fe80::1',
    '1/ip': '10.0.0.2',
    '0/ipv4/1': '',
  }
  expect(addressesOf(networks, '0')).toEqual(['10.0.0.1', 'fe80::1'])
  expect(addressesOf(networks, '1')).toEqual(['10.0.0.2'])
  expect(addressesOf({}, '0')).toEqual([])
})

test('a pool can do what every host of it can', () => {
  const both = { capabilities: ['xen-3.0-x86_64', 'xen-3.0-x86_32p', 'hvm-3.0-x86_64'] }
  expect(capabilitiesOf([both])).toMatchObject({ architectures: ['x86_64'], modes: ['HVM', 'PV'], firmware: ['BIOS'] })
  expect(capabilitiesOf([both, { capabilities: ['xen-3.0-x86_64'] }])).toMatchObject({ modes: ['PV'], firmware: [] })
  expect(capabilitiesOf([])).toMatchObject({ architectures: [], modes: [] })
})
