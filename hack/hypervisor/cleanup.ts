import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, run } from './process.ts'
import { type InstanceRecord, readRecords, recordPath } from './records.ts'

/** Marks a directory as made by startHypervisor; only such a directory is ever removed. */
export const markerName = '.berth-hypervisor'

/**
 * Removes what hypervisors of dead owners left. A hypervisor normally ends by itself with its owner; this is for the
 * case that its supervisor was killed too. Those of living owners are left alone. Answers the ids removed.
 */
export async function removeLeftovers(): Promise<string[]> {
  const leftovers = readRecords().filter((record) => !isAlive(record.owner))
  for (const record of leftovers) await removeInstance(record)
  return leftovers.map((record) => record.id)
}

async function removeInstance(record: InstanceRecord): Promise<void> {
  if (record.init !== undefined && isAlive(record.init)) {
    try {
      process.kill(record.init.pid, 'SIGKILL')
    } catch {
      // It ended meanwhile, by its supervisor or by another cleaner.
    }
  }
  if (record.hostInterface !== undefined) await run('ip', ['link', 'delete', record.hostInterface])
  await run('ip', ['netns', 'delete', record.networkNamespace])
  if (existsSync(join(record.directory, markerName))) rmSync(record.directory, { recursive: true, force: true })
  rmSync(recordPath(record.id), { force: true })
}

if (import.meta.main) {
  const removed = await removeLeftovers()
  console.log(removed.length === 0 ? 'nothing left over' : `removed ${removed.join(', ')}`)
}
