/** What there is to say of a Network's ranges. Pure over the caches. */
import { type Network, type NetworkStatus, parseAddress } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import {
  isForNobody,
  isInRanges,
  type Ranges,
  type RangesProblem,
  rangesOf,
  rangesProblem,
  totalOf,
} from '../address-lease/ranges.ts'
import type { Caches } from '../shared/caches.ts'

export interface RangesReport {
  readonly addresses?: NonNullable<NetworkStatus['addresses']>
  readonly problem?: RangesProblem
}

export function reportRanges(
  network: ReadObject<Network>,
  { networks, addressLeases }: Pick<Caches, 'networks' | 'addressLeases'>,
): RangesReport {
  const { name } = network.metadata
  const problem = rangesProblem(
    network,
    networks.list().filter(({ metadata }) => metadata.name !== name),
  )
  const both = ([4, 6] as const).flatMap((family) => rangesOf(network, family) ?? [])
  if (problem) return { problem }
  if (both.length === 0) return {}
  const used = addressLeases.byIndex('network', name).filter(({ spec }) => isUsed(spec.address, both)).length

  const total = both.reduce((sum, ranges) => sum + totalOf(ranges), 0)
  return { addresses: { total, used } }
}

function isUsed(text: string | undefined, both: readonly Ranges[]): boolean {
  const address = text === undefined ? undefined : parseAddress(text)
  return address !== undefined && both.some((ranges) => isInRanges(ranges, address) && !isForNobody(ranges, address))
}
