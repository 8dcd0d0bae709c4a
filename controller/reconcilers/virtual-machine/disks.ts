/**
 * The disks beside the root, and what makes any disk larger: added, removed and grown a step at a time, each recorded
 * before its effect. Pure. docs/decisions/0021-disks.md tells why each line stands where it does.
 */
import type { MachineObservation, ObservedMachine } from '../../hypervisor/port.ts'
import type { DiskChange, DiskFacts, DiskWork } from './disk-model.ts'
import { type Desired, type Observed, type Problem, type Step, wait } from './model.ts'
import { runs } from './power.ts'

const isRoot = ({ name }: DiskFacts): boolean => name === 'root'
const leaves = ({ declared, recorded }: DiskFacts): boolean => !declared || recorded === 'Removing'
const may = ({ held, overlaid }: DiskFacts, work: DiskWork): boolean => held !== work && !overlaid
/** Part of the machine, or will be at its next start. */
const isPart = ({ attached, defined }: DiskFacts): boolean => attached || defined

/**
 * Those that a definition is to name: made, and to stay. What a snapshot lies over is the past: one that is out of the
 * machine does not come back by its own path.
 */
export const isUsable = (disk: DiskFacts): boolean =>
  isRoot(disk) ||
  (disk.recorded !== undefined && !leaves(disk) && disk.volume === 'There' && (!disk.overlaid || isPart(disk)))

/** A disk that was there is not. */
export const isMissing = ({ recorded, volume }: DiskFacts): boolean =>
  volume === 'Absent' && (recorded === 'Ready' || recorded === 'Missing')

/** Why a disk that is to be deleted cannot be looked for. */
export const problemOfUnseen = (disks: readonly DiskFacts[] = []): Problem | undefined =>
  disks.find((disk) => !isRoot(disk) && disk.recorded && !disk.retained && disk.volume === 'Unknown' && disk.problem)
    ?.problem

/** Of a machine whose power is as declared. A saved memory names its disks: they wait until it runs, or is thrown away. */
export function planDisks(desired: Desired, observed: Observed): Step | undefined {
  const { disks = [] } = observed
  const seen = observationOf(desired, observed)
  if (!seen || desired.deleting) return undefined
  const { machine } = seen
  if (machine?.power === 'Suspended') return undefined
  // It ran, and is not there: nobody knows where its disks are in use.
  if (!machine && desired.booted) return undefined
  const on = runs(machine)
  const changes = changesOf(disks, observed.settled).filter(({ to }) => on || to !== 'Creating')
  if (changes.length > 0) return { do: 'RecordDisks', changes }
  const steps = disks.flatMap((disk) => {
    if (leaves(disk)) return planRemoval(disk, observed) ?? []
    return on ? (planAddition(disk, desired, observed) ?? []) : (planGrowth(disk) ?? [])
  })
  return steps.find((step) => step.do !== 'AwaitSettled') ?? steps[0]
}

/**
 * Before the definition and the start of a machine that is off. One that has never run waits for all of its disks; later
 * it starts without those that are not made yet, but never without one that was there.
 */
export function planDisksOfStart(desired: Desired, observed: Observed, machine: ObservedMachine | undefined) {
  const { disks = [] } = observed
  const saved = machine?.power === 'Suspended'
  if (runs(machine)) return undefined
  const changes = saved ? [] : changesOf(disks, observed.settled)
  if (changes.length > 0) return { do: 'RecordDisks', changes } as const
  for (const disk of disks) {
    const step = planBeforeStart(disk, desired, saved)
    if (step) return step
  }
  return undefined
}

function planBeforeStart(disk: DiskFacts, { booted }: Desired, saved: boolean): Step | undefined {
  if (disk.overlaid) {
    const isOut = !isRoot(disk) && !leaves(disk) && !isPart(disk)
    return isOut && !saved && disk.problem ? { do: 'Wait', problem: disk.problem } : undefined
  }
  if (isRoot(disk)) return saved ? undefined : planGrowth(disk)
  if (leaves(disk)) return undefined
  if (isMissing(disk)) return missing(disk)
  const known = disk.recorded !== undefined && disk.recorded !== 'Creating'
  if (disk.volume === 'Unknown' && known && disk.problem) return { do: 'Wait', problem: disk.problem }
  if (saved) return undefined
  if (disk.volume === 'There') return planGrowth(disk)
  const step = planCreation(disk)
  if (step || booted) return step
  return disk.problem
    ? { do: 'Wait', problem: disk.problem }
    : wait('WaitingForImage', `the image of disk ${disk.name} is being placed in the storage pool`)
}

