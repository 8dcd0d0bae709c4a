/** What the disks of a machine still differ in from its spec, and what each waits for. Pure. */
import { formatBytes, type PendingChange } from '../../api/index.ts'
import type { ObservedMachine } from '../../hypervisor/port.ts'
import type { DiskFacts } from './disk-model.ts'
import { isMissing, isUsable } from './disks.ts'
import { isRunning, type View } from './view.ts'

const nextStart = 'applied when the machine is started next'
const absent = 'absent'

export const diskChanges = (view: View, machine: ObservedMachine): PendingChange[] =>
  (view.observed.disks ?? []).flatMap((disk) => [
    ...presence(view, machine, disk),
    ...(isPending(view, disk) ? [growth(view, disk)] : []),
  ])

function presence(view: View, machine: ObservedMachine, disk: DiskFacts): PendingChange[] {
  const { name, attached, defined } = disk
  if (name === 'root') return []
  const has = isRunning(view) ? attached : defined
  const field = `spec.disks[${name}]`
  const leaves = !disk.declared || disk.recorded === 'Removing'
  if (leaves && disk.declared && !has) return []
  if (leaves) {
    if (!has && !(machine.power === 'Suspended' && disk.recorded !== undefined && disk.recorded !== 'Removing'))
      return []
    return [{ field, from: sizeOf(disk), to: absent, effect: 'NextStart', message: whyItStays(view, machine, disk) }]
  }
  if (has || isMissing(disk)) return []
  // What is about to be done needs no start.
  if (isRunning(view) && isUnderWay(view, disk)) return []
  return [{ field, from: absent, to: sizeOf(disk), effect: 'NextStart', message: whyItWaits(view, disk) }]
}

const hotPlugs = ({ observed }: View): boolean => observed.features?.includes('HotPlugDisk') ?? false

const isUnderWay = (view: View, { problem, imagePlaced }: DiskFacts): boolean =>
  hotPlugs(view) && !problem && imagePlaced

function whyItStays(view: View, machine: ObservedMachine, { problem }: DiskFacts): string {
  if (problem) return problem.message
  if (machine.power === 'Suspended')
    return 'its saved memory knows the disk: it is taken out when the machine runs, or is stopped'
  if (!isRunning(view)) return 'it is taken out of the definition'
  if (!hotPlugs(view)) return `this hypervisor takes no disks from a machine that runs: ${nextStart}`
  return 'the guest is asked to let the disk go: it is taken out when the guest does, or when the machine is started next'
}

function whyItWaits(view: View, disk: DiskFacts): string {
  if (disk.problem) return disk.problem.message
  if (!isRunning(view)) return nextStart
  if (!disk.imagePlaced) return 'its image is being placed in the storage pool'
  return `this hypervisor gives a machine that runs no disks: ${nextStart}`
}

const isPending = ({ desired }: View, disk: DiskFacts): boolean =>
  disk.tooSmall && disk.declared && desired.hypervisor !== undefined && (disk.name === 'root' || isUsable(disk))

function growth(view: View, disk: DiskFacts): PendingChange {
  const live = !disk.attached || (view.observed.features?.includes('GrowDisk') ?? false)
  const message = disk.problem
    ? disk.problem.message
    : live
      ? 'it is being made larger'
      : `this hypervisor makes no disk larger while its machine runs: ${nextStart}`
  const [from, to] = [formatBytes(disk.size ?? 0), sizeOf(disk)]
  return { field: `spec.disks[${disk.name}].size`, from, to, effect: 'NextStart', message }
}

const sizeOf = ({ capacity, size }: DiskFacts): string => {
  const bytes = capacity ?? size
  return bytes === undefined ? 'the size of its image' : formatBytes(bytes)
}
