/** A hypervisor, slots on it, and machines that want one: what the tests of placement start from. */
import type { Demand, HypervisorOffer, SlotOffer } from '../index.ts'

export const h1: HypervisorOffer = {
  name: 'h1',
  reachable: true,
  open: true,
  architectures: ['x86_64'],
  modes: ['HVM', 'PV'],
  pools: [{ name: 'default', order: 0, room: 1 }],
  networks: new Set(['lan']),
}
export const slot = (name: string, changes: Partial<SlotOffer> = {}): SlotOffer => ({
  names: [name],
  labels: {},
  taints: [],
  cpus: 2,
  memory: 2048,
  open: true,
  free: true,
  occupied: false,
  hypervisor: h1,
  ...changes,
})
export const demand = (uid: string, changes: Partial<Demand> = {}): Demand => ({
  uid,
  priority: 0,
  since: '2026-01-01T00:00:00Z',
  cpus: 1,
  memory: 1024,
  architecture: 'x86_64',
  tolerations: [],
  networks: ['lan'],
  ...changes,
})
export const tainted = (effect: 'NoPlacement' | 'PreferNoPlacement') => [{ key: 'gpu', value: 'yes', effect }]
