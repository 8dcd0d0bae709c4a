import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { identifyProcess, isAlive, type ProcessIdentity } from '../hypervisor/process.ts'
import { runDirectory } from '../hypervisor/records.ts'

/** Names the process that a directory belongs to. */
const ownerFile = 'owner.json'

const parent = () => join(runDirectory(), 'xen')

/** Makes the directory of a host that this process starts. */
export function claimDirectory(id: string): string {
  const directory = join(parent(), id)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, ownerFile), JSON.stringify(identifyProcess(process.pid)))
  return directory
}

/** Removes the directories of processes that are gone; their hosts ended with them. */
export function removeLeftovers(): void {
  for (const directory of directories()) {
    const owner = readOwner(directory)
    if (owner !== undefined && !isAlive(owner)) rmSync(directory, { recursive: true, force: true })
  }
}

function directories(): string[] {
  try {
    return readdirSync(parent()).map((name) => join(parent(), name))
  } catch {
    // No host was ever started.
    return []
  }
}

function readOwner(directory: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, ownerFile), 'utf8')) as ProcessIdentity
  } catch {
    // It is being made, or being removed.
    return undefined
  }
}
