import {
  type Connection,
  DomainMemoryFlags,
  DomainVCPUFlags,
  type CallOptions as LibvirtCallOptions,
} from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import type { LiveSize, ObservedMachine } from '../../hypervisor/port.ts'
import type { DomainReading } from './domain-xml.ts'
import { isQEMU, type OwnDomain } from './domains.ts'
import { findRunning } from './power.ts'

/** CPUs and bytes that a domain has, and up to which it can be given more while it runs. */
export type Sizes = Pick<ObservedMachine, 'cpus' | 'memory' | 'maxCpus' | 'maxMemory'>

/**
 * What a domain of QEMU's has. Its memory is what it was told to have, by the definition that {@link resize} keeps in
 * step: what the balloon has taken so far is the guest's pace. One that runs with another maximum than its next start
 * has what it started with.
 */
export function balloonedSizes(definition: DomainReading, { maxCpus, maxMemory }: DomainReading, cpus: number): Sizes {
  const isTold = isAlike(maxMemory, definition.maxMemory) && !isAlike(maxMemory, definition.memory)
  return { cpus, memory: isTold ? definition.memory : maxMemory, maxCpus, maxMemory }
}

/** What is no whole number of MiB is rounded up by QEMU once it runs. */
const isAlike = (one: number, other: number): boolean => Math.abs(one - other) < 2 ** 20

/** See `Session.resize`. */
export async function resize(
  connection: Connection,
  instanceID: string,
  { cpus, memory }: LiveSize,
  options: LibvirtCallOptions,
): Promise<void> {
  const { own } = await findRunning(connection, instanceID, options)
  const { domain, reading } = own
  if (!isQEMU(reading))
    throw new BerthError('NotSupported', `Domain '${domain.name}' is resized at its next start only.`)
  const info = await domain.getInfo(options)
  if (cpus !== undefined && cpus !== info.cpus) {
    // QEMU could take one away, but only from a guest that has let it go, and libvirt would wait for that.
    if (cpus < info.cpus) throw refusal(own, `has ${info.cpus} CPUs, and is not given fewer while it runs`)
    await domain.setVCPUs(cpus, await affected(own, options), options)
  }
  if (memory !== undefined) {
    if (memory > info.maxMemory * 1024) throw refusal(own, `can have ${info.maxMemory} KiB at most while it runs`)
    await setMemory(own, memory, await affected(own, options), options)
  }
}

/** A definition that was changed under a running domain says what it is told to have: see {@link balloonedSizes}. */
export async function followDefinition(
  own: OwnDomain,
  { memory, maxMemory = memory }: Pick<DomainReading, 'memory'> & { readonly maxMemory?: number | undefined },
  options: LibvirtCallOptions,
): Promise<void> {
  if (!isQEMU(own.reading) || isAlike(own.reading.memory, memory) || !isAlike(own.reading.maxMemory, maxMemory)) return
  if (await own.domain.isActive(options)) await setMemory(own, memory, DomainMemoryFlags.LIVE, options)
}

const setMemory = ({ domain }: OwnDomain, bytes: number, flags: number, options: LibvirtCallOptions): Promise<void> =>
  domain.setMemory(Math.ceil(bytes / 1024), flags, options)

/** What runs, and the next start, where there is one. */
const affected = async ({ domain }: OwnDomain, options: LibvirtCallOptions): Promise<number> =>
  DomainVCPUFlags.LIVE | ((await domain.isPersistent(options)) ? DomainVCPUFlags.CONFIG : 0)

const refusal = ({ domain }: OwnDomain, words: string): BerthError =>
  new BerthError('HypervisorRefused', `Domain '${domain.name}' ${words}.`)
