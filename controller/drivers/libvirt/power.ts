import {
  type Connection,
  DomainCreateFlags,
  DomainSaveFlags,
  DomainState,
  type CallOptions as LibvirtCallOptions,
} from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import { findOwnDomain, ifDefined, isQEMU, type OwnDomain, powerState, readPauseReason } from './domains.ts'
import { isLibvirtError } from './errors.ts'
import { defineFilters } from './packet-filters.ts'

/** `ClockBehind`: a guest that was held goes on now. One of Xen's asks Xen for the time, and has no channel for an agent. */
export type Outcome = 'Done' | 'ClockBehind'

const goesOn = ({ reading }: OwnDomain): Outcome => (isQEMU(reading) ? 'ClockBehind' : 'Done')

/** See `Session.start`. A saved state is gone on from. */
export async function start(
  connection: Connection,
  instanceID: string,
  paused: boolean,
  options: LibvirtCallOptions,
): Promise<Outcome> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} is defined.`)
  if (await own.domain.isActive(options)) {
    const state = await own.domain.getState(options)
    await requireNoJob(own, state, options)
    if (state.state !== DomainState.SHUTOFF) return 'Done'
    throw new BerthError('HypervisorBusy', `Domain '${own.domain.name}' is off, but the host still tidies up after it.`)
  }
  const hasManagedSave = await own.domain.hasManagedSave(options)
  if (own.reading.parked && hasManagedSave) {
    throw new BerthError('HypervisorRefused', `Domain '${own.domain.name}' is parked; its saved state is not started.`)
  }
  // Somebody may have removed what the domain refers to.
  await defineFilters(connection, own.reading.interfaces, true, options)
  try {
    await own.domain.create(paused ? DomainCreateFlags.PAUSED : 0, options)
  } catch (error) {
    if (isLibvirtError(error, 'OPERATION_INVALID') && error.message.includes('already running')) return 'Done'
    throw error
  }
  return hasManagedSave && !paused ? goesOn(own) : 'Done'
}

/** See `Session.pause`. */
export async function pause(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const { own, power } = await findRunning(connection, instanceID, options)
  if (power !== 'Paused') await own.domain.suspend(options)
}

/** See `Session.unpause`. One that sleeps by its own wish is woken. */
export async function unpause(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<Outcome> {
  const { own, power, state } = await findRunning(connection, instanceID, options)
  if (power !== 'Paused') return 'Done'
  try {
    if (state === DomainState.PMSUSPENDED) await own.domain.pmWakeup(options)
    else await own.domain.resume(options)
  } catch (error) {
    // Another call was quicker.
    if (isLibvirtError(error, 'OPERATION_INVALID') && error.message.includes('already running')) return 'Done'
    throw error
  }
  return goesOn(own)
}

/** See `Session.suspend`. */
export async function suspend(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const suspended = await findOwnDomain(connection, instanceID, options)
  if (suspended !== undefined && (await isSuspended(suspended, options))) return
  const { own } = await findRunning(connection, instanceID, options)
  try {
    // What somebody had paused goes on at the next start as well; libxl knows no flags.
    await own.domain.managedSave(isQEMU(own.reading) ? DomainSaveFlags.RUNNING : 0, options)
  } catch (error) {
    // Another call was quicker.
    if (isLibvirtError(error, 'OPERATION_INVALID') && (await isSuspended(own, options))) return
    throw error
  }
}

/** See `Session.discardMemory`. */
export async function discardMemory(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<void> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own !== undefined && (await isSuspended(own, options))) await own.domain.removeManagedSave(options)
}

/** See `Session.shutdown`. By the guest agent where it answers, else by ACPI. Absent, paused or off already: nothing. */
export async function shutdown(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) return
  const state = await ifDefined(() => own.domain.getState(options))
  // QEMU's guests cannot be told; one of Xen's would hear it when it goes on, long after it was asked for.
  if (state === undefined || powerState(own.domain, state, false) === 'Paused') return
  await unlessOff(() => own.domain.shutdown(0, options))
}

/** See `Session.powerOff`. Absent: nothing. */
export async function powerOff(connection: Connection, instanceID: string, options: LibvirtCallOptions): Promise<void> {
  const own = await findOwnDomain(connection, instanceID, options)
  if (own === undefined) return
  await unlessOff(() => own.domain.destroy(0, options))
}

async function unlessOff(call: () => Promise<void>): Promise<void> {
  try {
    await ifDefined(call)
  } catch (error) {
    if (isLibvirtError(error, 'OPERATION_INVALID', 'INTERNAL_ERROR') && error.message.includes('not running')) return
    throw error
  }
}

const isSuspended = async ({ domain }: OwnDomain, options: LibvirtCallOptions): Promise<boolean> =>
  !(await domain.isActive(options)) && (await domain.hasManagedSave(options))

/** Refuses what is absent, off, or held by a job of the host's. */
export async function findRunning(connection: Connection, instanceID: string, options: LibvirtCallOptions) {
  const own = await findOwnDomain(connection, instanceID, options)
  const active = own === undefined ? undefined : await ifDefined(() => own.domain.isActive(options))
  if (own === undefined || active !== true) {
    throw new BerthError('HypervisorRefused', `No machine of instance ${instanceID} runs.`)
  }
  const state = await own.domain.getState(options)
  await requireNoJob(own, state, options)
  return { own, state: state.state, power: powerState(own.domain, state, false) }
}

/** libvirt itself would refuse it only after half a minute, in which the connection waits. */
export async function requireNoJob(
  { domain }: OwnDomain,
  state: { readonly state: number; readonly reason: number },
  options: LibvirtCallOptions,
): Promise<void> {
  if (state.state !== DomainState.PAUSED || (await readPauseReason(domain, state, options)) !== 'Job') return
  throw new BerthError(
    'HypervisorBusy',
    `Domain '${domain.name}' is held by a job: its memory is being saved or moved.`,
  )
}
