import type { ClassName } from '../model/model.ts'

/** A reference, and the set in the object referred to that XAPI keeps in step with it. */
export interface Relation {
  readonly from: ClassName
  readonly field: string
  readonly to: ClassName
  readonly members: string
}

export const relations: readonly Relation[] = [
  { from: 'VBD', field: 'VM', to: 'VM', members: 'VBDs' },
  { from: 'VBD', field: 'VDI', to: 'VDI', members: 'VBDs' },
  { from: 'VIF', field: 'VM', to: 'VM', members: 'VIFs' },
  { from: 'VIF', field: 'network', to: 'network', members: 'VIFs' },
  { from: 'VDI', field: 'SR', to: 'SR', members: 'VDIs' },
  { from: 'VDI', field: 'snapshot_of', to: 'VDI', members: 'snapshots' },
  { from: 'PBD', field: 'SR', to: 'SR', members: 'PBDs' },
  { from: 'PBD', field: 'host', to: 'host', members: 'PBDs' },
  { from: 'PIF', field: 'host', to: 'host', members: 'PIFs' },
  { from: 'PIF', field: 'network', to: 'network', members: 'PIFs' },
  { from: 'host_cpu', field: 'host', to: 'host', members: 'host_CPUs' },
  { from: 'console', field: 'VM', to: 'VM', members: 'consoles' },
  { from: 'VM', field: 'resident_on', to: 'host', members: 'resident_VMs' },
  { from: 'VM', field: 'snapshot_of', to: 'VM', members: 'snapshots' },
  { from: 'VM', field: 'parent', to: 'VM', members: 'children' },
  { from: 'task', field: 'subtask_of', to: 'task', members: 'subtasks' },
]
