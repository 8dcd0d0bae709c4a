import { BerthError } from '../../errors/index.ts'
import type { CallOptions } from '../../hypervisor/port.ts'
import { failedWith } from './errors.ts'
import { powerOf, requireIdle, requireOwn } from './machines.ts'
import type { PoolView } from './pool.ts'

/** See `Session.start`. The pool chooses the host. A suspended machine goes on from its memory. */
export async function start(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} is there.`)
  requireIdle(own.vm)
  const power = powerOf(own.vm)
  if (power === 'Running' || power === 'Paused') return
  const call = power === 'Suspended' ? 'VM.resume' : 'VM.start'
  await unlessAlready('running', () => view.client.run(call, [own.vm.ref, false, false], options))
}

/** A guest that cannot be asked, or whose answer is waited for already, is as one that does not listen. */
const deaf = [
  'VM_LACKS_FEATURE',
  'VM_LACKS_FEATURE_SHUTDOWN',
  'VM_MISSING_PV_DRIVERS',
  'VM_OLD_PV_DRIVERS',
  'OTHER_OPERATION_IN_PROGRESS',
]

/** See `Session.shutdown`. Absent or off already: nothing. */
export async function shutdown(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined || powerOf(own.vm) !== 'Running') return
  try {
    await view.client.read('VM.assert_operation_valid', [own.vm.ref, 'clean_shutdown'], options)
  } catch (error) {
    if (failedWith(error, ...deaf)) return
    throw error
  }
  const task = await view.client.begin('VM.clean_shutdown', [own.vm.ref], options)
  // Waits for the guest, for many minutes if need be; nobody waits for it here.
  void view.client.follow(task, {}, Number.POSITIVE_INFINITY).catch(() => undefined)
}

/** See `Session.powerOff`. Absent or off already: nothing. It need not wait for a guest that is being asked. */
export async function powerOff(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) return
  requireIdle(own.vm, 'clean_shutdown', 'clean_reboot')
  if (powerOf(own.vm) === 'Stopped') return
  await unlessAlready('halted', () => view.client.run('VM.hard_shutdown', [own.vm.ref], options))
}

/** Another call was quicker. */
async function unlessAlready(state: 'running' | 'halted', call: () => Promise<void>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!isAlready(error, state)) throw error
  }
}

/** VM_BAD_POWER_STATE tells the machine, the state that was expected, and the one that it has. */
function isAlready(error: unknown, state: string): boolean {
  if (!failedWith(error, 'VM_BAD_POWER_STATE')) return false
  const { params } = (error as BerthError).cause as { readonly params: readonly string[] }
  return params[2]?.toLowerCase() === state
}
