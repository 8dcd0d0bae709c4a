/** status.disks, from what a pass saw and decided. Pure. */
import { formatBytes, type ObservedDisk, parseBytes } from '../../api/index.ts'
import { isDiskRetained } from './disk-facts.ts'
import type { DiskFacts } from './disk-model.ts'
import type { Step } from './model.ts'
import { recordedHost, type View } from './view.ts'

/** What is known of the data disks when the machine is placed first. */
export const firstDataDisks = ({ observed }: View): ObservedDisk[] =>
  (observed.disks ?? []).filter(({ name, problem }) => name !== 'root' && !problem).map(newEntry)

/** As declared; what has left the spec keeps what was told last. */
export function policyOf({ vm }: View, name: string): Pick<ObservedDisk, 'deletionPolicy'> {
  const disk = vm.spec.disks?.find((one) => one.name === name)
  // The machine's own counts for a disk that leaves, too, whatever becomes of it later.
  const deletionPolicy = disk?.deletionPolicy ?? (disk && isDiskRetained(vm, disk) ? 'Retain' : undefined)
  return deletionPolicy === undefined ? {} : { deletionPolicy }
}

export function recordedDisks(view: View, step: Step): ObservedDisk[] | undefined {
  const recorded = view.vm.status?.disks
  if (!recorded) return undefined
  const changes = new Map(step.do === 'RecordDisks' ? step.changes.map(({ disk, to }) => [disk, to]) : [])
  const facts = view.observed.disks ?? []
  const kept = recorded.flatMap((entry) => {
    const to = changes.get(entry.name)
    if (to === 'Gone') return []
    const seen = asSeen(
      view,
      entry,
      facts.find(({ name }) => name === entry.name),
    )
    return [to ? { ...seen, state: to } : seen]
  })
  const added = facts.filter(({ name, recorded: known }) => !known && changes.get(name) === 'Creating').map(newEntry)
  return [...kept, ...added]
}

/** Hosts round up, to 4 MiB at most. */
const rounding = 4 * 2 ** 20

function newEntry(disk: DiskFacts): ObservedDisk {
  const { name, storagePool, volumeName, retained, image, size = 0 } = disk
  // One that was kept is as large as it is.
  const capacity = size - (disk.capacity ?? 0) > rounding ? size : disk.capacity
  return {
    name,
    ...(storagePool === undefined ? {} : { storagePool }),
    volume: volumeName,
    ...(capacity === undefined ? {} : { size: formatBytes(capacity) }),
    state: 'Creating',
    ...(retained ? { deletionPolicy: 'Retain' as const } : {}),
    ...(image ? { image } : {}),
  }
}

function asSeen(view: View, entry: ObservedDisk, disk: DiskFacts | undefined): ObservedDisk {
  if (!disk) return entry
  const { target: _, deletionPolicy, ...rest } = entry
  const policy = disk.declared ? policyOf(view, entry.name) : deletionPolicy === undefined ? {} : { deletionPolicy }
  // Of a host that does not answer nothing is concluded.
  if (!recordedHost(view)?.reachable) return { ...entry, ...policy }
  const size = sizeOf(entry, disk)
  return {
    ...rest,
    ...policy,
    ...(size === undefined ? {} : { size }),
    state: stateOf(entry, disk),
    ...(disk.target === undefined || !disk.attached ? {} : { target: disk.target }),
  }
}

/** What it was made as, or made larger to; hosts round up. */
function sizeOf({ size }: ObservedDisk, { size: seen, capacity }: DiskFacts): string | undefined {
  if (size === undefined || seen === undefined || capacity === undefined) return size
  const reached = Math.min(seen, capacity)
  return reached > parseBytes(size) ? formatBytes(reached) : size
}

function stateOf({ state = 'Creating' }: ObservedDisk, { volume }: DiskFacts): NonNullable<ObservedDisk['state']> {
  if (state === 'Removing' || volume === 'Unknown') return state
  if (volume === 'There') return 'Ready'
  return state === 'Creating' ? 'Creating' : 'Missing'
}
