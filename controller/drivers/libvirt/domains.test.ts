import { expect, test } from '@jest/globals'
import { DomainPausedReason, DomainState } from 'node-libvirt'
import { pauseReason, powerState } from './domains.ts'

const running = { id: 4 }
const off = { id: -1 }
const { PAUSED, SHUTOFF, RUNNING, CRASHED, PMSUSPENDED } = DomainState

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

test.each([
  ['by a person', PAUSED, DomainPausedReason.USER, 'Asked'],
  ['when it was reverted to a snapshot: nothing will let it go on', PAUSED, DomainPausedReason.FROM_SNAPSHOT, 'Asked'],
  ['for a reason that is not known any more', PAUSED, DomainPausedReason.UNKNOWN, 'Asked'],
  ['by itself, asleep: the number means another thing there', PMSUSPENDED, DomainPausedReason.SAVE, 'Asked'],
  ['while its memory is saved', PAUSED, DomainPausedReason.SAVE, 'Job'],
  ['while it is dumped', PAUSED, DomainPausedReason.DUMP, 'Job'],
  ['while a snapshot is made', PAUSED, DomainPausedReason.SNAPSHOT, 'Job'],
  ['while it is moved', PAUSED, DomainPausedReason.MIGRATION, 'Job'],
  ['by an error of its disk', PAUSED, DomainPausedReason.IOERROR, 'Fault'],
  ['by its watchdog', PAUSED, DomainPausedReason.WATCHDOG, 'Fault'],
  ['after a crash', PAUSED, DomainPausedReason.CRASHED, 'Fault'],
  ['after a move that failed', PAUSED, DomainPausedReason.POSTCOPY_FAILED, 'Fault'],
  ['crashed and kept', CRASHED, 1, 'Fault'],
] as const)('held %s', (_, state, reason, why) => {
  expect(pauseReason(state, reason)).toBe(why)
})
