import type { Hosts } from '../../hypervisor/hosts.ts'
import type { Caches } from './caches.ts'

/**
 * Whether this process is still to try that hypervisor for the first time. A process that has just begun would tell
 * everybody that all hosts are away, and a moment later that they are back: what was told before stands until then.
 */
export function isUntried(
  hypervisor: string,
  { hosts, caches }: { readonly hosts: Hosts; readonly caches: Pick<Caches, 'hypervisors'> },
): boolean {
  if (caches.hypervisors.get(hypervisor) === undefined) return false
  const host = hosts.get(hypervisor)
  return !host.connected && host.untried === true
}
