/** What a machine at rest, its power as declared, still differs in from its spec, mended while it runs. Pure. */
import type { Desired, Observed, Step } from './model.ts'

export function planHardware(desired: Desired, observed: Observed): Step | undefined {
  return planSize(desired, observed)
}

function planSize({ runSeen }: Desired, { resize }: Observed): Step | undefined {
  return resize && runSeen ? { do: 'Resize', size: resize } : undefined
}
