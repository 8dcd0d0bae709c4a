/** What a machine at rest, its power as declared, still differs in from its spec, mended while it runs. Pure. */
import type { Desired, Observed, Step } from './model.ts'

export function planHardware(desired: Desired, observed: Observed): Step | undefined {
  return planSize(desired, observed)
}

/** A resize of before that is late would undo the next one. */
function planSize({ runSeen }: Desired, { resize, settled }: Observed): Step | undefined {
  if (!resize || !runSeen) return undefined
  return settled ? { do: 'Resize', size: resize } : { do: 'AwaitSettled' }
}
