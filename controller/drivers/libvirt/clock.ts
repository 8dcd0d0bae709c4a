import { type Connection, SetTimeFlags } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { CallOptions } from '../../hypervisor/port.ts'

/** Of all that is asked of one guest; ms. */
const deadline = 5_000
/** After which libvirt itself gives up; s. */
const libvirtDeadline = 4

/**
 * Has a guest's agent set its clock, which stood while the guest was held: from the machine's hardware clock, which
 * QEMU keeps by the host's and which is right again when a saved memory is gone on from. The other way, a time of ours,
 * would be late by the way to the agent, and be written to the hardware clock too.
 *
 * Without an agent, or an answer in time, nothing: the guest's own NTP is left with it.
 */
export async function setGuestClock(
  instanceID: string,
  connect: () => Promise<Connection>,
  options: CallOptions = {},
): Promise<void> {
  const timeout = AbortSignal.timeout(deadline)
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout])
  const calls = { signal, beforeSend: options.beforeSend }
  try {
    const domain = await (await connect()).lookupDomainByUUID(instanceID, calls)
    await domain.setAgentResponseTimeout(libvirtDeadline, calls)
    await domain.setTime({ seconds: 0, nanoseconds: 0 }, SetTimeFlags.SYNC, calls)
  } catch (error) {
    // What the caller objected with; all else is the guest's affair, which goes on already.
    if (error instanceof BerthError) throw error
  }
}
