/** What a machine still differs in when its power is as declared: one step at a time. Pure. */
import { planDisks } from './disks.ts'
import { planInterfaces } from './interfaces.ts'
import type { Desired, Observed, Step } from './model.ts'

type Part = (desired: Desired, observed: Observed) => Step | undefined

const parts: readonly Part[] = [planSize, planDisks, planInterfaces]
/** Of size and interfaces nobody can tell what the spec has changed from what was done on the host: they wait for a start. */
const whereDriftIsReported: readonly Part[] = [planDisks]

export function planHardware(desired: Desired, observed: Observed): Step | undefined {
  for (const part of desired.reportsDrift ? whereDriftIsReported : parts) {
    const step = part(desired, observed)
    if (step) return step
  }
  return undefined
}

/** A resize of before that is late would undo the next one. */
function planSize({ runSeen }: Desired, { resize, settled }: Observed): Step | undefined {
  if (!resize || !runSeen) return undefined
  return settled ? { do: 'Resize', size: resize } : { do: 'AwaitSettled' }
}
