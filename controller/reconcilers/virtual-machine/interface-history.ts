/** What becomes an Event when an interface is changed. Pure. */
import type { Line } from './history.ts'
import type { Step } from './model.ts'
import { machineOf, type View } from './view.ts'

export function lineOfInterface(
  { do: action, name, macAddress }: Extract<Step, { do: 'AttachInterface' | 'DetachInterface' }>,
  view: View,
): Line {
  if (action === 'DetachInterface') {
    const note = `the guest is asked to let go of interface ${name} (${macAddress})`
    return { action, reason: 'InterfaceLeaving', note }
  }
  const wanted = view.observed.interfaces?.find((one) => one.macAddress === macAddress)
  const had = machineOf(view)?.interfaces.some((one) => one.macAddress === macAddress && one.attached)
  const where = `Network ${wanted?.network}${wanted?.spec?.antiSpoofing ? ', filtered by its MAC address' : ''}`
  return had
    ? { action, reason: 'InterfaceChanged', note: `interface ${name} (${macAddress}) is on ${where}` }
    : { action, reason: 'InterfaceAttached', note: `interface ${name} (${macAddress}) is attached to ${where}` }
}
