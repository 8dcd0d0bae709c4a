import { volumeNames } from '../../hypervisor/port.ts'
import type { FakeHypervisor } from './host.ts'
import { type FakeMachine, isParked } from './machines.ts'

/** All that is on a host, for oracles: sorted, plain, and without what differs between equal runs. */
export interface Inventory {
  readonly machines: readonly {
    readonly id: string
    readonly hostName: string
    readonly ours: boolean
    readonly power: string
    readonly parked: boolean
    readonly transient: boolean
    readonly slot: string | undefined
  }[]
  /** Of machines, with the image that a disk is a copy of. */
  readonly volumes: readonly { readonly pool: string; readonly name: string; readonly image: string | undefined }[]
  readonly images: readonly { readonly pool: string; readonly digest: string; readonly state: string }[]
}

export function inventory(host: FakeHypervisor): Inventory {
  const pools = [...host.storage.pools.values()].sort((one, other) => compare(one.name, other.name))
  const volumes = pools.flatMap((pool) =>
    [...pool.volumes]
      .sort(([one], [other]) => compare(one, other))
      .map(([name, { content }]) => ({
        pool: pool.name,
        name,
        image: content.type === 'Disk' ? content.image : undefined,
      })),
  )
  const images = pools.flatMap((pool) =>
    [...new Set([...pool.volumes.keys()].flatMap((name) => digestOf(name) ?? []))]
      .sort(compare)
      .map((digest) => ({ pool: pool.name, digest, state: pool.placedImage(digest).state })),
  )
  return {
    machines: [...host.machines.all.values()].map(describe).sort((one, other) => compare(one.id, other.id)),
    volumes: volumes.filter(({ name }) => digestOf(name) === undefined),
    images,
  }
}

/**
 * What must never be, looked for at every start from now on: one instance that runs on two hosts, or two machines that
 * run under the claim of one slot. Returns the list that findings are added to. A start then costs a look at all machines.
 */
export function watchForDoubles(hosts: Iterable<FakeHypervisor>): readonly string[] {
  const all = [...hosts]
  const findings: string[] = []
  for (const host of all) {
    host.machines.onStart = (started) => {
      for (const other of all) {
        for (const machine of other.machines.all.values()) {
          if (machine.live === undefined || machine === started) continue
          if (machine.id === started.id) findings.push(`${started.id} runs on ${other.hostName} and ${host.hostName}`)
          const slot = slotOf(started)
          if (slot !== undefined && slot === slotOf(machine)) {
            findings.push(`${started.id} and ${machine.id} run under the claim of slot ${slot}`)
          }
        }
      }
    }
  }
  return findings
}

function describe(machine: FakeMachine): Inventory['machines'][number] {
  const { id, hostName, power, definition, live } = machine
  const tag = (definition ?? live)?.tag
  return {
    id,
    hostName,
    ours: tag?.instanceID === id,
    power,
    parked: isParked(machine),
    transient: definition === undefined,
    slot: tag?.slot,
  }
}

/** Slots' names are of a cluster. */
function slotOf({ live }: FakeMachine): string | undefined {
  return live?.tag && `${live.tag.cluster}/${live.tag.slot}`
}

const imagePrefix = volumeNames.image('')

function digestOf(volume: string): string | undefined {
  return volume.startsWith(imagePrefix) ? volume.slice(imagePrefix.length).replace(/\.ok$/, '') : undefined
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
