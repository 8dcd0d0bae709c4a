import { BerthError } from '../../errors/index.ts'
import type { CallOptions, StartOptions } from '../../hypervisor/port.ts'
import { failedWith } from './errors.ts'
import { powerOf, requireIdle, requireOwn, type VM } from './machines.ts'
import type { PoolView } from './pool.ts'

/** See `Session.start`. The pool chooses the host. A suspended machine goes on from its memory; its guest asks Xen for the time. */
export async function start(view: PoolView, instanceID: string, options: StartOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} is there.`)
  requireIdle(own.vm)
  const power = powerOf(own.vm)
  if (power === 'Running' || power === 'Paused') return
  const call = power === 'Suspended' ? 'VM.resume' : 'VM.start'
  const { paused = false } = options
  await unlessAlready(['running', 'paused'], () => view.client.run(call, [own.vm.ref, paused, false], options))
}

/** See `Session.pause`. */
export async function pause(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const vm = await requireRunning(view, instanceID)
  if (powerOf(vm) === 'Running') await unlessAlready(['paused'], () => view.client.run('VM.pause', [vm.ref], options))
}

/** See `Session.unpause`. */
export async function unpause(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const vm = await requireRunning(view, instanceID)
  if (powerOf(vm) === 'Paused') await unlessAlready(['running'], () => view.client.run('VM.unpause', [vm.ref], options))
}

/** See `Session.suspend`. The pool chooses the SR. It refuses a paused machine, and one whose guest says that it cannot. */
export async function suspend(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own !== undefined && powerOf(own.vm) === 'Suspended') return
  const vm = await requireRunning(view, instanceID)
  await unlessAlready(['suspended'], () => view.client.run('VM.suspend', [vm.ref], options))
}

/** See `Session.discardMemory`. XAPI destroys what it was saved to. */
export async function discardMemory(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined || powerOf(own.vm) !== 'Suspended') return
  requireIdle(own.vm)
  await unlessAlready(['halted'], () => view.client.run('VM.hard_shutdown', [own.vm.ref], options))
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

/** See `Session.powerOff`. Absent or off already: nothing. XAPI gives up asking the guest, or saving it, for it. */
export async function powerOff(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) return
  requireIdle(own.vm, 'clean_shutdown', 'clean_reboot', 'suspend')
  const power = powerOf(own.vm)
  // XAPI would throw a saved memory away with it.
  if (power === 'Stopped' || power === 'Suspended') return
  await unlessAlready(['halted'], () => view.client.run('VM.hard_shutdown', [own.vm.ref], options))
}

/** Refuses what is absent, off, or at which the pool is at work. */
export async function requireRunning(view: PoolView, instanceID: string): Promise<VM> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own !== undefined) requireIdle(own.vm)
  const power = own && powerOf(own.vm)
  if (own !== undefined && (power === 'Running' || power === 'Paused')) return own.vm
  throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} runs.`)
}

/** Another call was quicker. `states`: as XAPI writes them there. */
async function unlessAlready(states: readonly string[], call: () => Promise<void>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!isAlready(error, states)) throw error
  }
}

/** VM_BAD_POWER_STATE tells the machine, the state that was expected, and the one that it has. */
function isAlready(error: unknown, states: readonly string[]): boolean {
  if (!failedWith(error, 'VM_BAD_POWER_STATE')) return false
  const { params } = (error as BerthError).cause as { readonly params: readonly string[] }
  return states.includes(params[2]?.toLowerCase() ?? '')
}
