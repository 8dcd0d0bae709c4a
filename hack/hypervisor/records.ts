import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory } from '../setup/directories.mjs'
import type { ProcessIdentity } from './process.ts'

/** What must be known of a local hypervisor to remove it after its owner has died. One JSON file each. */
export interface InstanceRecord {
  readonly id: string
  /** The process that called startHypervisor. */
  readonly owner: ProcessIdentity
  /** Process 1 of the hypervisor's PID namespace: its death ends every process of the hypervisor. */
  readonly init?: ProcessIdentity
  readonly directory: string
  readonly networkNamespace: string
  /** The veth end in the machine's own network namespace. */
  readonly hostInterface?: string
}

/** One record file, and by default one directory, for each running local hypervisor of this machine's user. */
export function runDirectory(): string {
  return join(cacheDirectory(), 'run')
}

export function recordPath(id: string): string {
  return join(runDirectory(), `${id}.json`)
}

/** Writes whole or not at all: another process may read at any time. */
export function writeRecord(record: InstanceRecord): void {
  mkdirSync(runDirectory(), { recursive: true })
  const path = recordPath(record.id)
  writeFileSync(`${path}.new`, JSON.stringify(record, null, 2))
  renameSync(`${path}.new`, path)
}

export function readRecords(): InstanceRecord[] {
  let names: string[]
  try {
    names = readdirSync(runDirectory())
  } catch {
    return []
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(runDirectory(), name), 'utf8')) as InstanceRecord]
      } catch {
        // Removed by its supervisor since the directory was listed.
        return []
      }
    })
}