const missing = ({ name }: DiskFacts): Step =>
  wait(
    'DiskMissing',
    `disk ${name} is gone from the host; it is never made anew by itself: bring it back, or take it out of spec.disks`,
  )

function observationOf({ hypervisor }: Desired, { hosts }: Observed): MachineObservation | undefined {
  const host = hypervisor === undefined ? undefined : hosts.get(hypervisor)
  return host?.reachable && host.observation.foreign === undefined ? host.observation : undefined
}

/** Before a disk is made it is recorded; it is forgotten when nothing of it is left, and nothing can come any more. */
function changesOf(disks: readonly DiskFacts[], settled: boolean): DiskChange[] {
  return disks.flatMap((disk) => {
    const to = isRoot(disk) ? undefined : changeOf(disk, settled)
    return to ? [{ disk: disk.name, to }] : []
  })
}

function changeOf(disk: DiskFacts, settled: boolean): DiskChange['to'] | undefined {
  const { declared, recorded, volume } = disk
  if (recorded === undefined) return declared && !disk.problem ? 'Creating' : undefined
  if (recorded !== 'Removing') return declared ? undefined : 'Removing'
  // A call that is late could take away, or bring back, what is concluded here.
  if (!settled) return undefined
  if (declared && volume === 'There') return 'Ready'
  if (isPart(disk) || disk.overlaid) return undefined
  return volume === 'Absent' || (volume === 'There' && disk.retained) ? 'Gone' : undefined
}

/** Out of the machine, by its guest's leave; then its volume goes, or stays. */
function planRemoval(disk: DiskFacts, { settled, features = [] }: Observed): Step | undefined {
  const { name, pool, volume, volumeName } = disk
  if (disk.recorded !== 'Removing' || isRoot(disk)) return undefined
  if (disk.declared && volume === 'There') return settled ? undefined : { do: 'AwaitSettled' }
  if (isPart(disk)) {
    const lets = !disk.attached || features.includes('HotPlugDisk')
    return lets && may(disk, 'DetachDisk') ? { do: 'DetachDisk', disk: name } : undefined
  }
  if (volume === 'Unknown' || disk.overlaid) return undefined
  if (!settled) return { do: 'AwaitSettled' }
  if (volume === 'Absent' || disk.retained || pool === undefined || !may(disk, 'DeleteVolume')) return undefined
  return { do: 'DeleteVolume', pool, volume: volumeName, disk: name }
}

function planAddition(disk: DiskFacts, { reportsDrift }: Desired, { features = [] }: Observed): Step | undefined {
  const grows = !disk.attached || features.includes('GrowDisk')
  const step = planCreation(disk) ?? (grows ? planGrowth(disk) : undefined)
  if (step || isRoot(disk) || disk.volume !== 'There' || disk.recorded === undefined) return step
  // One that was part of it was taken out by somebody: told, and left.
  if (reportsDrift && disk.recorded === 'Ready') return undefined
  const attaches = !(disk.attached && disk.defined) && features.includes('HotPlugDisk') && may(disk, 'AttachDisk')
  return attaches ? { do: 'AttachDisk', disk: disk.name } : undefined
}

function planCreation(disk: DiskFacts): Step | undefined {
  const { recorded, volume, imagePlaced } = disk
  if (isRoot(disk) || recorded !== 'Creating' || volume !== 'Absent' || !imagePlaced) return undefined
  return may(disk, 'CreateDisk') ? { do: 'CreateDisk', disk: disk.name } : undefined
}

function planGrowth(disk: DiskFacts): Step | undefined {
  const { recorded, tooSmall, volume } = disk
  if (recorded === undefined || !tooSmall || volume !== 'There') return undefined
  return may(disk, 'GrowDisk') ? { do: 'GrowDisk', disk: disk.name } : undefined
}
