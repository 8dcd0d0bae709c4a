import type { ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import type { Fault } from '../state/faults.ts'

/**
 * Lets the faults happen that meet a call before or after it is carried out. `lost` when it is not to be answered.
 */
export async function meetFaults(
  faults: readonly Fault[],
  when: 'before' | 'after',
  response: ServerResponse,
  clock: Clock,
): Promise<'lost' | 'fine'> {
  for (const fault of faults) {
    if (fault.kind === 'delay' && when === 'before') {
      await new Promise<void>((resolve) => void clock.after(fault.milliseconds, resolve))
    }
    if (fault.kind === 'hang' && fault.when === when) return 'lost'
    if (fault.kind === 'reset' && fault.when === when) {
      response.socket?.resetAndDestroy()
      return 'lost'
    }
  }
  return 'fine'
}
