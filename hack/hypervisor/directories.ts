import { homedir } from 'node:os'
import { join } from 'node:path'

/** What may be built again at any time: images, libvirt's capability cache, instance records. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'berth')
}

/** One record file, and by default one directory, for each running local hypervisor. */
export function runDirectory(): string {
  return join(cacheDirectory(), 'run')
}
