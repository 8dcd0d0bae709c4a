import type { DiskSpec, ObservedDisk } from '../../hypervisor/port.ts'

/** A disk of a machine. Without a name: not Berth gave it. */
export interface FakeDisk extends Omit<DiskSpec, 'name'> {
  readonly name?: string
  /** What the guest sees it as; stays with the disk, whatever becomes of others. */
  readonly target: string
}

/** The disks of a spec, each where one of that name was; others where nothing is, as `taken` says too. */
export function placeDisks(disks: readonly DiskSpec[], taken: readonly FakeDisk[]): FakeDisk[] {
  const known = new Map(taken.map(({ name, target }) => [name, target]))
  const used = new Set(taken.map(({ target }) => target))
  return disks.map((disk) => {
    const target = known.get(disk.name) ?? freeTarget(used)
    used.add(target)
    return { ...disk, target }
  })
}

/** What a machine has now, and what it has from its next start on. */
export function observedDisks(live: readonly FakeDisk[], defined: readonly FakeDisk[]): ObservedDisk[] {
  const added = defined.filter((disk) => !live.some((other) => isSame(disk, other)))
  return [...live, ...added].map(({ name, pool, volume, target }) => {
    const [attached, next] = [live, defined].map((disks) => disks.some((disk) => isSame(disk, { pool, volume })))
    const where = name === undefined ? {} : { name, pool, volume }
    return { ...where, target, attached: attached === true, defined: next === true }
  })
}

export const isSame = (one: Pick<FakeDisk, 'pool' | 'volume'>, other: Pick<FakeDisk, 'pool' | 'volume'>): boolean =>
  one.pool === other.pool && one.volume === other.volume

function freeTarget(used: ReadonlySet<string>): string {
  let index = 0
  const target = () => `vd${index < 26 ? '' : String.fromCharCode(96 + Math.floor(index / 26))}${letter(index % 26)}`
  while (used.has(target())) index++
  return target()
}

const letter = (index: number): string => String.fromCharCode(97 + index)
