import { expect, test } from '@jest/globals'
import { DomainPausedReason, DomainState } from 'node-libvirt'
import { powerState } from './domains.ts'

const running = { id: 4 }
const off = { id: -1 }
const { PAUSED, SHUTOFF, RUNNING, CRASHED } = DomainState

test.each([
  ['a start that takes longer than its call', running, PAUSED, DomainPausedReason.STARTING_UP, 'Running'],
  ['a guest on its way out', running, PAUSED, DomainPausedReason.SHUTTING_DOWN, 'Running'],
  ['paused by a person', running, PAUSED, DomainPausedReason.USER, 'Paused'],
  ['paused by an error of its disk', running, PAUSED, DomainPausedReason.IOERROR, 'Paused'],
  ['crashed and kept', running, CRASHED, 0, 'Paused'],
  ['off', off, SHUTOFF, 0, 'Stopped'],
  ['off, says libxl, but with an id', running, SHUTOFF, 0, 'Running'],
  ['running', running, RUNNING, 0, 'Running'],
] as const)('%s', (_, domain, state, reason, power) => {
  expect(powerState(domain, { state, reason }, false)).toBe(power)
})
