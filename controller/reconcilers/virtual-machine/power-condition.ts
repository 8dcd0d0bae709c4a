/** The condition PowerStateSynced: whether the machine is in the state that is declared, and if not, what is under way. Pure. */
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue } from '../shared/conditions.ts'
import type { Desired, Restart, Step } from './model.ts'
import { wantsToRun } from './plan.ts'
import { isRunning, machineOf, type View } from './view.ts'

export const asDeclared: Readonly<Record<Desired['powerState'], string>> = {
  Running: 'the machine runs, as declared',
  Stopped: 'the machine is off, as declared',
  Suspended: 'the machine is off and its memory is saved, as declared',
  Paused: 'its processors are held, as declared',
}

/** From so many starts within ten minutes of each other on, a guest that crashes is said to do so in a loop. */
const loopsFrom = 4

export function powerStateSynced(view: View, step: Step): ConditionFact {
  const { desired } = view
  if (isInSync(view, step)) return isTrue('PowerStateSynced', 'InSync', asDeclared[desired.powerState])
  const restart = step.do === 'BeginRestart' ? step.restart : desired.restarting
  if (restart) return isRestarting(restart)
  if (wantsToRun(desired)) return starting(view, step)
  if (desired.powerState === 'Suspended' && isRunning(view))
    return isFalse('PowerStateSynced', 'Suspending', 'the memory of the machine is being saved')
  if (desired.claims.length > 0 || desired.recordedSlot !== undefined || isRunning(view)) return stopping(step)
  return desired.halted
    ? isTrue('PowerStateSynced', 'GuestShutDown', 'the guest shut itself down')
    : isTrue('PowerStateSynced', 'InSync', asDeclared.Stopped)
}

/** It runs, is paused or suspended as declared, under its claim. */
function isInSync(view: View, step: Step): boolean {
  const { claims, recordedSlot, runSeen, powerState, restart, restarting, halted } = view.desired
  const claimed = claims.some(({ slot, phase }) => slot === recordedSlot && phase === 'Bound')
  const seen = runSeen || step.do === 'MarkRunning' || powerState === 'Suspended'
  const restarts =
    restarting !== undefined || step.do === 'BeginRestart' || (restart !== undefined && powerState === 'Running')
  return (
    powerState !== 'Stopped' &&
    claimed &&
    seen &&
    !restarts &&
    halted === undefined &&
    machineOf(view)?.power === powerState
  )
}

const isRestarting = ({ mode, token }: Restart): ConditionFact =>
  isFalse('PowerStateSynced', 'Restarting', `${mode} restart ${token}: the machine is being stopped`)

const stopping = (step: Step): ConditionFact =>
  isFalse(
    'PowerStateSynced',
    'Stopping',
    step.do === 'AwaitShutdown' ? 'the guest was asked to shut down' : 'the machine is being stopped',
  )

/** Coarse on purpose: each other message is a write to the API server. */
function starting(view: View, step: Step): ConditionFact {
  const { vm, desired, starts } = view
  if (step.do === 'AwaitRestart') {
    const loops = vm.status?.lastStop?.by === 'Crash' && starts >= loopsFrom
    const message = 'it goes off soon after each start: the next start is delayed'
    return isFalse('PowerStateSynced', loops ? 'CrashLooping' : 'Restarting', message)
  }
  if (step.do === 'MarkStopped') {
    return step.stays
      ? isFalse('PowerStateSynced', 'Stopping', `it went off by itself (${step.by}); its slot is given back`)
      : isFalse('PowerStateSynced', 'Restarting', `it went off (${step.by}), and is started again`)
  }
  if (step.do === 'AwaitHost')
    return isFalse(
      'PowerStateSynced',
      'HostBusy',
      'the host holds it for a job of its own: a save, a snapshot or a copy',
    )
  if (isRunning(view) && desired.runSeen && desired.restart)
    return isFalse('PowerStateSynced', 'Restarting', `restart ${desired.restart.token} is about to begin`)
  if (machineOf(view)?.power === 'Suspended' || step.do === 'Unpause')
    return isFalse('PowerStateSynced', 'Resuming', 'the machine goes on where it was')
  if (isRunning(view) && desired.runSeen && desired.powerState === 'Paused')
    return isFalse('PowerStateSynced', 'Pausing', 'its processors are about to be held')
  return isFalse(
    'PowerStateSynced',
    'Starting',
    desired.claims.length === 0 ? 'it waits for a slot' : 'it is being made and started',
  )
}
