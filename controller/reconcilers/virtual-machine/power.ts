/**
 * How a machine gets from the power state that it is in to another: the steps of a run, of a stop and of a restart. Pure.
 * Whether it may run at all is decided before, in plan.ts.
 */
import type { ObservedMachine } from '../../hypervisor/port.ts'
import { type Desired, type Observed, type Restart, type Step, wait } from './model.ts'

/** Whether there is a process: it may be paused. */
export const runs = (machine: ObservedMachine | undefined): machine is ObservedMachine =>
  machine?.power === 'Running' || machine?.power === 'Paused'

const refusesShutdown = wait(
  'GuestRefusesShutdown',
  'the guest did not shut down within shutdownTimeout: shut it down inside, or set shutdownMode to TrySoft or Hard',
)

/** Asks the guest, gives it its time, then cuts its power; as the mode says. */
export function planPowerOff(mode: Desired['shutdownMode'], observed: Observed, machine: ObservedMachine): Step {
  const { askedLately, timedOut } = observed.shutdown
  if (mode === 'Hard') return { do: 'PowerOff' }
  if (timedOut) return mode === 'TrySoft' ? { do: 'PowerOff' } : refusesShutdown
  if (machine.power === 'Paused') {
    // Only what runs can be asked.
    if (machine.pauseReason === 'Job') return { do: 'AwaitHost' }
    if (machine.pauseReason !== 'Fault') return { do: 'Unpause' }
    return mode === 'TrySoft' ? { do: 'PowerOff' } : refusesShutdown
  }
  return askedLately ? { do: 'AwaitShutdown' } : { do: 'ShutDown' }
}

/** It is made and its claim is held: from the state that it is in to the one that is declared, a step at a time. */
export function planPowerOfRun(desired: Desired, observed: Observed, machine: ObservedMachine): Step {
  const { powerState, runSeen } = desired
  const start: Step = { do: 'Start', paused: powerState === 'Paused' }
  switch (machine.power) {
    case 'Running':
      if (!runSeen) return { do: 'MarkRunning' }
      if (powerState === 'Paused') return { do: 'Pause' }
      if (powerState === 'Suspended') return { do: desired.saving ? 'Suspend' : 'BeginSuspend' }
      return desired.restart ? beginRestart(desired.restart, observed) : { do: 'Nothing' }
    case 'Paused':
      if (machine.pauseReason === 'Job') return { do: 'AwaitHost' }
      if (powerState === 'Running' && desired.restart && runSeen) return beginRestart(desired.restart, observed)
      if (machine.pauseReason === 'Fault') return cannotGoOn
      if (powerState !== 'Paused') return { do: 'Unpause' }
      return runSeen ? { do: 'Nothing' } : { do: 'MarkRunning' }
    case 'Suspended':
      return powerState === 'Suspended' ? { do: 'Nothing' } : start
    case 'Stopped':
      // "Shut down by the guest" may be our own stop of an earlier run: only a run seen under this claim makes it a wish.
      if (runSeen) return markStopped(desired, machine)
      if (desired.restart) return { do: 'ServeRestart' }
      if (observed.outdated && desired.recordedSlot !== undefined) return { do: 'Define', slot: desired.recordedSlot }
      return observed.startDelayed ? { do: 'AwaitRestart' } : start
  }
}

const cannotGoOn = wait(
  'Drifted',
  'the host holds the machine, since it cannot go on (a disk that cannot be written, for example): mend that and resume it there, or set a new restart.token',
)

/** It may run elsewhere, on the same disk. */
const wasMigrated = wait(
  'Drifted',
  'somebody migrated the machine to another host, where it may run: nothing is started here; migrate it back, or stop it there and then set powerState to Stopped and back to Running',
)

/** Why it went off by itself, and whether it stays off. A restart that is asked for is a word of the user's. */
function markStopped({ onGuestShutdown, onCrash, powerState, restart }: Desired, machine: ObservedMachine): Step {
  const speaks = powerState !== 'Running' || restart !== undefined
  switch (machine.stopReason) {
    case 'Guest':
      return { do: 'MarkStopped', by: 'Guest', stays: onGuestShutdown === 'Stop' && !speaks }
    case 'Crash':
      return { do: 'MarkStopped', by: 'Crash', stays: onCrash === 'Stop' && !speaks }
    case 'Outside':
      return { do: 'MarkStopped', by: 'Outside', stays: false }
    case 'Migrated':
      return wasMigrated
    default:
      return { do: 'MarkStopped', by: 'Host', stays: false }
  }
}

/** Not while an earlier call may still arrive: once it is off, the machine would have to wait for that. */
const beginRestart = (restart: Restart, { settled }: Observed): Step =>
  settled ? { do: 'BeginRestart', restart } : { do: 'AwaitSettled' }

/**
 * It is stopped under its claim; that it is off is recorded, and then it is started as after any stop. Not before every
 * stop that was sent has arrived: a late one would end the next run, and be taken for the guest's own wish.
 */
export function planRestart({ mode }: Restart, desired: Desired, observed: Observed, machine: ObservedMachine): Step {
  if (machine.power === 'Suspended') return { do: 'Start', paused: false }
  if (runs(machine)) return planPowerOff(mode === 'Warm' ? 'TrySoft' : desired.shutdownMode, observed, machine)
  return observed.settled ? { do: 'MarkStopped', by: 'Berth', stays: false } : { do: 'AwaitSettled' }
}
