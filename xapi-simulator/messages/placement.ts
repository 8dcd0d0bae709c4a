import { XapiError } from '../errors.ts'
import type { RecordOf } from '../model/model.ts'
import type { Pool } from '../state/pool.ts'

/** Bytes of a host's memory that a machine takes: its own and what Xen needs for it. */
export function memoryOf(vm: RecordOf<'VM'>): number {
  return vm.memory_static_max + vm.memory_overhead
}

export function freeMemory(pool: Pool, host: string): number {
  const { metrics, memory_overhead } = pool.database.get('host', host)
  const total = pool.database.get('host_metrics', metrics).memory_total
  // A machine that is being started has its memory already.
  const machines = pool.database
    .all('VM')
    .filter(([, vm]) => vm.resident_on === host || vm.scheduled_to_be_resident_on === host)
  return total - memory_overhead - machines.reduce((sum, [, vm]) => sum + memoryOf(vm), 0)
}

/** Brings the free memory that the hosts show up to date. */
export function countMemory(pool: Pool): void {
  for (const [reference, { metrics }] of pool.database.all('host')) {
    pool.database.update('host_metrics', metrics, { memory_free: freeMemory(pool, reference) })
  }
}

/** @throws what keeps a machine from running on a host */
export function assertCanRun(pool: Pool, vm: string, host: string): void {
  const { database } = pool
  const machine = database.get('VM', vm)
  const { enabled, metrics } = database.get('host', host)
  if (!database.get('host_metrics', metrics).live) throw new XapiError('HOST_NOT_LIVE')
  if (!enabled) throw new XapiError('HOST_DISABLED', host)
  for (const reference of machine.VBDs) {
    const vbd = database.find('VBD', reference)
    if (vbd === undefined || vbd.empty) continue
    const { SR } = database.get('VDI', vbd.VDI)
    if (!pool.isPlugged(SR, host)) throw new XapiError('VM_REQUIRES_SR', vm, SR)
  }
  for (const reference of machine.VIFs) {
    const vif = database.find('VIF', reference)
    const pifs = vif === undefined ? [] : (database.find('network', vif.network)?.PIFs ?? [])
    // A network without any PIF is internal to whichever host it is used on.
    const hosts = pifs.flatMap((pif) => database.find('PIF', pif)?.host ?? [])
    if (vif !== undefined && hosts.length > 0 && !hosts.includes(host)) {
      throw new XapiError('VM_REQUIRES_NETWORK', vm, vif.network)
    }
  }
  const needed = memoryOf(machine)
  const available = freeMemory(pool, host)
  if (needed > available) throw new XapiError('HOST_NOT_ENOUGH_FREE_MEMORY', String(needed), String(available))
}

/** The affine host if it will do, else the one with the most free memory. @throws NO_HOSTS_AVAILABLE */
export function chooseHost(pool: Pool, vm: string): string {
  const { affinity } = pool.database.get('VM', vm)
  const possible = possibleHosts(pool, vm)
  if (possible.includes(affinity)) return affinity
  const [best] = possible.toSorted((a, b) => freeMemory(pool, b) - freeMemory(pool, a))
  if (best === undefined) throw new XapiError('NO_HOSTS_AVAILABLE')
  return best
}

export function possibleHosts(pool: Pool, vm: string): string[] {
  return pool.database
    .all('host')
    .map(([host]) => host)
    .filter((host) => {
      try {
        assertCanRun(pool, vm, host)
        return true
      } catch (error) {
        if (error instanceof XapiError) return false
        throw error
      }
    })
}
