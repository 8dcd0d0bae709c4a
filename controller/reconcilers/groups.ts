import type { ReconcilerName } from './index.ts'
import type { Caches } from './shared/caches.ts'

/**
 * The hypervisor that a key's pass talks to, by which passes at a time are limited: one that hangs must not hold the
 * passes for others. Images and networks are of many hypervisors, and have no group.
 */
export function hypervisorOf(
  caches: Caches,
): Readonly<Partial<Record<ReconcilerName, (key: string) => string | undefined>>> {
  const ofMachine = (key: string): string | undefined => {
    const vm = caches.virtualMachines.get(key)
    if (vm === undefined || vm.status?.hypervisor !== undefined) return vm?.status?.hypervisor
    return caches.slots.byIndex('consumer', vm.metadata.uid)[0]?.spec.hypervisor
  }
  return {
    virtualMachine: ofMachine,
    slot: (key) => caches.slots.get(key)?.spec.hypervisor,
    storagePool: (key) => caches.storagePools.get(key)?.spec.hypervisor,
  }
}
