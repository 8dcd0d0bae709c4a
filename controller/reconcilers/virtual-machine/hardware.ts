/** What a machine still differs in when its power is as declared: one step at a time. Pure. */
import { planInterfaces } from './interfaces.ts'
import type { Desired, Observed, Step } from './model.ts'

const parts: readonly ((desired: Desired, observed: Observed) => Step | undefined)[] = [planInterfaces]

export function planHardware(desired: Desired, observed: Observed): Step | undefined {
  for (const part of parts) {
    const step = part(desired, observed)
    if (step) return step
  }
  return undefined
}
