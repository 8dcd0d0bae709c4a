/** The condition DisksReady of a machine whose root disk is made. Pure. */
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue } from '../shared/conditions.ts'
import { pendingChanges } from './changes.ts'
import type { DiskFacts } from './disk-model.ts'
import { isMissing } from './disks.ts'
import { isRunning, type View } from './view.ts'

export function dataDisksReady(view: View): ConditionFact {
  const disks = (view.observed.disks ?? []).filter(concerns)
  const gone = disks.find((disk) => isMissing(disk) && disk.declared && disk.name !== 'root')
  if (gone) {
    const message = `disk ${gone.name} is gone from the host; it is never made anew by itself: bring it back, or take it out of spec.disks`
    return isFalse('DisksReady', 'DiskMissing', message)
  }
  const trouble = disks.find(({ problem }) => problem)?.problem
  if (trouble) return isFalse('DisksReady', trouble.code, trouble.message)
  const waiting = pendingChanges(view).filter(({ field }) => field.startsWith('spec.disks['))
  const made = isRunning(view) ? disks.find((disk) => isAwaited(disk) && !isListed(disk, waiting)) : undefined
  if (made) return isFalse('DisksReady', 'Creating', `disk ${made.name} is being made`)
  if (waiting.length > 0)
    return isTrue('DisksReady', 'ChangesPending', `not applied yet: ${waiting.map(({ field }) => field).join(', ')}`)
  return isTrue('DisksReady', 'AllAttached', disks.length > 1 ? 'all disks are made' : 'the root disk is made')
}

/** Of the root disk only what is told of its size: the rest is the machine's own trouble, and told as that. */
const concerns = ({ name, problem }: DiskFacts): boolean =>
  name !== 'root' || problem === undefined || problem.code === 'InvalidConfiguration' || problem.code === 'StorageFull'

const isAwaited = ({ name, declared, attached, recorded }: DiskFacts): boolean =>
  name !== 'root' && declared && recorded !== 'Removing' && !attached

const isListed = ({ name }: DiskFacts, changes: readonly { readonly field: string }[]): boolean =>
  changes.some(({ field }) => field === `spec.disks[${name}]`)
