/** Both sides as they are at the end, so that two runs can be compared. */
import type { World } from './world.ts'

export function snapshot({ api, hosts }: World): Readonly<Record<string, unknown>> {
  const objects = api.all().map(({ plural, object }) => {
    const { name, namespace } = object.metadata
    const kept = plural === 'storagepools' ? { ...object, status: withoutRoom(object.status) } : object
    return [[plural, namespace, name].filter((part) => part !== undefined).join('/'), lasting(kept)]
  })
  const machines = hosts.all().flatMap(({ name, host }) =>
    [...host.machines].map(([id, { spec, power, parked, transient }]) => {
      const { seed, ...definition } = spec
      // Whether the seed was written with the last definition depends on when the guest has booted first.
      return [
        `host ${name}/machine ${id}`,
        { ...definition, seed: { ...seed, files: undefined }, power, parked, transient },
      ]
    }),
  )
  const pools = hosts
    .all()
    .flatMap(({ name, host }) =>
      [...host.pools].map(([pool, { volumes, images }]) => [
        `host ${name}/pool ${pool}`,
        { volumes: [...volumes].toSorted(), images: [...images].toSorted() },
      ]),
    )
  const entries = [...objects, ...machines, ...pools].toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))
  return Object.fromEntries(entries.filter(([name]) => !String(name).startsWith('leases/')))
}

/** A pool's room is told again only when it has moved by a hundredth: what was told last depends on when it was asked. */
function withoutRoom(status: unknown): unknown {
  const { allocated: _, free: __, volumes: ___, ...rest } = status as Record<string, unknown>
  return rest
}

/** Without versions and times; conditions and placements in an order of their own. */
function lasting(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
  if (Array.isArray(value)) return value.map(lasting).toSorted((a, b) => orderOf(a).localeCompare(orderOf(b)))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'resourceVersion')
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, lasting(member)]),
  )
}

const orderOf = (value: unknown): string => JSON.stringify(value)
