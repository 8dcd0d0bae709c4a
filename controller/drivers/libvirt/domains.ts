import {
  type Connection,
  type Domain,
  DomainJobType,
  DomainMetadataType,
  DomainModificationImpact,
  DomainPausedReason,
  DomainShutoffReason,
  DomainState,
  DomainXMLFlags,
  type CallOptions as LibvirtCallOptions,
} from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { PauseReason, PowerState, StopReason, Tag } from '../../hypervisor/port.ts'
import { requireUUID } from '../shared/instance-id.ts'
import { type DomainReading, readDomain } from './domain-xml.ts'
import { isLibvirtError } from './errors.ts'
import { tagNamespace, tagPrefix } from './tag.ts'
import { type Element, formatXml } from './xml.ts'

/** A domain with the definition of its next start. */
export interface DefinedDomain {
  readonly domain: Domain
  /** With passwords: never to be logged. */
  readonly xml: string
  readonly reading: DomainReading
}

/** One whose tag names this instance: the only kind that is ever touched. */
export interface OwnDomain extends DefinedDomain {
  readonly tag: Tag
}

/** What libvirt gives as the id of a domain that is off. */
const notRunning = -1

/** The domain of that id, ours or not; undefined when there is none. */
export async function findDomain(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<DefinedDomain | undefined> {
  return ifDefined(async () => {
    const domain = await connection.lookupDomainByUUID(requireUUID(instanceID), options)
    // With passwords, since a definition that is written back without them would lose them.
    const xml = await domain.getXML(DomainXMLFlags.INACTIVE | DomainXMLFlags.SECURE, options)
    return { domain, xml, reading: readDomain(xml) }
  })
}

/** Why a domain with this id is not ours; undefined: it is. */
export function whyForeign({ reading, domain }: DefinedDomain, instanceID: string): string | undefined {
  const { tag, ...untagged } = reading.reading
  if (tag === undefined) {
    const reason = 'reason' in untagged ? untagged.reason : undefined
    return `domain '${domain.name}' has the id ${domain.uuid}, but ${reason ?? 'no tag of Berth'}`
  }
  if (tag.instanceID !== instanceID)
    return `domain '${domain.name}' has the id ${domain.uuid}, but its tag is of instance '${tag.instanceID}'`
  return tag.released ? `domain '${domain.name}' was released when its VirtualMachine was deleted` : undefined
}

/**
 * The domain of this instance, its tag read now: what every effect begins with. Rejects with ForeignObject when the
 * domain of that id is not ours.
 */
export async function findOwnDomain(
  connection: Connection,
  instanceID: string,
  options: LibvirtCallOptions,
): Promise<OwnDomain | undefined> {
  const found = await findDomain(connection, instanceID, options)
  if (found === undefined) return undefined
  const reason = whyForeign(found, instanceID)
  const { tag } = found.reading.reading
  if (reason === undefined && tag !== undefined) return { ...found, tag }
  throw new BerthError('ForeignObject', `Not touched: ${reason}.`)
}

/** Puts our element in place of the one that the run (LIVE), or the next start (CONFIG) has. */
export const writeTag = (
  { domain }: OwnDomain,
  tag: Element,
  which: 'LIVE' | 'CONFIG',
  options: LibvirtCallOptions,
): Promise<void> => {
  const namespace = { key: tagPrefix, uri: tagNamespace }
  const impact = DomainModificationImpact[which]
  return domain.setMetadata(DomainMetadataType.ELEMENT, formatXml(tag), namespace, impact, options)
}

/** Undefined when libvirt says that there is no such domain (any more). */
export async function ifDefined<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN')) return undefined
    throw error
  }
}

/** With KVM or without. */
export const isQEMU = ({ virtualisation }: DomainReading): boolean =>
  virtualisation === 'QEMU' || virtualisation === 'KVM'

/** QEMU holds the CPUs while it starts and while it ends: nobody has paused it. */
const onItsWay: ReadonlySet<number> = new Set([DomainPausedReason.STARTING_UP, DomainPausedReason.SHUTTING_DOWN])

/**
 * A saved memory state counts as suspended: the next start goes on from it. libxl says that a guest is off before it
 * has given back its memory and its disks; until then, while the domain has an id among those that run, it is not.
 */
export function powerState(
  { id }: Pick<Domain, 'id'>,
  { state, reason }: { readonly state: number; readonly reason?: number },
  hasManagedSave: boolean,
): PowerState {
  switch (state) {
    case DomainState.SHUTOFF:
      if (id !== notRunning) return 'Running'
      return hasManagedSave ? 'Suspended' : 'Stopped'
    case DomainState.PAUSED:
      return reason !== undefined && onItsWay.has(reason) ? 'Running' : 'Paused'
    // Asleep by its own wish, or crashed and kept for a look: there is a process still, but no CPU runs.
    case DomainState.PMSUSPENDED:
    case DomainState.CRASHED:
      return 'Paused'
    default:
      return 'Running'
  }
}

const jobs: ReadonlySet<number> = new Set([
  DomainPausedReason.MIGRATION,
  DomainPausedReason.SAVE,
  DomainPausedReason.DUMP,
  DomainPausedReason.SNAPSHOT,
  DomainPausedReason.POSTCOPY,
])

const faults: ReadonlySet<number> = new Set([
  DomainPausedReason.IOERROR,
  DomainPausedReason.WATCHDOG,
  DomainPausedReason.CRASHED,
  DomainPausedReason.POSTCOPY_FAILED,
])

/**
 * Of what {@link powerState} calls paused. A guest that sleeps wanted it so; one that was reverted to a snapshot stays
 * held until somebody lets it go on.
 */
export function pauseReason(state: number, reason: number): PauseReason {
  if (state === DomainState.CRASHED) return 'Fault'
  if (state !== DomainState.PAUSED) return 'Asked'
  if (faults.has(reason)) return 'Fault'
  return jobs.has(reason) ? 'Job' : 'Asked'
}

/**
 * {@link pauseReason} of a domain, with a look at its job where that decides: one that went on paused from a saved memory
 * says `MIGRATION` for as long as it is held, since libvirt restores by a migration from the file.
 */
export async function readPauseReason(
  domain: Domain,
  { state, reason }: { readonly state: number; readonly reason: number },
  options: LibvirtCallOptions,
): Promise<PauseReason> {
  const told = pauseReason(state, reason)
  if (told !== 'Job' || reason !== DomainPausedReason.MIGRATION) return told
  const job = await ifDefined(() => domain.getJobInfo(options))
  return job?.type === DomainJobType.NONE ? 'Asked' : told
}

/** `SHUTDOWN` is the guest's own doing and also the answer to our request: libvirt's reasons look the same. */
export function stopReason(reason: number): StopReason {
  switch (reason) {
    case DomainShutoffReason.SHUTDOWN:
      return 'Guest'
    case DomainShutoffReason.CRASHED:
      return 'Crash'
    case DomainShutoffReason.DESTROYED:
    // Its memory is not there any more, or it would be suspended: somebody has thrown it away.
    case DomainShutoffReason.SAVED:
      return 'Outside'
    case DomainShutoffReason.FAILED:
      return 'Failed'
    case DomainShutoffReason.MIGRATED:
      return 'Migrated'
    default:
      return 'Unknown'
  }
}
